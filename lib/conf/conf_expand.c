#include "conf/conf_expand.h"

#include "base/num.h"
#include "base/str.h"
#include "conf/conf_lines.h"

enum {
    MAX_DEPTH = 100, /* values within values: only a loop is deeper */
    MAX_FINDS = 100000, /* values that double at each level would take for ever */
};

struct expander {
    unsigned flags;
    conf_find_fn *find;
    void *arg;
    unsigned depth;
    unsigned finds;
    struct why *why;
};

static int expand(struct expander *x, struct str text, struct buf *out);

static int syntax_error(struct expander *x, const char *what, struct str at)
{
    return why_set(x->why, "4.3.5", "%s at: \"%.*s\"", what, (int)at.n, at.p);
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t name_length(struct str s)
{
    size_t n = 0;
    while (n < s.n && is_name_char(s.p[n]))
        n++;
    return n;
}

static struct str skip_blank(struct str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || (s.p[0] >= '\t' && s.p[0] <= '\r')))
        s = str_from(s, 1);
    return s;
}

/* Cuts "{text}" off rest. */
static int take_braces(struct expander *x, struct str *rest, struct str *text)
{
    if (rest->n == 0 || rest->p[0] != '{')
        return syntax_error(x, "\"{expression}\" expected", *rest);
    size_t n = conf_braces(*rest);
    if (n == 0)
        return syntax_error(x, "unbalanced {} in attribute expression", *rest);
    *text = str_part(*rest, 1, n - 2);
    *rest = skip_blank(str_from(*rest, n));
    return 0;
}

/* "3", "3.6" or "3.10.2" as one number that sorts; false if malformed. */
static bool parse_level(struct str s, int64_t *level)
{
    struct str part, rest = str_trim(s);
    int64_t n, sum = 0;
    int parts = 0;

    if (s.n == 0 || rest.n + (size_t)(rest.p - s.p) != s.n || s.p[s.n - 1] == '.')
        return false;
    for (; str_split(&rest, '.', &part); parts++) {
        if (parts == 3 || !num_parse(part, 0, parts == 0 ? 2047 : 1023, &n))
            return false;
        sum = (sum << 10) + n;
    }
    *level = sum << (10 * (3 - parts));
    return true;
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

/* Less than, equal to or greater than 0 in *order. */
static int compare(struct expander *x, bool as_levels, struct str a, struct str b, int *order)
{
    int64_t m, n;

    if (as_levels) {
        if (!parse_level(a, &m))
            return syntax_error(x, "malformed compatibility level", a);
        if (!parse_level(b, &n))
            return syntax_error(x, "malformed compatibility level", b);
    } else if (all_digits(a) && all_digits(b)) {
        if (!num_parse(a, 0, INT64_MAX, &m))
            return syntax_error(x, "number too large", a);
        if (!num_parse(b, 0, INT64_MAX, &n))
            return syntax_error(x, "number too large", b);
    } else {
        *order = str_cmp(a, b);
        return 0;
    }
    *order = (m > n) - (m < n);
    return 0;
}

enum { LESS = 1, EQUAL = 2, GREATER = 4 };

/* The operator at the start of rest as the set of orders that make it true, or -1. */
static int take_operator(struct expander *x, struct str *rest, bool *as_levels)
{
    static const struct {
        const char *text;
        int accepts;
    } operators[] = {
        {"==", EQUAL}, {"!=", LESS | GREATER},  {"<=", LESS | EQUAL},
        {"<", LESS},   {">=", GREATER | EQUAL}, {">", GREATER},
    };
    struct str from = *rest;

    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!str_starts(*rest, strz(operators[i].text)))
            continue;
        *rest = str_from(*rest, strlen(operators[i].text));
        *as_levels = str_starts(*rest, STR("level"));
        if (*as_levels)
            *rest = str_from(*rest, 5);
        if (rest->n > 0 && rest->p[0] != '{' && skip_blank(*rest).n == rest->n)
            return syntax_error(x, "bad operator suffix", *rest);
        *rest = skip_blank(*rest);
        return operators[i].accepts;
    }
    return syntax_error(x, "== != < <= > or >= expected", from);
}

static bool fits(struct expander *x, const struct buf *b)
{
    if (!buf_ok(b))
        why_set(x->why, "4.3.5", "a side of a comparison is longer than %zu bytes", b->max);
    return buf_ok(b);
}

/* {a} OPERATOR {b} */
static int take_comparison(struct expander *x, struct str *rest, bool *truth)
{
    /* asked: by fits() */
    struct buf left = BUF(100000), right = BUF(100000);
    struct str a, b;
    bool as_levels;
    int order, accepts, result = -1;

    if (take_braces(x, rest, &a) == 0 && (accepts = take_operator(x, rest, &as_levels)) >= 0 &&
        take_braces(x, rest, &b) == 0 && expand(x, a, &left) == 0 && expand(x, b, &right) == 0 &&
        fits(x, &left) && fits(x, &right) &&
        compare(x, as_levels, buf_str(&left), buf_str(&right), &order) == 0) {
        *truth = (accepts & (order < 0 ? LESS : order > 0 ? GREATER : EQUAL)) != 0;
        result = 0;
    }
    buf_free(&left);
    buf_free(&right);
    return result;
}

