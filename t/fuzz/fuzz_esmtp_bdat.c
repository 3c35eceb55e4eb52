/* Content cut into any chunks must decode the same, and to what was sent. */
#include <stdint.h>

#include "base/str.h"
#include "mail/esmtp_bdat.h"

enum { LIMIT = 20 };

/* Lines end in LF. The last one need not. */
static void decode(struct str text, const uint8_t *cuts, size_t ncuts, struct buf *out)
{
    struct esmtp_bdat b = ESMTP_BDAT(LIMIT);
    struct str piece;

    for (size_t i = 0; text.n > 0; i++) {
        size_t n = ncuts > 0 ? 1 + (size_t)(cuts[i % ncuts] % 32) : text.n;
        struct str chunk = str_upto(text, n);
        size_t used;
        enum esmtp_data got;
        text = str_from(text, chunk.n);
        while ((got = esmtp_bdat_in(&b, chunk, &piece, &used)) != DATA_MORE) {
            if (got == DATA_END || piece.n > LIMIT + 1)
                abort();
            buf_add(out, piece);
            if (got == DATA_LINE)
                buf_addc(out, '\n');
            chunk = str_from(chunk, used);
        }
        if (used != chunk.n)
            abort();
    }
    if (esmtp_bdat_end(&b, &piece))
        buf_add(out, piece);
    esmtp_bdat_free(&b);
}

static void without_cr(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '\r' || i + 1 == text.n || text.p[i + 1] != '\n')
            buf_addc(out, text.p[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t ncuts = size < 8 ? size : 8;
    struct str text = {(const char *)data + ncuts, size - ncuts};
    struct buf one = BUF(1u << 20), two = BUF(1u << 20), want = BUF(1u << 20);

    decode(text, data, ncuts, &one);
    decode(text, NULL, 0, &two);
    without_cr(text, &want);
    if (!str_eq(buf_str(&one), buf_str(&two)) || !str_eq(buf_str(&one), buf_str(&want)))
        abort();
    buf_free(&one);
    buf_free(&two);
    buf_free(&want);
    return 0;
}
