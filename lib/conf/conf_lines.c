#include "conf/conf_lines.h"

#include "base/str.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct str ltrim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0]))
        s = str_from(s, 1);
    return s;
}

static struct str rtrim(struct str s)
{
    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* The physical line at the start of rest, without its line end; next is what follows. */
static struct str physical(struct str rest, struct str *next)
{
    ptrdiff_t end = str_find(rest, '\n');

    if (end < 0) {
        *next = str_from(rest, rest.n);
        return rest;
    }
    *next = str_from(rest, (size_t)end + 1);
    return str_upto(rest, (size_t)end);
}

static bool is_comment(struct str line)
{
    struct str text = ltrim(line);
    return text.n == 0 || text.p[0] == '#';
}

bool conf_lines_next(struct conf_lines *l, struct buf *line, unsigned *first, unsigned *last)
{
    bool any = false;

    buf_clear(line);
    while (l->rest.n > 0) {
        struct str next, text = physical(l->rest, &next);
        if (any && !is_comment(text) && !is_space(text.p[0]))
            break;
        l->rest = next;
        l->line++;
        if (is_comment(text))
            continue;
        if (!any && first != NULL)
            *first = l->line;
        if (last != NULL)
            *last = l->line;
        any = true;
        buf_add(line, text);
    }
    buf_cut(line, rtrim(buf_str(line)).n);
    return any;
}

const char *conf_split_setting(struct str line, struct str *name, struct str *value)
{
    struct str s = ltrim(line);
    size_t n = 0;

    if (s.n == 0 || s.p[0] == '=')
        return "missing attribute name";
    while (n < s.n && s.p[n] != '=' && !is_space(s.p[n]))
        n++;
    *name = str_upto(s, n);
    s = ltrim(str_from(s, n));
    if (s.n == 0 || s.p[0] != '=')
        return "missing '=' after attribute name";
    *value = rtrim(ltrim(str_from(s, 1)));
    return NULL;
}

size_t conf_braces(struct str s)
{
    size_t depth = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '{')
            depth++;
        else if (s.p[i] == '}' && --depth == 0)
            return i + 1;
    }
    return 0;
}
