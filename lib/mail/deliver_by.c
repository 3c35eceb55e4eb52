#include "mail/deliver_by.h"

#include <inttypes.h>

#include "base/num.h"
#include "base/str.h"

const char deliver_by_over[] = "delivery time expired";

enum { DIGITS_MOST = 9 }; /* RFC 2852 4 */

/* by-mode[by-trace] */
static bool parse_mode(struct str mode, struct deliver_by *by)
{
    by->returns = str_istarts(mode, STR("R"));
    by->traced = mode.n == 2;
    if (!by->returns && !str_istarts(mode, STR("N")))
        return false;
    return mode.n == 1 || (mode.n == 2 && str_ieqz(str_from(mode, 1), "T"));
}

static bool parse(struct str value, int64_t low, int64_t high, struct deliver_by *by)
{
    struct deliver_by found;
    struct str seconds;

    if (!str_split(&value, ';', &seconds) || !num_parse(seconds, low, high, &found.s) ||
        !parse_mode(value, &found) || (found.returns && found.s <= 0))
        return false;
    *by = found;
    return true;
}

bool deliver_by_parse(struct str value, struct deliver_by *by)
{
    bool plus = str_starts(value, STR("+"));
    bool minus = str_starts(value, STR("-"));
    ptrdiff_t end = str_find(value, ';');

    if (end < 0 || end - (plus || minus) > DIGITS_MOST)
        return false;
    value = str_from(value, plus);
    if (plus && str_starts(value, STR("-")))
        return false;
    return parse(value, -DELIVER_BY_MOST, DELIVER_BY_MOST, by);
}

bool deliver_by_parse_time(struct str value, struct deliver_by *by)
{
    return parse(value, 1, INT64_MAX / 1000000, by);
}

void deliver_by_format(const struct deliver_by *by, struct buf *out)
{
    buf_addf(out, "%" PRId64 ";%s%s", by->s, by->returns ? "R" : "N", by->traced ? "T" : "");
}

bool deliver_by_is_over(const struct deliver_by *by, int64_t now_s)
{
    return by->s > 0 && by->returns && by->s <= now_s;
}
