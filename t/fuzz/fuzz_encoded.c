/* Encoded words and parameters, transfer encodings, character sets: always UTF-8, same in pieces.
 */
#include <assert.h>

#include "base/str.h"
#include "base/utf8.h"
#include "mail/charset.h"
#include "mail/encoded.h"
#include "mail/transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = {(const char *)data, size};
    struct buf a = BUF(1 << 20), b = BUF(1 << 20);

    encoded_to_utf8(s, &a);
    encoded_param_to_utf8(s, &b);
    charset_fold(buf_str(&a), &b);
    for (enum transfer_encoding e = TRANSFER_IDENTITY; e <= TRANSFER_BASE64; e++) {
        struct transfer whole = {.encoding = e}, pieces = {.encoding = e};
        buf_clear(&a);
        buf_clear(&b);
        transfer_decode(&whole, s, &a);
        for (size_t i = 0, n; i < size; i += n) {
            n = data[i] % 7 + 1u;
            transfer_decode(&pieces, str_part(s, i, n), &b);
        }
        assert(str_eq(buf_str(&a), buf_str(&b)));
    }
    buf_free(&a);
    buf_free(&b);
    return 0;
}
