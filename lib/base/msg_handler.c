/*
 * A line of the log from a signal handler: arithmetic, getpid, clock_gettime and write, nothing
 * else.
 */
#include <sys/syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/msg_inside.h"

struct raw {
    char at[300];
    size_t n;
};

static void raw_text(struct raw *r, const char *text)
{
    while (*text != 0 && r->n < sizeof r->at - 1)
        r->at[r->n++] = *text++;
}

/* At least so many digits. */
static void raw_number(struct raw *r, int64_t n, int digits)
{
    char text[24];
    size_t at = sizeof text;

    text[--at] = 0;
    for (; (n > 0 || digits > 0) && at > 0; n /= 10, digits--)
        text[--at] = (char)('0' + n % 10);
    raw_text(r, text + at);
}

/* Month and day of a day since 1970, by Howard Hinnant's arithmetic on years that begin in March.
 */
static void raw_date(struct raw *r, int64_t days)
{
    int64_t day_of_era = (days + 719468) % 146097;
    int64_t year =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    int64_t from_march = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * from_march + 2) / 5 + 1;

    raw_text(r, msg_month[(from_march + 2) % 12]);
    raw_text(r, day < 10 ? "  " : " ");
    raw_number(r, day, 1);
}

static void raw_stamp(struct raw *r)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t); /* time() lags by a tick: lines would go back in time */
    int64_t now = t.tv_sec + (int64_t)msg_out.utc_offset * 60, second = now % 86400;

    raw_date(r, now / 86400);
    raw_text(r, " ");
    raw_number(r, second / 3600, 2);
    raw_text(r, ":");
    raw_number(r, second / 60 % 60, 2);
    raw_text(r, ":");
    raw_number(r, second % 60, 2);
    raw_text(r, " ");
}

void msg_from_handler(const char *what, const char *name, int64_t seconds)
{
    struct raw r = {.n = 0};

    if (msg_out.fd < 0)
        return;
    if (msg_out.where == MSG_TO_SYSLOG) {
        raw_text(&r, "<");
        raw_number(&r, msg_out.facility | LOG_WARNING, 1);
        raw_text(&r, ">");
    }
    if (msg_out.where != MSG_TO_POSTLOGD)
        raw_stamp(&r);
    if (msg_out.where == MSG_TO_FILE) {
        raw_text(&r, msg_host()); /* known since the first line */
        raw_text(&r, " ");
    }
    raw_text(&r, msg_out.name);
    raw_text(&r, "[");
    raw_number(&r, getpid(), 1);
    raw_text(&r, "]: ");
    raw_text(&r, what);
    raw_text(&r, " ");
    raw_text(&r, name);
    raw_text(&r, ": ");
    raw_number(&r, seconds, 1);
    raw_text(&r, " s");
    if (msg_out.where != MSG_TO_SYSLOG)
        raw_text(&r, "\n");
    ssize_t n = write(msg_out.fd, r.at, r.n);
    (void)n;
}
