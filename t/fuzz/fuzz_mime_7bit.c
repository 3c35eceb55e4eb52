/* To 7 bits: in pieces the same as at once; twice changes nothing more. */
#include <assert.h>
#include <stdint.h>

#include "base/str.h"
#include "mail/mime_7bit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool convert(struct str s, bool in_pieces, struct buf *out)
{
    struct mime_7bit_limits limits = {.nesting = 10, .boundary = 20, .header = 300};
    struct mime_7bit *m = mime_7bit_new(&limits);
    bool failed;

    for (size_t i = 0, n; i < s.n; i += n) {
        n = in_pieces ? (unsigned char)s.p[i] % 13 + 1u : s.n;
        mime_7bit_put(m, str_part(s, i, n), out);
    }
    mime_7bit_end(m, out);
    failed = mime_7bit_failed(m);
    mime_7bit_free(&m);
    return !failed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = {(const char *)data, size};
    struct buf whole = BUF(64 << 20), pieces = BUF(64 << 20), again = BUF(64 << 20);

    if (convert(s, false, &whole)) {
        assert(convert(s, true, &pieces) && str_eq(buf_str(&whole), buf_str(&pieces)));
        if (convert(buf_str(&whole), false, &again) && size < 300)
            assert(str_eq(buf_str(&whole), buf_str(&again)));
    }
    buf_free(&whole);
    buf_free(&pieces);
    buf_free(&again);
    return 0;
}
