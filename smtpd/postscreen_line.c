/*
 * The lines of the cache.
 */
#include "postscreen_line.h"

#include <string.h>

#include "base/num.h"
#include "base/str.h"
#include "net/addr.h"

static const int64_t latest = 99999999999; /* 11 digits: the year 5138 */

bool screen_stamps_parse(struct str text, struct screen_stamps *out)
{
    struct str field;
    int n = 0;

    *out = (struct screen_stamps){0};
    while (str_split(&text, ';', &field)) {
        if (n >= SCREEN_TESTS)
            return true; /* a later Postfix may have more */
        if (!num_parse(field, 0, latest, &out->until[n]))
            return false;
        n++;
    }
    return n > 0;
}

bool screen_line_is_address(struct str text)
{
    struct addr a;

    return addr_parse(text, &a);
}

bool screen_line_parse(struct str line, struct str *address, struct screen_stamps *out)
{
    struct str rest = str_rtrim(line), stamps;

    return line.n == LINE_SIZE && line.p[LINE_SIZE - 1] == '\n' && str_word(&rest, " ", address) &&
           str_word(&rest, " ", &stamps) && rest.n == 0 && screen_line_is_address(*address) &&
           screen_stamps_parse(stamps, out);
}

void screen_line_empty(char line[LINE_SIZE])
{
    memset(line, ' ', LINE_SIZE - 1);
    line[LINE_SIZE - 1] = '\n';
}

bool screen_line_format(struct str address, const struct screen_stamps *stamps,
                        char line[LINE_SIZE])
{
    struct buf text = BUF(LINE_SIZE - 1);

    screen_line_empty(line);
    buf_add(&text, address);
    for (int t = 0; t < SCREEN_TESTS; t++)
        buf_addf(&text, "%c%lld", t == 0 ? ' ' : ';', (long long)stamps->until[t]);
    bool fits = buf_ok(&text);
    if (fits)
        memcpy(line, text.p, text.n);
    buf_free(&text);
    return fits;
}
