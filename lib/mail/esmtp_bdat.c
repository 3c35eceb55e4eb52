#include "mail/esmtp_bdat.h"

#include <string.h>

#include "base/str.h"

/* Up to the end of a line, as far as rest may grow. */
static size_t complete(struct esmtp_bdat *b, struct str bytes)
{
    const char *lf = bytes.n > 0 ? memchr(bytes.p, '\n', bytes.n) : NULL;
    size_t n = lf != NULL ? (size_t)(lf - bytes.p) + 1 : bytes.n;
    size_t room = b->rest.max - b->rest.n;

    n = n < room ? n : room;
    buf_add(&b->rest, str_upto(bytes, n));
    return n;
}

enum esmtp_data esmtp_bdat_in(struct esmtp_bdat *b, struct str bytes, struct str *piece,
                              size_t *used)
{
    buf_skip(&b->rest, b->taken);
    b->taken = 0;
    if (b->rest.n == 0) {
        enum esmtp_data what = esmtp_data_in(&b->lines, bytes, b->limit, piece, used);
        if (what != DATA_MORE)
            return what;
    }
    *used = complete(b, bytes);
    return esmtp_data_in(&b->lines, buf_str(&b->rest), b->limit, piece, &b->taken);
}

bool esmtp_bdat_end(struct esmtp_bdat *b, struct str *rest)
{
    *rest = str_from(buf_str(&b->rest), b->taken);
    return rest->n > 0 || b->lines.inside;
}

size_t esmtp_bdat_held(const struct esmtp_bdat *b)
{
    return b->rest.n - b->taken;
}

void esmtp_bdat_free(struct esmtp_bdat *b)
{
    buf_free(&b->rest);
    b->taken = 0;
}
