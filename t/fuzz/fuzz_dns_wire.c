/* The first byte chooses the type; what is accepted has only well-formed records. */
#include <stdlib.h>

#include "base/str.h"
#include "net/dns_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const enum dns_type types[] = {DNS_A,   DNS_AAAA, DNS_MX,    DNS_TXT, DNS_PTR,
                                          DNS_SRV, DNS_TLSA, DNS_CNAME, DNS_NS};
    struct arena *mem = arena_new(NULL);
    struct dns_answer answer;
    uint32_t ttl;

    if (n > 0 && dns_wire_parse((struct str){(const char *)p + 1, n - 1}, "a.test", types[p[0] % 9],
                                mem, &answer, &ttl) == DNS_OK) {
        for (size_t i = 0; i < answer.n; i++)
            if (answer.records[i].type != types[p[0] % 9] || strlen(answer.records[i].owner) > 1024)
                abort();
    }
    arena_free(&mem);
    return 0;
}
