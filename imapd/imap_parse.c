#include "imap_parse.h"

#include "base/num.h"
#include "base/str.h"
#include "store/mailbox.h"

bool imap_take(struct imap_args *a, char c)
{
    if (a->rest.n == 0 || a->rest.p[0] != c)
        return false;
    a->rest = str_from(a->rest, 1);
    return true;
}

static void skip_blanks(struct imap_args *a)
{
    while (imap_take(a, ' '))
        ;
}

bool imap_take_space(struct imap_args *a)
{
    if (!imap_take(a, ' '))
        return false;
    skip_blanks(a);
    return true;
}

bool imap_is_end(const struct imap_args *a)
{
    struct imap_args rest = *a;

    skip_blanks(&rest);
    return rest.rest.n == 0;
}

bool imap_list_more(struct imap_args *a, size_t n)
{
    bool parted = imap_take_space(a);

    return (parted || n == 0) && a->rest.n > 0 && a->rest.p[0] != ')';
}

/* RFC 3501 9: ATOM-CHAR, with the exceptions that a place allows. 8-bit bytes are no CHAR. */
static bool is_atom_char(char c, const char *also)
{
    if (c <= ' ' || c == 127)
        return false;
    return strchr("(){%*\"\\]", c) == NULL || strchr(also, c) != NULL;
}

static bool take_run(struct imap_args *a, const char *also, struct str *out)
{
    size_t n = 0;

    while (n < a->rest.n && is_atom_char(a->rest.p[n], also))
        n++;
    if (n == 0)
        return false;
    *out = str_upto(a->rest, n);
    a->rest = str_from(a->rest, n);
    return true;
}

bool imap_take_atom(struct imap_args *a, struct str *out)
{
    return take_run(a, "", out);
}

bool imap_take_word(struct imap_args *a, const char *word)
{
    struct imap_args was = *a;
    struct str atom;

    if (imap_take_atom(a, &atom) && str_ieqz(atom, word))
        return true;
    *a = was;
    return false;
}

static bool take_quoted(struct imap_args *a, struct str *out)
{
    size_t n = 1, escapes = 0;

    if (a->rest.n == 0 || a->rest.p[0] != '"')
        return false;
    for (; n < a->rest.n && a->rest.p[n] != '"'; n++) {
        if (a->rest.p[n] == '\r' || a->rest.p[n] == '\n' || a->rest.p[n] == 0)
            return false;
        if (a->rest.p[n] == '\\') {
            n++;
            escapes++;
        }
    }
    if (n >= a->rest.n)
        return false;
    struct str raw = str_part(a->rest, 1, n - 1);
    a->rest = str_from(a->rest, n + 1);
    if (escapes == 0) {
        *out = raw;
        return true;
    }
    char *p = arena_alloc(a->mem, raw.n + 1);
    *out = (struct str){p, raw.n - escapes};
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\\')
            i++;
        *p++ = raw.p[i];
    }
    return true;
}

static bool take_literal(struct imap_args *a, struct str *out)
{
    struct imap_literal l;
    ptrdiff_t eol = a->rest.n > 0 && a->rest.p[0] == '{' ? str_find(a->rest, '\n') : -1;

    if (eol < 1)
        return false;
    struct str line = str_upto(a->rest, (size_t)eol);
    if (line.p[line.n - 1] == '\r')
        line.n--;
    if (imap_literal_at_end(line, &l) != LITERAL_FOUND || l.at != 0 ||
        l.size > a->rest.n - (size_t)eol - 1)
        return false;
    *out = str_part(a->rest, (size_t)eol + 1, (size_t)l.size);
    a->rest = str_from(a->rest, (size_t)eol + 1 + (size_t)l.size);
    return true;
}

bool imap_take_string(struct imap_args *a, struct str *out)
{
    return take_quoted(a, out) || take_literal(a, out);
}

bool imap_take_astring(struct imap_args *a, struct str *out)
{
    return imap_take_string(a, out) || take_run(a, "]", out);
}

bool imap_take_nstring(struct imap_args *a, struct str *out)
{
    if (!imap_take_word(a, "NIL"))
        return imap_take_string(a, out);
    *out = (struct str){NULL, 0};
    return true;
}

bool imap_take_list_mailbox(struct imap_args *a, struct str *out)
{
    return imap_take_string(a, out) || take_run(a, "]%*", out);
}

static struct str digits(const struct imap_args *a)
{
    size_t n = 0;

    while (n < a->rest.n && a->rest.p[n] >= '0' && a->rest.p[n] <= '9')
        n++;
    return str_upto(a->rest, n);
}

bool imap_take_number64(struct imap_args *a, uint64_t *out)
{
    struct str number = digits(a);

    if (!num_parse_u64(number, 0, INT64_MAX, out))
        return false;
    a->rest = str_from(a->rest, number.n);
    return true;
}

bool imap_take_number(struct imap_args *a, uint32_t *out)
{
    struct str number = digits(a);

    if (!num_parse_u32(number, 0, UINT32_MAX, out))
        return false;
    a->rest = str_from(a->rest, number.n);
    return true;
}

bool imap_take_set(struct imap_args *a, struct str *out)
{
    size_t n = 0;

    while (n < a->rest.n && a->rest.p[n] != 0 && strchr("0123456789:,*", a->rest.p[n]) != NULL)
        n++;
    if (n == 0)
        return false;
    *out = str_upto(a->rest, n);
    a->rest = str_from(a->rest, n);
    return true;
}

bool imap_take_flag(struct imap_args *a, struct str *out)
{
    struct imap_args was = *a;
    struct str word;
    bool system = imap_take(a, '\\');

    if (!imap_take_atom(a, &word)) {
        *a = was;
        return false;
    }
    *out = system ? (struct str){word.p - 1, word.n + 1} : word;
    return true;
}

enum imap_literal_kind imap_literal_at_end(struct str line, struct imap_literal *out)
{
    if (line.n < 1 || line.p[line.n - 1] != '}')
        return LITERAL_NONE;
    ptrdiff_t brace = str_rfind(line, '{');
    if (brace < 0)
        return LITERAL_NONE;
    struct str number = str_part(line, (size_t)brace + 1, line.n - (size_t)brace - 2);
    out->synchronising = !(number.n > 0 && number.p[number.n - 1] == '+');
    if (!out->synchronising)
        number.n--;
    out->at = (size_t)brace;
    if (number.n == 0)
        return LITERAL_NONE;
    if (num_parse_u64(number, 0, INT64_MAX, &out->size))
        return LITERAL_FOUND;
    for (size_t i = 0; i < number.n; i++)
        if (number.p[i] < '0' || number.p[i] > '9')
            return LITERAL_NONE;
    return LITERAL_MALFORMED;
}

uint32_t imap_flag(struct str name)
{
    static const struct {
        const char *name;
        uint32_t flag;
    } flags[] = {{"\\Seen", MSG_SEEN},
                 {"\\Answered", MSG_ANSWERED},
                 {"\\Flagged", MSG_FLAGGED},
                 {"\\Deleted", MSG_DELETED},
                 {"\\Draft", MSG_DRAFT}};

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (str_ieqz(name, flags[i].name))
            return flags[i].flag;
    return 0;
}
