#include "mail/header.h"

#include <string.h>

#include "base/str.h"

bool header_continues(struct str line)
{
    return line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
}

bool header_split(struct str text, struct str *name, struct str *value)
{
    size_t n = 0;

    while (n < text.n && text.p[n] > ' ' && text.p[n] < 127 && text.p[n] != ':') /* ftext */
        n++;
    size_t colon = n;
    while (colon < text.n && (text.p[colon] == ' ' || text.p[colon] == '\t')) /* RFC 5322 4.5.8 */
        colon++;
    if (n == 0 || colon == text.n || text.p[colon] != ':')
        return false;
    *name = str_upto(text, n);
    *value = str_trim(str_from(text, colon + 1));
    return true;
}

void header_unfold(struct str value, struct buf *out)
{
    size_t from = 0;

    for (size_t i = 0; i < value.n; i++) {
        bool crlf = value.p[i] == '\r' && i + 1 < value.n && value.p[i + 1] == '\n';
        if (value.p[i] != '\n' && !crlf)
            continue;
        buf_add(out, str_part(value, from, i - from));
        i += crlf;
        from = i + 1;
    }
    buf_add(out, str_from(value, from));
}

/* Where to break rest so that the first part fits in room: a blank; or the first one behind. */
static size_t break_at(struct str rest, size_t room)
{
    size_t best = 0;

    for (size_t i = 1; i < rest.n; i++) {
        if (rest.p[i] != ' ' && rest.p[i] != '\t')
            continue;
        if (i > room)
            return best > 0 ? best : i;
        best = i;
    }
    return rest.n <= room || best == 0 ? rest.n : best;
}

void header_fold(struct str name, struct str value, size_t width, struct buf *out)
{
    size_t used = name.n + 2;

    buf_add(out, name);
    buf_addc(out, ':');
    if (value.n > 0)
        buf_addc(out, ' ');
    while (value.n > 0) {
        size_t n = break_at(value, width > used ? width - used : 1);
        buf_add(out, str_rtrim(str_upto(value, n)));
        value = str_trim(str_from(value, n));
        if (value.n > 0)
            buf_addz(out, "\n\t");
        used = 1;
    }
}

/* The end of the line that begins at from, behind its LF. */
static size_t line_end(struct str block, size_t from)
{
    const char *lf = memchr(block.p + from, '\n', block.n - from);
    return lf == NULL ? block.n : (size_t)(lf - block.p) + 1;
}

bool header_find(struct str block, const char *name, size_t *at, struct str *value)
{
    while (*at < block.n) {
        size_t end = line_end(block, *at);
        if (str_trim(str_part(block, *at, end - *at)).n == 0)
            break;
        while (end < block.n && header_continues(str_from(block, end)))
            end = line_end(block, end);
        struct str found;
        bool is = header_split(str_part(block, *at, end - *at), &found, value);
        *at = end;
        if (is && str_ieqz(found, name))
            return true;
    }
    return false;
}
