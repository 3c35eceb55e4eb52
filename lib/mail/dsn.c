#include "mail/dsn.h"

#include <sysexits.h>

#include "base/str.h"
#include "base/utf8.h"

static const struct {
    const char *name;
    enum dsn_notify bit;
} notify[] = {
    {"NEVER", DSN_NEVER}, {"SUCCESS", DSN_SUCCESS}, {"FAILURE", DSN_FAILURE}, {"DELAY", DSN_DELAY}};
enum { NOTIFIES = sizeof notify / sizeof *notify };

bool dsn_notify_parse(struct str value, unsigned *bits)
{
    struct str word;
    unsigned found = 0;

    while (str_split(&value, ',', &word)) {
        size_t i = 0;
        word = str_trim(word);
        if (word.n == 0) /* "SUCCESS,": empty words say nothing */
            continue;
        while (i < NOTIFIES && !str_ieqz(word, notify[i].name))
            i++;
        if (i == NOTIFIES)
            return false;
        found |= notify[i].bit;
    }
    if (found == 0 || ((found & DSN_NEVER) != 0 && found != DSN_NEVER)) /* RFC 3461 4.1 */
        return false;
    *bits = found;
    return true;
}

void dsn_notify_format(unsigned bits, struct buf *out)
{
    for (size_t i = 0, n = 0; i < NOTIFIES; i++)
        if ((bits & notify[i].bit) != 0)
            buf_addf(out, "%s%s", n++ > 0 ? "," : "", notify[i].name);
}

bool dsn_ret_parse(struct str value, enum dsn_ret *ret)
{
    if (str_ieqz(value, "FULL"))
        *ret = DSN_RET_FULL;
    else if (str_ieqz(value, "HDRS"))
        *ret = DSN_RET_HDRS;
    else
        return false;
    return true;
}

bool dsn_orcpt_valid(struct str value)
{
    ptrdiff_t at = str_find(value, ';');

    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < ' ' || value.p[i] == 127)
            return false;
    return at > 0 && utf8_valid(value);
}

static size_t digits(struct str s, size_t from, size_t most)
{
    size_t n = 0;
    while (n < most && from + n < s.n && s.p[from + n] >= '0' && s.p[from + n] <= '9')
        n++;
    return n;
}

/* RFC 3463 2: class "." subject "." detail; up to three digits each for the last two */
size_t dsn_prefix(struct str text, char code[10])
{
    size_t n = 1;

    if (text.n < 5 || strchr("245", text.p[0]) == NULL || text.p[0] == 0)
        return 0;
    for (int part = 0; part < 2; part++) {
        if (n >= text.n || text.p[n] != '.')
            return 0;
        size_t len = digits(text, n + 1, 3);
        if (len == 0)
            return 0;
        n += 1 + len;
    }
    if (n < text.n && text.p[n] != ' ' && text.p[n] != '\t')
        return 0;
    memcpy(code, text.p, n);
    code[n] = 0;
    return n;
}

bool dsn_valid(struct str code)
{
    char copy[10];
    return dsn_prefix(code, copy) == code.n && code.n > 0;
}

void dsn_of_code(int reply_code, char code[10])
{
    int class = reply_code / 100;
    snprintf(code, 10, "%c.0.0", class == 2 || class == 5 ? '0' + class : '4');
}

int dsn_to_code(const char *code)
{
    return code[0] == '2' ? 250 : code[0] == '5' ? 550 : 451;
}

static const struct {
    int status;
    const char *code, *text;
} exits[] = {
    {EX_USAGE, "5.3.0", "command line usage error"},
    {EX_DATAERR, "5.6.0", "data format error"},
    {EX_NOINPUT, "5.3.0", "cannot open input"},
    {EX_NOUSER, "5.1.1", "user unknown"},
    {EX_NOHOST, "5.1.2", "host name unknown"},
    {EX_UNAVAILABLE, "5.3.0", "service unavailable"},
    {EX_SOFTWARE, "5.3.0", "internal software error"},
    {EX_OSERR, "4.3.0", "system resource problem"},
    {EX_OSFILE, "5.3.0", "critical OS file missing"},
    {EX_CANTCREAT, "5.2.0", "can't create user output file"},
    {EX_IOERR, "5.3.0", "input/output error"},
    {EX_TEMPFAIL, "4.3.0", "temporary failure"},
    {EX_PROTOCOL, "5.5.0", "remote error in protocol"},
    {EX_NOPERM, "5.7.0", "permission denied"},
    {EX_CONFIG, "5.3.5", "local configuration error"},
};

const char *dsn_of_exit(int status, char code[10], bool *listed)
{
    *listed = true;
    if (status == EX_OK) {
        snprintf(code, 10, "2.0.0");
        return NULL;
    }
    for (size_t i = 0; i < sizeof exits / sizeof *exits; i++)
        if (exits[i].status == status) {
            snprintf(code, 10, "%s", exits[i].code);
            return exits[i].text;
        }
    *listed = false;
    snprintf(code, 10, "5.3.0");
    return "unknown mail system error";
}
