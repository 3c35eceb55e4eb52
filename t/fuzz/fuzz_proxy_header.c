/* The PROXY protocol: the header is found as soon as it is there, and the same however it comes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = {(const char *)data, size};
    struct proxy_header whole, part;
    struct why why = WHY;
    size_t used = 0, again = 0, n = 0;
    int result = proxy_header_parse(all, &whole, &used, &why);
    int piecewise = 0;

    for (; n <= size && n <= PROXY_HEADER_MOST && piecewise == 0; n++)
        piecewise = proxy_header_parse(str_upto(all, n), &part, &again, &why);
    if (piecewise != result && size <= PROXY_HEADER_MOST)
        abort();
    if (result == 1 && (used > size || used != again || used != n - 1 ||
                        memcmp(&whole.client, &part.client, sizeof part.client) != 0))
        abort();
    why_free(&why);
    return 0;
}
