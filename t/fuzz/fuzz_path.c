/* Quoting and unquoting of what was accepted must agree, and no control character may pass. */
#include <stdint.h>

#include "base/str.h"
#include "mail/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str args = {(const char *)data + (size > 0), size - (size > 0)};
    struct buf address = BUF(4096), external = BUF(16384), again = BUF(16384);

    if (path_parse(&args, size > 0 ? data[0] & 7 : 0, &address)) {
        for (size_t i = 0; i < address.n; i++)
            if ((unsigned char)address.p[i] < ' ' || address.p[i] == 127)
                abort();
        path_quote(buf_str(&address), &external);
        if (path_domain(buf_str(&address)).n > 0 || str_find(buf_str(&address), '@') < 0)
            if (!path_unquote(buf_str(&external), &again) ||
                !str_eq(buf_str(&again), buf_str(&address)))
                abort();
    }
    buf_free(&address);
    buf_free(&external);
    buf_free(&again);
    return 0;
}
