#include "mail/esmtp_reply.h"

#include "base/num.h"
#include "base/str.h"
#include "mail/dsn.h"

enum { LINE_LIMIT = 512 };

/* Three digits, and a blank or "-" behind them if there is more. */
static bool read_code(struct str line, int *code)
{
    uint32_t n;

    if (line.n < 3 || !num_parse_u32(str_upto(line, 3), 0, 999, &n))
        return false;
    *code = (int)n;
    return line.n == 3 || line.p[3] == ' ' || line.p[3] == '-';
}

enum esmtp_more esmtp_reply_line(struct esmtp_reply *r, struct str line)
{
    int code;

    line = str_rtrim(line);
    if (!read_code(line, &code))
        return ESMTP_NOISE;
    if (code < 200 || code > 599)
        return ESMTP_BAD;
    if (code / 100 != r->code / 100)
        r->dsn[0] = 0; /* the last line decides: its class is that of the reply */
    r->code = code;
    bool more = line.n > 3 && line.p[3] == '-';
    struct str text = str_from(line, 4);
    char dsn[10];
    size_t n = dsn_prefix(text, dsn);
    /* RFC 2034 4: the class repeats the first digit of the reply code; else it is just text */
    if (n > 0 && dsn[0] == line.p[0]) {
        if (r->dsn[0] == 0)
            memcpy(r->dsn, dsn, sizeof dsn);
        text = str_from(text, n);
        while (text.n > 0 && text.p[0] == ' ')
            text = str_from(text, 1);
    }
    if (r->lines++ > 0)
        buf_addc(&r->text, '\n');
    size_t left = r->text.max - r->text.n;
    buf_add(&r->text, str_upto(text, left));
    return more ? ESMTP_MORE : ESMTP_DONE;
}

void esmtp_reply_clear(struct esmtp_reply *r)
{
    r->code = 0;
    r->dsn[0] = 0;
    r->lines = 0;
    buf_clear(&r->text);
}

void esmtp_reply_free(struct esmtp_reply *r)
{
    buf_free(&r->text);
}

/* What is cut shows it. */
static void add_line(struct buf *out, struct str line, size_t room)
{
    if (line.n > room) {
        buf_add(out, str_upto(line, room - 3));
        line = STR("...");
    }
    buf_add(out, line);
}

void esmtp_reply_format(int code, const char *dsn, struct str text, struct buf *out)
{
    struct str line;
    bool more;

    do {
        ptrdiff_t end = str_find(text, '\n');
        more = end >= 0;
        line = more ? str_upto(text, (size_t)end) : text;
        text = more ? str_from(text, (size_t)end + 1) : text;
        size_t from = out->n;
        buf_addf(out, "%03d%c%s%s", code, more ? '-' : ' ', dsn, dsn[0] ? " " : "");
        add_line(out, line, LINE_LIMIT - 2 - (out->n - from));
        for (size_t i = from; i < out->n; i++)
            if ((unsigned char)out->p[i] < ' ' || out->p[i] == 127)
                out->p[i] = '?';
        buf_addz(out, "\r\n");
    } while (more);
}

void esmtp_reply_print(const struct esmtp_reply *r, struct buf *out)
{
    buf_addf(out, "%d%s%s ", r->code, r->dsn[0] ? " " : "", r->dsn);
    size_t from = out->n;
    buf_add(out, buf_str(&r->text));
    for (size_t i = from; i < out->n; i++)
        if (out->p[i] == '\n')
            out->p[i] = ' ';
}
