/*
 * What an event comes to, and the SMTP reply in it.
 */
#include <string.h>

#include "base/num.h"
#include "milter/milter_inside.h"

void milter_answer_free(struct milter_answer *a)
{
    buf_free(&a->reply);
    a->does = MILTER_GOES_ON;
}

enum milter_does milter_reply(struct milter_answer *a, enum milter_does does, const char *text)
{
    a->does = does;
    buf_setz(&a->reply, text);
    return does;
}

enum milter_does milter_answer_copy(struct milter_answer *a, const struct milter_answer *from)
{
    return milter_reply(a, from->does, from->reply.p);
}

int milter_answer_parts(const struct milter_answer *a, char dsn[10], struct buf *text)
{
    struct str rest = buf_str(&a->reply), line, status;
    uint32_t code = 451;

    num_parse_u32(str_upto(rest, 3), 400, 599, &code);
    dsn[0] = 0;
    for (bool first = true; str_split(&rest, '\n', &line); first = false) {
        line = str_from(line, 4);
        status = str_upto(
            line, (size_t)(str_find(line, ' ') < 0 ? (ptrdiff_t)line.n : str_find(line, ' ')));
        bool is_status =
            status.n >= 5 && status.n < 10 && status.p[1] == '.' && status.p[0] == a->reply.p[0];
        if (first && is_status)
            snprintf(dsn, 10, "%.*s", (int)status.n, status.p);
        if (is_status && str_eqz(status, dsn))
            line = str_from(line, status.n + 1);
        if (!first)
            buf_addc(text, '\n');
        buf_add(text, line);
    }
    return (int)code;
}
