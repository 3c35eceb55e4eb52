#include "mail/path.h"

#include "base/str.h"

/* RFC 5322 3.2.3 atext, and "." */
static bool is_atom(char c, bool utf8)
{
    unsigned char u = (unsigned char)c;
    return u >= 0x80 ? utf8 : u > ' ' && u < 127 && strchr("()<>[]:;@\\,\"", c) == NULL;
}

static bool path_take(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_from(*s, 1);
    return true;
}

static bool take_quoted(struct str *s, bool utf8, struct buf *out)
{
    size_t i = 1;

    for (; i < s->n && s->p[i] != '"'; i++) {
        if (s->p[i] == '\\' && ++i == s->n)
            return false;
        unsigned char c = (unsigned char)s->p[i];
        if (c < ' ' || c == 127 || (c > 127 && !utf8))
            return false;
        buf_addc(out, s->p[i]);
    }
    if (i == s->n)
        return false;
    *s = str_from(*s, i + 1);
    return true;
}

static bool take_atoms(struct str *s, bool utf8, struct buf *out)
{
    size_t n = 0;
    while (n < s->n && is_atom(s->p[n], utf8))
        n++;
    buf_add(out, str_upto(*s, n));
    *s = str_from(*s, n);
    return n > 0;
}

/* Words and quoted strings may alternate around dots: a."b c".d is old but legal (RFC 5322 4.4).
 * Without a dot between them they are no address: "a"b is not ab. */
static bool take_local(struct str *s, bool utf8, struct buf *out)
{
    char before = '.';

    while (s->n > 0 && (s->p[0] == '"' || is_atom(s->p[0], utf8))) {
        if (s->p[0] == '"' ? before != '.' : before == '"' && s->p[0] != '.')
            return false;
        bool quoted = s->p[0] == '"';
        if (quoted ? !take_quoted(s, utf8, out) : !take_atoms(s, utf8, out))
            return false;
        before = quoted ? '"' : out->p[out->n - 1];
    }
    return true;
}

static bool take_domain(struct str *s, bool utf8, struct buf *out)
{
    if (s->n == 0 || s->p[0] != '[')
        return take_atoms(s, utf8, out);
    ptrdiff_t end = str_find(*s, ']');
    if (end < 0)
        return false;
    for (ptrdiff_t i = 1; i < end; i++)
        if (s->p[i] <= ' ' || s->p[i] == 127 || strchr("[\\<>@\",", s->p[i]) != NULL)
            return false;
    buf_add(out, str_upto(*s, (size_t)end + 1));
    *s = str_from(*s, (size_t)end + 1);
    return true;
}

static bool take_mailbox(struct str *s, bool utf8, struct buf *out)
{
    size_t from = out->n, had = s->n;

    if (!take_local(s, utf8, out) || s->n == had)
        return false;
    if (!path_take(s, '@')) /* the internal form of "a@b" alone would be that of a@b */
        return str_find(str_from(buf_str(out), from), '@') < 0;
    buf_addc(out, '@');
    return take_domain(s, utf8, out);
}

static bool skip_route(struct str *s, bool utf8)
{
    struct buf dropped = BUF(1024);
    bool good = true;

    while (good && path_take(s, '@')) {
        good = take_domain(s, utf8, &dropped) && buf_ok(&dropped);
        path_take(s, ',');
        buf_clear(&dropped);
    }
    buf_free(&dropped);
    return good && path_take(s, ':');
}

static void skip_blanks(struct str *s)
{
    while (path_take(s, ' ') || path_take(s, '\t'))
        ;
}

static bool take_path(struct str *s, unsigned flags, struct buf *address)
{
    bool utf8 = (flags & PATH_UTF8) != 0;

    if (s->n > 0 && s->p[0] == '@' && !skip_route(s, utf8))
        return false;
    return (s->n > 0 && s->p[0] == '>') || take_mailbox(s, utf8, address);
}

/* Programs that were told to send as "<a@b>" put brackets around it, and some put blanks inside. */
static bool take_brackets(struct str *s, unsigned flags, struct buf *address)
{
    bool lenient = (flags & PATH_BARE) != 0;
    size_t depth = 1;

    for (; lenient && (path_take(s, ' ') || path_take(s, '<')); depth += s->p[-1] == '<')
        ;
    if (!take_path(s, flags, address))
        return false;
    for (; depth > 0; depth--) {
        if (lenient)
            skip_blanks(s);
        if (!path_take(s, '>'))
            return false;
    }
    return true;
}

bool path_parse(struct str *args, unsigned flags, struct buf *address)
{
    struct str s = *args;

    skip_blanks(&s);
    bool angle = path_take(&s, '<');
    if (!angle && (flags & PATH_BARE) == 0)
        return false;
    if (angle ? !take_brackets(&s, flags, address)
              : !take_mailbox(&s, (flags & PATH_UTF8) != 0, address))
        return false;
    if (address->n == 0 && (flags & PATH_NULL) == 0) /* <>, and also <""> */
        return false;
    if (!buf_ok(address) || (s.n > 0 && s.p[0] != ' ' && s.p[0] != '\t') ||
        (s.n > 0 && (flags & PATH_WHOLE) != 0))
        return false;
    *args = s;
    return true;
}

static bool is_dot_string(struct str s)
{
    if (s.n == 0 || s.p[0] == '.' || s.p[s.n - 1] == '.' || str_search(s, STR("..")) >= 0)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_atom(s.p[i], true))
            return false;
    return true;
}

void path_quote(struct str internal, struct buf *external)
{
    struct str local = path_local(internal);

    if (internal.n == 0 || is_dot_string(local)) {
        buf_add(external, internal);
        return;
    }
    buf_addc(external, '"');
    for (size_t i = 0; i < local.n; i++) {
        if (local.p[i] == '"' || local.p[i] == '\\')
            buf_addc(external, '\\');
        buf_addc(external, local.p[i]);
    }
    buf_addc(external, '"');
    buf_add(external, str_from(internal, local.n));
}

bool path_unquote(struct str external, struct buf *internal)
{
    return external.n == 0 ||
           (take_mailbox(&external, true, internal) && external.n == 0 && buf_ok(internal));
}

struct str path_local(struct str internal)
{
    ptrdiff_t at = str_rfind(internal, '@');
    return at < 0 ? internal : str_upto(internal, (size_t)at);
}

struct str path_domain(struct str internal)
{
    ptrdiff_t at = str_rfind(internal, '@');
    return at < 0 ? str_from(internal, internal.n) : str_from(internal, (size_t)at + 1);
}