/* The texts after '?' and ':'. Unbraced text runs to the end; absent ones stay null. */
static int take_choice(struct expander *x, struct str rest, struct str *then, struct str *otherwise)
{
    struct str text;

    if (rest.n > 0 && rest.p[0] == '?') {
        *then = str_from(rest, 1);
        text = skip_blank(*then);
        if (text.n == 0 || text.p[0] != '{')
            return 0;
        if (take_braces(x, &text, then) < 0)
            return -1;
        if (text.n == 0)
            return 0;
        if (text.p[0] != ':')
            return syntax_error(x, "\":\" expected", text);
        rest = text;
    }
    if (rest.n == 0)
        return 0;
    if (rest.p[0] != ':')
        return syntax_error(x, "attribute name syntax error", rest);
    *otherwise = str_from(rest, 1);
    text = skip_blank(*otherwise);
    if (text.n == 0 || text.p[0] != '{')
        return 0;
    if (take_braces(x, &text, otherwise) < 0)
        return -1;
    return text.n == 0 ? 0 : syntax_error(x, "unexpected input", text);
}

static int expand_value(struct expander *x, struct str name, const char *value, struct buf *out)
{
    if (!(x->flags & EXPAND_RECURSE)) {
        buf_addz(out, value);
        return 0;
    }
    if (x->depth >= MAX_DEPTH)
        return why_set(x->why, "4.3.5", "the value refers to itself through $%.*s", (int)name.n,
                       name.p);
    return expand(x, strz(value), out);
}

static int find_value(struct expander *x, struct str name, const char **value)
{
    if (++x->finds > MAX_FINDS)
        return why_set(x->why, "4.3.5", "too many $names in values of $names");
    *value = x->find(name, x->arg);
    return 0;
}

/* What stands between ${ and }. */
static int expand_reference(struct expander *x, struct str body, struct buf *out)
{
    struct str then = {0}, otherwise = {0}, name = {0}, rest = skip_blank(body);
    const char *value = NULL;
    bool truth;

    if (rest.n > 0 && rest.p[0] == '{') {
        if (take_comparison(x, &rest, &truth) < 0)
            return -1;
    } else {
        name = str_upto(rest, name_length(rest));
        rest = skip_blank(str_from(rest, name.n));
        if (name.n == 0)
            return syntax_error(x, body.n == 0 ? "empty macro name" : "attribute name syntax error",
                                body);
        if (find_value(x, name, &value) < 0)
            return -1;
        truth = value != NULL && value[0] != '\0';
    }
    bool bare = rest.n == 0;
    if (take_choice(x, rest, &then, &otherwise) < 0)
        return -1;
    if (bare && name.n == 0)
        buf_addz(out, truth ? "true" : "");
    else if (bare)
        return value == NULL ? 0 : expand_value(x, name, value, out);
    else
        return expand(x, truth ? then : otherwise, out);
    return 0;
}

/* The length of "(...)" or "{...}" with both ends, or 0. */
static size_t balanced(struct str s)
{
    char open = s.p[0], close = open == '{' ? '}' : ')';
    size_t depth = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == open)
            depth++;
        else if (s.p[i] == close && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* What begins with a $; *used is how much of it was taken. */
static int expand_dollar(struct expander *x, struct str s, struct buf *out, size_t *used)
{
    const char *value;

    if (s.n > 1 && s.p[1] == '$') {
        buf_addc(out, '$');
        *used = 2;
        return 0;
    }
    if (s.n > 1 && (s.p[1] == '{' || s.p[1] == '(')) {
        size_t n = balanced(str_from(s, 1));
        if (n == 0)
            return syntax_error(x, "truncated macro reference", s);
        *used = n + 1;
        return expand_reference(x, str_part(s, 2, n - 2), out);
    }
    struct str name = str_part(s, 1, name_length(str_from(s, 1)));
    if (name.n == 0)
        return syntax_error(x, "empty macro name", s);
    *used = name.n + 1;
    if (find_value(x, name, &value) < 0)
        return -1;
    return value == NULL ? 0 : expand_value(x, name, value, out);
}

static int expand(struct expander *x, struct str text, struct buf *out)
{
    int result = 0;

    if (++x->depth > MAX_DEPTH + 1)
        result = why_set(x->why, "4.3.5", "expressions nested too deep");
    while (result == 0 && text.n > 0) {
        ptrdiff_t at = str_find(text, '$');
        size_t used = 0;
        buf_add(out, at < 0 ? text : str_upto(text, (size_t)at));
        if (at < 0)
            break;
        text = str_from(text, (size_t)at);
        result = expand_dollar(x, text, out, &used);
        if (result == 0)
            text = str_from(text, used);
    }
    x->depth--;
    if (result == 0 && !buf_ok(out))
        result = why_set(x->why, "4.3.5", "the expanded value is longer than %zu bytes", out->max);
    return result;
}

int conf_expand_text(struct str text, unsigned flags, conf_find_fn *find, void *arg,
                     struct buf *out, struct why *why)
{
    struct expander x = {.flags = flags, .find = find, .arg = arg, .why = why};
    return expand(&x, text, out);
}
