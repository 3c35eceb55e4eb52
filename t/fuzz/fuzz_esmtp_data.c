/* Content cut in any two ways must decode the same. */
#include <stdint.h>

#include "base/str.h"
#include "mail/esmtp_data.h"

static void decode(struct str text, size_t step, struct buf *out)
{
    struct esmtp_data_in d = ESMTP_DATA_IN;
    struct str piece;
    size_t from = 0, have = 0, used;

    for (;;) {
        enum esmtp_data got =
            esmtp_data_in(&d, str_part(text, from, have - from), 50, &piece, &used);
        from += used;
        buf_add(out, piece);
        if (got == DATA_LINE)
            buf_addc(out, '\n');
        if (got == DATA_END || (got == DATA_MORE && have == text.n))
            break;
        if (got == DATA_MORE)
            have = have + step < text.n ? have + step : text.n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data + (size > 0), size - (size > 0)};
    struct buf one = BUF(1u << 20), two = BUF(1u << 20);

    decode(text, size > 0 ? 1 + data[0] % 64 : 1, &one);
    decode(text, text.n + 1, &two);
    if (!str_eq(buf_str(&one), buf_str(&two)))
        abort();
    buf_free(&one);
    buf_free(&two);
    return 0;
}
