#include "mail/esmtp_data.h"

#include <string.h>

#include "base/str.h"

static enum esmtp_data cut(struct esmtp_data_in *d, struct str window, size_t limit,
                           struct str *piece, size_t *used)
{
    size_t n = window.n < limit ? window.n : limit;

    if (window.n < limit || n < 2)
        return DATA_MORE;
    if (window.p[n - 1] == '\r') /* may be half of the line's end */
        n--;
    *piece = str_upto(window, n);
    *used = n;
    if (!d->inside && !d->chunked && piece->p[0] == '.')
        *piece = str_from(*piece, 1);
    d->inside = true;
    return DATA_PIECE;
}

enum esmtp_data esmtp_data_in(struct esmtp_data_in *d, struct str window, size_t limit,
                              struct str *piece, size_t *used)
{
    *used = 0;
    *piece = str_upto(window, 0);
    const char *lf = window.n > 0 ? memchr(window.p, '\n', window.n) : NULL;
    if (lf == NULL || (size_t)(lf - window.p) > limit + 1)
        return cut(d, window, limit, piece, used);

    size_t n = (size_t)(lf - window.p);
    bool crlf = n > 0 && window.p[n - 1] == '\r';
    struct str line = str_upto(window, n - crlf);
    bool after_bare_lf = d->after_bare_lf;

    *used = n + 1;
    d->after_bare_lf = !crlf;
    d->bare_lf += !crlf;
    if (!d->inside && !d->chunked && line.n > 0 && line.p[0] == '.') {
        if (line.n == 1 && crlf && !after_bare_lf)
            return DATA_END;
        line = str_from(line, 1); /* RFC 5321 4.5.2 */
    }
    d->inside = false;
    *piece = line;
    return DATA_LINE;
}

void esmtp_data_out(struct buf *out, struct str piece, bool begins, bool ends)
{
    if (begins && piece.n > 0 && piece.p[0] == '.')
        buf_addc(out, '.');
    buf_add(out, piece);
    if (ends)
        buf_add(out, STR("\r\n"));
}
