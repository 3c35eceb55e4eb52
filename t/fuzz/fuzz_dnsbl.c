/* An entry of a DNS list that is taken counts some address, and asks for names that are names. */
#include <stdlib.h>

#include "base/str.h"
#include "mail/domain.h"
#include "net/dnsbl.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool counts_something(const struct dnsbl *d)
{
    for (int i = 0; i < 4; i++)
        if (!d->any && (d->octets[i][0] | d->octets[i][1] | d->octets[i][2] | d->octets[i][3]) == 0)
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct addr client = {.family = n % 2 == 0 ? AF_INET : AF_INET6, .ip = {192, 0, 2, 1}};
    struct str text = {(const char *)p, n}, entry = {0};
    struct buf name = BUF(1000);
    struct dnsbl d;

    str_split(&text, '\n', &entry);
    if (dnsbl_parse(entry, &d, NULL) == 0) {
        if (!counts_something(&d) || !domain_valid(strz(d.domain)))
            abort();
        if (dnsbl_name_of_addr(&d, &client, &name) && !domain_valid(buf_str(&name)))
            abort();
        buf_clear(&name);
        if (dnsbl_name_of_domain(&d, text, &name) && !domain_valid(buf_str(&name)))
            abort();
        dnsbl_free(&d);
    }
    buf_free(&name);
    return 0;
}
