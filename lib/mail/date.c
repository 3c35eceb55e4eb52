#include "mail/date.h"

#include "base/clock.h"
#include "base/num.h"
#include "base/str.h"

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

int64_t date_days(int64_t year, int month, int day)
{
    year -= month <= 2; /* years that begin in March: the leap day comes last */
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void at_offset(int64_t wall, int offset, struct tm *tm)
{
    clock_utc(wall + (int64_t)offset * 60, tm);
}

static void add_zone(int offset, struct buf *out)
{
    int size = offset < 0 ? -offset : offset;
    buf_addf(out, " %c%02d%02d", offset < 0 ? '-' : '+', size / 60 % 100, size % 60);
}

void date_format(int64_t wall, int offset, struct buf *out)
{
    struct tm tm;

    at_offset(wall, offset, &tm);
    buf_addf(out, "%s, %d %s %04d %02d:%02d:%02d", weekdays[tm.tm_wday], tm.tm_mday,
             months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    add_zone(offset, out);
}

void date_format_local(int64_t wall, struct buf *out)
{
    struct tm tm;
    int offset;

    clock_local(wall, &tm, &offset);
    date_format(wall, offset, out);
    if (tm.tm_zone != NULL && tm.tm_zone[0] != 0)
        buf_addf(out, " (%s)", tm.tm_zone);
}

void date_imap_format(int64_t wall, int offset, struct buf *out)
{
    struct tm tm;

    at_offset(wall, offset, &tm);
    buf_addf(out, "%02d-%s-%04d %02d:%02d:%02d", tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
             tm.tm_hour, tm.tm_min, tm.tm_sec);
    add_zone(offset, out);
}

static bool month_by_name(struct str word, int *month)
{
    for (int i = 0; i < 12; i++)
        if (word.n >= 3 && str_ieqz(str_upto(word, 3), months[i])) {
            *month = i + 1;
            return true;
        }
    return false;
}

static bool number(struct str s, uint32_t low, uint32_t high, int *out)
{
    uint32_t n;
    if (!num_parse_u32(s, low, high, &n))
        return false;
    *out = (int)n;
    return true;
}

static bool zone_digits(struct str s, int *offset)
{
    int hours, minutes;

    if (s.n != 5 || (s.p[0] != '+' && s.p[0] != '-') || !number(str_part(s, 1, 2), 0, 99, &hours) ||
        !number(str_part(s, 3, 2), 0, 59, &minutes))
        return false;
    *offset = (hours * 60 + minutes) * (s.p[0] == '-' ? -1 : 1);
    return true;
}

/* RFC 5322 4.3; unknown names and military letters mean -0000 */
static void zone_name(struct str s, int *offset)
{
    static const struct {
        const char *name;
        int hours;
    } zones[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5},
                 {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
    *offset = 0;
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
        if (str_ieqz(s, zones[i].name))
            *offset = zones[i].hours * 60;
}

static bool clock_time(struct str s, int hms[3])
{
    struct str part;
    int n = 0;

    hms[2] = 0;
    while (str_split(&s, ':', &part)) {
        if (n == 3 || !number(part, 0, n == 0 ? 23 : n == 1 ? 59 : 60, &hms[n]))
            return false;
        n++;
    }
    return n >= 2;
}

static int64_t to_wall(int year, int month, int day, const int hms[3], int offset)
{
    return date_days(year, month, day) * 86400 + hms[0] * 3600 + hms[1] * 60 + hms[2] -
           (int64_t)offset * 60;
}

/* Words outside of comments: blanks, commas and (nested (comments)) part them. */
static bool next_word(struct str *rest, struct str *word)
{
    size_t i = 0, depth = 0;

    for (; i < rest->n; i++) {
        char c = rest->p[i];
        if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (depth == 0 && (unsigned char)c > ' ' && c != ',')
            break;
    }
    *rest = str_from(*rest, i);
    for (i = 0; i < rest->n; i++)
        if ((unsigned char)rest->p[i] <= ' ' || rest->p[i] == ',' || rest->p[i] == '(')
            break;
    *word = str_upto(*rest, i);
    *rest = str_from(*rest, i);
    return i > 0;
}

static bool year_of(struct str s, int *year)
{
    if (s.n < 2 || s.n > 4 || !number(s, 0, 9999, year))
        return false;
    if (s.n == 2) /* RFC 5322 4.3 */
        *year += *year < 50 ? 2000 : 1900;
    else if (s.n == 3)
        *year += 1900;
    return true;
}

bool date_parse(struct str text, int64_t *wall, int *offset)
{
    struct str word;
    int day, month, year, hms[3], zone = 0;

    if (!next_word(&text, &word))
        return false;
    if (!number(word, 1, 31, &day) && /* the weekday */
        (!next_word(&text, &word) || !number(word, 1, 31, &day)))
        return false;
    if (!next_word(&text, &word) || !month_by_name(word, &month) || !next_word(&text, &word) ||
        !year_of(word, &year) || !next_word(&text, &word) || !clock_time(word, hms))
        return false;
    if (next_word(&text, &word) && !zone_digits(word, &zone))
        zone_name(word, &zone);
    *wall = to_wall(year, month, day, hms, zone);
    if (offset != NULL)
        *offset = zone;
    return true;
}

/* Days above the month's end are in the next one. */
static bool imap_day(struct str text, int *year, int *month, int *day)
{
    struct str d, m;

    text = str_trim(text);
    return str_split(&text, '-', &d) && str_split(&text, '-', &m) && d.n <= 2 &&
           number(d, 0, 99, day) && m.n == 3 && month_by_name(m, month) && text.n == 4 &&
           number(text, 0, 9999, year);
}

static bool imap_time(struct str s, int hms[3])
{
    return s.n == 8 && s.p[2] == ':' && s.p[5] == ':' && number(str_upto(s, 2), 0, 99, &hms[0]) &&
           number(str_part(s, 3, 2), 0, 99, &hms[1]) && number(str_part(s, 6, 2), 0, 99, &hms[2]);
}

/* Its year, as INTERNALDATE gives it: in our zone, whatever zone the client wrote. */
static bool has_four_digits(int64_t wall)
{
    struct tm tm;
    int offset;

    clock_local(wall, &tm, &offset);
    wall += (int64_t)offset * 60;
    return wall >= date_days(0, 1, 1) * 86400 && wall < date_days(10000, 1, 1) * 86400;
}

bool date_imap_parse(struct str text, int64_t *wall, int *offset)
{
    struct str day, time;
    int y, m, d, hms[3], zone;

    if (!str_word(&text, " ", &day) || !str_word(&text, " ", &time) || !imap_day(day, &y, &m, &d) ||
        !imap_time(time, hms))
        return false;
    text = str_trim(text);
    if (text.n == 0)
        return false;
    if (!zone_digits(text, &zone))
        zone_name(text, &zone);
    *wall = to_wall(y, m, d, hms, zone);
    if (offset != NULL)
        *offset = zone;
    return has_four_digits(*wall);
}

bool date_imap_day(struct str text, int64_t *midnight)
{
    int y, m, d;

    if (!imap_day(text, &y, &m, &d) || d < 1 || d > 31)
        return false;
    *midnight = date_days(y, m, d) * 86400;
    return true;
}

void date_internet_format(int64_t wall, struct buf *out)
{
    struct tm tm;

    clock_utc(wall, &tm);
    buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* "2026-12-01" */
static bool internet_day(struct str s, int *year, int *month, int *day)
{
    static const int most[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || !number(str_upto(s, 4), 0, 9999, year) ||
        !number(str_part(s, 5, 2), 1, 12, month) || !number(str_part(s, 8, 2), 1, 31, day))
        return false;
    bool leap = *year % 4 == 0 && (*year % 100 != 0 || *year % 400 == 0);
    return *day <= most[*month - 1] + (leap && *month == 2);
}

/* ".125Z", "+01:00" */
static bool internet_zone(struct str s, int *offset)
{
    bool fraction = s.n > 0 && s.p[0] == '.';
    size_t n = fraction ? 1 : 0;
    char digits[5];

    while (fraction && n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    if (fraction && n == 1)
        return false;
    s = str_from(s, n);
    *offset = 0;
    if (str_ieqz(s, "Z"))
        return true;
    if (s.n != 6 || s.p[3] != ':')
        return false;
    memcpy(digits, s.p, 3);
    memcpy(digits + 3, s.p + 4, 2);
    return zone_digits((struct str){digits, 5}, offset) && *offset / 60 > -24 && *offset / 60 < 24;
}

bool date_internet_parse(struct str text, int64_t *wall)
{
    int year, month, day, offset, hms[3];

    if (text.n < 20 || (text.p[10] != 'T' && text.p[10] != 't') ||
        !internet_day(str_upto(text, 10), &year, &month, &day) || text.p[13] != ':' ||
        text.p[16] != ':' || !clock_time(str_part(text, 11, 8), hms) ||
        !internet_zone(str_from(text, 19), &offset))
        return false;
    *wall = to_wall(year, month, day, hms, offset);
    return true;
}
