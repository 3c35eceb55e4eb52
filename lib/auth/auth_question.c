#include "auth/auth_question.h"

#include "base/num.h"
#include "base/str.h"

static void put_text(struct buf *out, struct str text)
{
    buf_addf(out, "%zu:", text.n);
    buf_add(out, text);
}

static bool take_text(struct str *bytes, struct str *text)
{
    struct str number;
    uint64_t n;

    if (str_find(*bytes, ':') < 0 || !str_split(bytes, ':', &number) ||
        !num_parse_u64(number, 0, bytes->n, &n))
        return false;
    *text = str_upto(*bytes, n);
    *bytes = str_from(*bytes, n);
    return true;
}

void auth_question_format(const struct auth_question *q, struct buf *out)
{
    put_text(out, q->user);
    put_text(out, q->plain);
    put_text(out, q->stored);
}

bool auth_question_parse(struct str bytes, struct auth_question *q)
{
    return take_text(&bytes, &q->user) && take_text(&bytes, &q->plain) &&
           take_text(&bytes, &q->stored) && bytes.n == 0;
}
