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
    bool newline, any_case;
    bool atom; /* something that a quantifier may follow stands before */
    /* Where ^ and $ stand. */
    unsigned depth; /* of groups */
    unsigned first; /* so many of them began where nothing stood before */
    bool begun; /* something stands before in this alternative */
    bool anchored; /* there was a ^ or $ in the outermost alternative */
    bool ends, ended; /* a $ in the outermost alternative; before here */
};

static int cannot(struct state *s, const char *what)
{
    return why_set(s->why, "4.3.5", "%s", what);
}

/* What the C library makes of [+-Z] without regard to case is its secret. */
static bool has_odd_range(struct str b)
{
    for (size_t i = 2; i + 2 < b.n; i++) {
        unsigned char from = (unsigned char)b.p[i - 1], to = (unsigned char)b.p[i + 1];
        if (b.p[i] == '-' && !(isdigit(from) && isdigit(to)) && !(islower(from) && islower(to)) &&
            !(isupper(from) && isupper(to)))
            return true;
    }
    return false;
}

/*
 * Without the option m, ^ is the beginning of the text and $ its end. But if the C library has come
 * over a newline to a ^ in the middle of a pattern, it takes it for the beginning of a line, and
 * likewise $. So they are only said where they stand at the beginning and the end of all.
 */
static int put_anchor(struct state *s, char c)
{
    if (!s->newline && c == '^' && s->begun)
        return cannot(s, "a ^ that is not at the beginning");
    s->anchored = true;
    if (c == '$')
        s->begun = s->ends = s->ended = true;
    buf_addc(s->out, c);
    s->rest = str_from(s->rest, 1);
    s->atom = false;
    return 0;
}

static int put_group(struct state *s, char c)
{
    if (c == '(') {
        s->depth++;
        if (!s->begun)
            s->first = s->depth;
    } else if (c == '|') {
        s->begun = s->depth > s->first;
        s->ended = false;
        if (s->depth == 0)
            s->ends = s->anchored = false;
    } else {
        s->depth -= s->depth > 0;
        s->first = s->first < s->depth ? s->first : s->depth;
        s->begun = true;
        s->ended = s->ends;
    }
    buf_addc(s->out, c);
    s->rest = str_from(s->rest, 1);
    s->atom = c == ')';
    return 0;
}

/* In PCRE2 a backslash inside of brackets is special. With the option m a newline is in no [^...].
 */
static int put_bracket(struct state *s)
{
    size_t n = bracket_length(s->rest);
    struct str b = str_upto(s->rest, n);

    if (n == 0)
        return cannot(s, "a bracket that does not end");
    if (str_search(b, STR("[.")) >= 0 || str_search(b, STR("[=")) >= 0)
        return cannot(s, "[.collating.] or [=equivalent=] elements");
    if (s->any_case && has_odd_range(b))
        return cannot(s, "a range of other than letters or digits that does not heed case");
    for (size_t i = 0; i < n; i++) {
        /* Behind "[" and "[^" a "]" is a member. */
        bool member = b.p[i] == ']' && i + 1 < n && (i == 1 || (i == 2 && b.p[1] == '^'));
        if (b.p[i] == '\\' || member)
            buf_addc(s->out, '\\');
        buf_addc(s->out, b.p[i]);
        if (i == 1 && b.p[1] == '^' && s->newline)
            buf_addz(s->out, "\\n");
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
    else if (isalnum((unsigned char)c) && s->any_case)
        return cannot(s, "a letter behind a backslash that does not heed case");
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
    if (!s->newline && s->anchored && s->rest.p[-1] == ')')
        return cannot(s, "^ or $ in what is repeated");
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

    if (c == '^' || c == '$')
        return put_anchor(s, c);
    if (strchr("(|)", c) != NULL)
        return put_group(s, c);
    if (strchr("*+?{", c) != NULL)
        return put_quantifier(s);
    if (s->ended && !s->newline)
        return cannot(s, "a $ that is not at the end");
    s->begun = true;
    if (c == '[')
        return put_bracket(s);
    if (c == '\\')
        return put_escape(s);
    buf_addc(s->out, c);
    s->rest = str_from(s->rest, 1);
    s->atom = true;
    return 0;
}

int posix_to_pcre(struct str pattern, bool newline, bool any_case, struct buf *out, struct why *why)
{
    struct state s = {
        .rest = pattern, .out = out, .why = why, .newline = newline, .any_case = any_case};

    while (s.rest.n > 0)
        if (put_next(&s) < 0)
            return -1;
    return buf_ok(out) ? 0 : why_set(why, "4.3.5", "pattern is too long");
}
