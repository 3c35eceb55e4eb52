/* What has an ASCII form is ASCII then, and its own ASCII form; folding is stable. */
#include <stdint.h>

#include "base/str.h"
#include "base/utf8.h"
#include "mail/idna.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct buf one = BUF(1u << 16), two = BUF(1u << 16);
    struct buf folded = BUF(1u << 16), again = BUF(1u << 16);

    if (idna_to_ascii(text, &one)) {
        if (!utf8_is_ascii(buf_str(&one)) || !idna_to_ascii(buf_str(&one), &two) ||
            !str_eq(buf_str(&one), buf_str(&two)))
            abort();
    }
    utf8_fold(text, &folded);
    if (utf8_valid(text) && buf_ok(&folded)) {
        utf8_fold(buf_str(&folded), &again);
        if (!utf8_valid(buf_str(&folded)) ||
            (buf_ok(&again) && !str_eq(buf_str(&folded), buf_str(&again))))
            abort();
    }
    buf_free(&one);
    buf_free(&two);
    buf_free(&folded);
    buf_free(&again);
    return 0;
}
