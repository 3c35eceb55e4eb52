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
    char repeated; /* the quantifier that stands before, or 0: "*", "+", "?" or "{" */
    bool odd; /* there is a ^ or $ of which the C library makes more */
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

/*
 * Without the option m, ^ is the beginning of the text and $ its end. But if the C library has come
 * over a newline to a ^ in the middle of a pattern, it takes it for the beginning of a line, and
 * likewise $. So it is odd where they stand elsewhere than at the beginning and the end of all.
 */
static int put_anchor(struct state *s, char c)
{
    s->odd = s->odd || (!s->newline && c == '^' && s->begun);
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
    bool alone = c == ')' && s->depth == 0; /* then it means itself */

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
        s->depth -= !alone;
        s->first = s->first < s->depth ? s->first : s->depth;
        s->begun = true;
        s->ended = s->ends;
    }
    buf_addz(s->out, alone ? "\\" : "");
    buf_addc(s->out, c);
    s->rest = str_from(s->rest, 1);
    s->atom = c == ')';
    return 0;
}

/* Inside of brackets. */
static void put_byte(struct state *s, unsigned char c)
{
    buf_addf(s->out, isalnum(c) ? "%c" : "\\x%02x", c);
}

static void put_range(struct state *s, unsigned char from, unsigned char to)
{
    if (from > to)
        return;
    put_byte(s, from);
    buf_addc(s->out, '-');
    put_byte(s, to);
}

/* Where case does not count the C library makes capitals of the ends, and of the text: small
 * letters are in a range only as the capitals that they become. */
static void put_folded_range(struct state *s, unsigned char from, unsigned char to)
{
    from = (unsigned char)toupper(from);
    to = (unsigned char)toupper(to);
    put_range(s, from, to < 'a' ? to : 'a' - 1);
    put_range(s, from > 'z' ? from : 'z' + 1, to);
}

/* What stands at b[i]: a class, a range, a byte. How long it is. */
static size_t put_member(struct state *s, struct str b, size_t i)
{
    struct str rest = str_from(b, i);
    unsigned char from = (unsigned char)b.p[i];

    if (str_starts(rest, STR("[:"))) {
        size_t n = (size_t)str_search(rest, STR(":]")) + 2;
        buf_add(s->out, str_upto(rest, n));
        return n;
    }
    if (rest.n < 4 || rest.p[1] != '-') { /* "-]" is no range */
        put_byte(s, from);
        return 1;
    }
    if (s->any_case)
        put_folded_range(s, from, (unsigned char)rest.p[2]);
    else
        put_range(s, from, (unsigned char)rest.p[2]);
    return 3;
}

/* In PCRE2 a backslash inside of brackets is special. With the option m a newline is in no [^...].
 */
static int put_bracket(struct state *s)
{
    size_t n = bracket_length(s->rest), i = 1;
    struct str b = str_upto(s->rest, n);

    if (n == 0)
        return cannot(s, "a bracket that does not end");
    if (str_search(str_from(b, 1), STR("[.")) >= 0 || str_search(str_from(b, 1), STR("[=")) >= 0)
        return cannot(s, "[.collating.] or [=equivalent=] elements");
    buf_addc(s->out, '[');
    if (b.p[1] == '^') {
        buf_addz(s->out, s->newline ? "^\\n" : "^");
        i = 2;
    }
    do
        i += put_member(s, b, i);
    while (i + 1 < n);
    buf_addc(s->out, ']');
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
    else if (islower((unsigned char)c) && s->any_case)
        buf_addz(s->out, "[^\\x00-\\xff]"); /* all of the text becomes capitals, it does not */
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

/* In PCRE2 a second quantifier means something else: "a*?" is said as "a*". */
static int put_second_quantifier(struct state *s, char c)
{
    if (c == '{' || s->repeated == '{')
        return cannot(s, "a quantifier behind or before {}");
    if (c != s->repeated)
        s->out->p[s->out->n - 1] = s->repeated = '*';
    s->rest = str_from(s->rest, 1);
    return 0;
}

static int put_quantifier(struct state *s, char c)
{
    size_t n = c == '{' ? interval_length(s->rest) : 1;

    if (s->repeated != 0)
        return put_second_quantifier(s, c);
    if (!s->atom || n == 0)
        return cannot(s, "a quantifier that has nothing to repeat");
    s->odd = s->odd || (!s->newline && s->anchored && s->rest.p[-1] == ')');
    if (n > 1 && s->rest.p[1] == ',')
        buf_addf(s->out, "{0%.*s", (int)n - 1, s->rest.p + 1);
    else
        buf_add(s->out, str_upto(s->rest, n));
    s->rest = str_from(s->rest, n);
    s->atom = false;
    s->repeated = c;
    return 0;
}

static int put_next(struct state *s)
{
    char c = s->rest.p[0];

    if (strchr("*+?{", c) != NULL)
        return put_quantifier(s, c);
    s->repeated = 0;
    if (c == '^' || c == '$')
        return put_anchor(s, c);
    if (strchr("(|)", c) != NULL)
        return put_group(s, c);
    s->odd = s->odd || (s->ended && !s->newline);
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
    return buf_ok(out) ? s.odd : why_set(why, "4.3.5", "pattern is too long");
}
