#include "dict/posix_pattern.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"

/* How far the bracket expression at the start of s goes; 0: it does not end. */
static size_t bracket_length(struct str s)
{
    size_t i = 1;

    if (i < s.n && s.p[i] == '^')
        i++;
    if (i < s.n && s.p[i] == ']')
        i++;
    for (; i < s.n && s.p[i] != ']'; i++) {
        if (s.p[i] != '[' || i + 1 >= s.n || strchr(":.=", s.p[i + 1]) == NULL)
            continue;
        char close[2] = {s.p[i + 1], ']'};
        ptrdiff_t end = str_search(str_from(s, i + 2), (struct str){close, 2});
        if (end < 0)
            return 0;
        i += 2 + (size_t)end + 1;
    }
    return i < s.n ? i + 1 : 0;
}

bool posix_has_reference(struct str s)
{
    while (s.n > 0) {
        size_t n = s.p[0] == '[' ? bracket_length(s) : s.p[0] == '\\' ? 2 : 1;
        if (s.p[0] == '\\' && s.n > 1 && s.p[1] >= '1' && s.p[1] <= '9')
            return true;
        s = str_from(s, n > 0 ? n : 1);
    }
    return false;
}

struct state {
    struct str rest;
    struct buf *out;
    struct why *why;
    bool newline;
    bool atom; /* something that a quantifier may follow stands before */
};

static int cannot(struct state *s, const char *what)
{
    return why_set(s->why, "4.3.5", "back reference together with %s: use a pcre: table", what);
}

/* In PCRE2 a backslash inside of brackets is special. */
static int put_bracket(struct state *s)
{
    size_t n = bracket_length(s->rest);
    struct str b = str_upto(s->rest, n);

    if (n == 0)
        return cannot(s, "a bracket that does not end");
    if (str_search(b, STR("[.")) >= 0 || str_search(b, STR("[=")) >= 0)
        return cannot(s, "[.collating.] or [=equivalent=] elements");
    if (s->newline && b.p[1] == '^')
        return cannot(s, "[^...] and the option m");
    for (size_t i = 0; i < n; i++) {
        /* Behind "[" and "[^" a "]" is a member. */
        bool member = b.p[i] == ']' && i + 1 < n && (i == 1 || (i == 2 && b.p[1] == '^'));
        if (b.p[i] == '\\' || member)
            buf_addc(s->out, '\\');
        buf_addc(s->out, b.p[i]);
    }
    s->rest = str_from(s->rest, n);
    s->atom = true;
    return 0;
}

static int put_escape(struct state *s)
{
    static const char same[] = "wWsSbB";

    if (s->rest.n < 2)
        return cannot(s, "a backslash at the end");
    char c = s->rest.p[1];
    if (c >= '1' && c <= '9')
        buf_addf(s->out, "\\g{%c}", c);
    else if (strchr(same, c) != NULL)
        buf_addf(s->out, "\\%c", c);
    else if (c == '<')
        buf_addz(s->out, "\\b(?=\\w)");
    else if (c == '>')
        buf_addz(s->out, "\\b(?<=\\w)");
    else if (c == '`')
        buf_addz(s->out, "\\A");
    else if (c == '\'')
        buf_addz(s->out, "\\z");
    else if (isalnum((unsigned char)c))
        buf_addc(s->out, c);
    else
        buf_addf(s->out, "\\%c", c);
    s->rest = str_from(s->rest, 2);
    s->atom = strchr("bB<>`'", c) == NULL;
    return 0;
}

/* "{2}", "{2,}", "{,3}", "{2,3}"; 0: it is none. */
static size_t interval_length(struct str s)
{
    size_t i = 1, digits = 0;

    for (; i < s.n && (isdigit((unsigned char)s.p[i]) || s.p[i] == ','); i++)
        digits += s.p[i] != ',';
    return i < s.n && s.p[i] == '}' && digits > 0 ? i + 1 : 0;
}

/* In PCRE2 a second quantifier means something else. */
static int put_quantifier(struct state *s)
{
    size_t n = s->rest.p[0] == '{' ? interval_length(s->rest) : 1;

    if (!s->atom || n == 0)
        return cannot(s, "a quantifier that has nothing to repeat");
    if (n > 1 && s->rest.p[1] == ',')
        buf_addf(s->out, "{0%.*s", (int)n - 1, s->rest.p + 1);
    else
        buf_add(s->out, str_upto(s->rest, n));
    s->rest = str_from(s->rest, n);
    s->atom = false;
    return 0;
}

static int put_next(struct state *s)
{
    char c = s->rest.p[0];

    if (c == '[')
        return put_bracket(s);
    if (c == '\\')
        return put_escape(s);
    if (strchr("*+?{", c) != NULL)
        return put_quantifier(s);
    buf_addc(s->out, c);
    s->rest = str_from(s->rest, 1);
    s->atom = strchr("(|^$", c) == NULL;
    return 0;
}

int posix_to_pcre(struct str pattern, bool newline, struct buf *out, struct why *why)
{
    struct state s = {.rest = pattern, .out = out, .why = why, .newline = newline};

    while (s.rest.n > 0)
        if (put_next(&s) < 0)
            return -1;
    return buf_ok(out) ? 0 : why_set(why, "4.3.5", "pattern is too long");
}
