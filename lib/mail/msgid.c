#include "mail/msgid.h"

#include "base/clock.h"
#include "base/str.h"

void msgid_format(int64_t wall, const char *queue_id, const char *host, struct buf *out)
{
    struct tm tm;

    clock_utc(wall, &tm);
    buf_addf(out, "<%04d%02d%02d%02d%02d%02d.%s@%s>", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, queue_id, host);
}

bool msgid_next(struct str *rest, struct str *id)
{
    for (;;) {
        ptrdiff_t open = str_find(*rest, '<');
        if (open < 0)
            return false;
        struct str s = str_from(*rest, (size_t)open + 1);
        bool quoted = false;
        size_t n = 0;
        for (; n < s.n; n++) {
            if (s.p[n] == '\\' && quoted && n + 1 < s.n)
                n++;
            else if (s.p[n] == '"')
                quoted = !quoted;
            else if (!quoted && (s.p[n] == '>' || s.p[n] == '<'))
                break;
        }
        if (n >= s.n) { /* no end: an unpaired quote must not hide the rest */
            *rest = s;
            continue;
        }
        *rest = str_from(s, n + (s.p[n] == '>'));
        *id = str_trim(str_upto(s, n));
        if (s.p[n] == '>' && id->n > 0)
            return true;
    }
}
