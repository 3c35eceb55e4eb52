/*
 * Commands that are none, characters that stay in replies, and the time in footers.
 */
#include "smtpd_filter.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/str.h"

/* Words of other protocols and of web browsers. */
static bool is_listed(const char *list, struct str verb)
{
    struct str rest = strz(list), word;
    char c = verb.p[0];
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

    while (str_word_braces(&rest, ", \t\r\n", &word)) {
        if (str_ieq(word, verb))
            return true;
        if (str_istarts(word, STR("regexp:")) && str_search(word, STR("/^[^A-Z]/")) >= 0 && !letter)
            return true;
    }
    return false;
}

/* "Subject:": content that a client sends although it was never let into DATA, or a web browser. */
static bool is_header_field(struct str verb)
{
    return str_find(verb, ':') > 0;
}

bool smtpd_filter_forbids(const char *list, struct str verb)
{
    return verb.n > 0 && (is_header_field(verb) || is_listed(list, verb));
}

void smtpd_filter_unescape(const char *text, struct buf *out)
{
    static const char letters[] = "abfnrtv", bytes[] = "\a\b\f\n\r\t\v";

    while (*text != 0) {
        const char *letter = text[0] == '\\' && text[1] != 0 ? strchr(letters, text[1]) : NULL;
        unsigned octal = 0;
        int digits = 0;

        while (text[0] == '\\' && digits < 3 && text[1 + digits] >= '0' && text[1 + digits] <= '7')
            octal = octal * 8 + (unsigned)(text[1 + digits++] - '0');
        if (letter != NULL)
            buf_addc(out, bytes[letter - letters]);
        else if (digits > 0)
            buf_addc(out, (char)octal);
        else
            buf_addc(out, text[0] == '\\' && text[1] != 0 ? text[1] : text[0]);
        text += digits > 0 ? 1 + digits : text[0] == '\\' && text[1] != 0 ? 2 : 1;
    }
}

void smtpd_filter_time(char text[SMTPD_FOOTER_TIME])
{
    struct tm tm;
    int offset;

    clock_local(clock_wall(), &tm, &offset);
    strftime(text, SMTPD_FOOTER_TIME, "%b %d %H:%M:%S", &tm);
}
