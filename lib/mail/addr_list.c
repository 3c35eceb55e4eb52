#include "mail/addr_list.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "mail/path.h"

/* kind: 'a' atom, '"' quoted string, '[' domain literal, '(' comment, '.' what joins words, or the
 * special itself. */
struct token {
    char kind;
    struct str text; /* with its delimiters */
};
struct tokens {
    struct token *at;
    size_t n;
};

static bool is_special(char c)
{
    return c != 0 && strchr("()<>[]:;@\\,\"", c) != NULL;
}

/* The length of what begins with an opening delimiter; to the end of the text if it never closes.
 * Counted, not recursive: depth costs nothing. */
static size_t delimited(struct str s, char open, char close)
{
    size_t depth = 1, i = 1;

    for (; i < s.n && depth > 0; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n)
            i++;
        else if (s.p[i] == close)
            depth--;
        else if (s.p[i] == open && open == '(')
            depth++;
    }
    return i;
}

static size_t token_length(struct str s, char *kind)
{
    char c = s.p[0];
    size_t n = 0;

    *kind = c;
    if (c == '"')
        return delimited(s, '"', '"');
    if (c == '(')
        return delimited(s, '(', ')');
    if (c == '[')
        return delimited(s, '[', ']');
    if (is_special(c) && c != '\\')
        return 1;
    *kind = 'a';
    while (n < s.n && (unsigned char)s.p[n] > ' ' && s.p[n] != 127 &&
           (!is_special(s.p[n]) || s.p[n] == '\\'))
        n += s.p[n] == '\\' && n + 1 < s.n ? 2 : 1;
    return n > 0 ? n : 1;
}

static bool tokenize(struct arena *mem, struct str text, size_t limit, struct tokens *out)
{
    VEC(struct token) v = {0};
    size_t i = 0;

    while (i < text.n && v.n < limit) {
        unsigned char c = (unsigned char)text.p[i];
        if (c <= ' ' || c == 127) {
            i++;
            continue;
        }
        char kind;
        size_t n = token_length(str_from(text, i), &kind);
        *VEC_ADD(&v) = (struct token){kind, str_part(text, i, n)};
        i += n;
    }
    out->n = v.n;
    out->at = arena_array(mem, v.n + 1, sizeof *v.at);
    if (v.n > 0)
        memcpy(out->at, v.at, v.n * sizeof *v.at);
    VEC_FREE(&v);
    return i < text.n;
}

/* The content of a quoted string or comment; line ends of folding are left out. */
static void add_plain(const struct token *t, struct buf *out)
{
    struct str s = t->text;
    char close = t->kind == '"' ? '"' : t->kind == '(' ? ')' : 0;

    if (close != 0)
        s = str_part(s, 1, s.n - 1 - (s.n > 1 && s.p[s.n - 1] == close));
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n)
            i++;
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\t' || (c >= ' ' && c != 127))
            buf_addc(out, s.p[i]);
    }
}

static bool is_word(const struct token *t)
{
    return t->kind == 'a' || t->kind == '"' || t->kind == '[';
}

/* No word gets longer when its quotes go; a blank may stand before each. */
static size_t plain_size(const struct token *a, const struct token *b)
{
    size_t n = 0;

    for (const struct token *t = a; t < b; t++)
        n += t->text.n + 1;
    return n;
}

/* Words from a to b as a phrase: parted by single blanks. */
static struct str phrase(struct arena *mem, const struct token *a, const struct token *b)
{
    struct buf out = BUF(plain_size(a, b)); /* fits: see there */

    for (const struct token *t = a; t < b; t++) {
        if (t->kind == '(')
            continue;
        if (out.n > 0 && is_word(t))
            buf_addc(&out, ' ');
        add_plain(t, &out);
    }
    struct str s = arena_str(mem, buf_str(&out));
    buf_free(&out);
    return s;
}

/* Words without blanks between: the parts of an address. */
static struct str joined(struct arena *mem, const struct token *a, const struct token *b)
{
    struct buf out = BUF(plain_size(a, b)); /* fits: see there */

    for (const struct token *t = a; t < b; t++)
        if (t->kind == '[')
            buf_add(&out, t->text);
        else if (t->kind != '(')
            add_plain(t, &out);
    struct str s = arena_str(mem, buf_str(&out));
    buf_free(&out);
    return s;
}

static struct str span(const struct token *a, const struct token *b)
{
    while (a < b && a->kind == '(')
        a++;
    while (a < b && b[-1].kind == '(')
        b--;
    if (a == b)
        return (struct str){a->text.p, 0};
    return (struct str){a->text.p, (size_t)(b[-1].text.p + b[-1].text.n - a->text.p)};
}

static const struct token *last_at(const struct token *a, const struct token *b)
{
    for (const struct token *t = b; t > a; t--)
        if (t[-1].kind == '@')
            return t - 1;
    return NULL;
}

/* One of the characters that join the words beside them to one address: "a . b", "host ! user". */
static bool joins(char c)
{
    return c == '.' || c == '!' || c == '%' || c == '|';
}

/* Where the bare address that begins at t ends. A word that nothing joins to the one before begins
 * another: "a@x b@y" are two addresses whose comma was forgotten. */
static const struct token *bare_end(const struct token *t, const struct token *end)
{
    bool joined_on = true;

    for (const struct token *from = t; t < end; t++) {
        if (t->kind == '(')
            continue;
        bool word = is_word(t);
        if (word && !joined_on && !joins(t->text.p[0]))
            break;
        if (!word && t->kind != '@' && t->kind != '.')
            return t > from ? t : t + 1;
        joined_on = !word || (t->kind == 'a' && joins(t->text.p[t->text.n - 1]));
    }
    return t;
}

static void set_spec(struct arena *mem, const struct token *a, const struct token *b,
                     struct addr *out)
{
    const struct token *at = last_at(a, b);

    out->spec = span(a, b);
    out->local = joined(mem, a, at != NULL ? at : b);
    out->domain = at != NULL ? joined(mem, at + 1, b) : (struct str){"", 0};
}

/* Name <route:spec>; open is the "<", end its ">" or the end. Brackets around brackets are none. */
static void angle(struct arena *mem, const struct token *a, const struct token *open,
                  const struct token *end, struct addr *out)
{
    const struct token *from = open + 1;

    out->name = phrase(mem, a, open);
    while (from < end && from->kind == '<')
        from++;
    for (const struct token *t = from; t < end; t++)
        if (t->kind == ':') {
            out->route = joined(mem, from, t);
            from = t + 1;
        }
    set_spec(mem, from, end, out);
    if (from == end)
        out->spec = (struct str){open->text.p + 1, 0};
}

static void set_comment_name(struct arena *mem, const struct token *a, const struct token *b,
                             struct addr *out)
{
    struct buf text = BUF(plain_size(a, b)); /* fits: see there */

    for (const struct token *t = a; t < b && out->name.n == 0; t++)
        if (t->kind == '(') {
            add_plain(t, &text);
            out->name = arena_str(mem, str_trim(buf_str(&text)));
            buf_clear(&text);
        }
    buf_free(&text);
}

/* One mailbox in a..b; false if there is nothing. */
static bool mailbox(struct arena *mem, const struct token *a, const struct token *b,
                    struct addr *out)
{
    const struct token *open = a;

    *out =
        (struct addr){ADDR_MAILBOX, STR(""), STR(""), STR(""), STR(""), STR(""), a->text.p, false};
    while (open < b && open->kind != '<')
        open++;
    if (open < b) {
        const struct token *end = open;
        while (end < b && end->kind != '>')
            end++;
        angle(mem, a, open, end, out);
        set_comment_name(mem, a, b, out);
        return true;
    }
    set_spec(mem, a, b, out);
    set_comment_name(mem, a, b, out);
    return out->spec.n > 0;
}

/* Where the mailbox that begins at t ends: a separator outside of <>, or behind its ">" when
 * something else than a comment follows (a comma was forgotten). */
static const struct token *item_end(const struct token *t, const struct token *end)
{
    bool inside = false, done = false;

    for (; t < end; t++) {
        if (done && t->kind != '(')
            break;
        if (t->kind == '<')
            inside = true;
        else if (t->kind == '>' && inside)
            inside = false, done = true;
        else if (!inside && (t->kind == ',' || t->kind == ';' || t->kind == ':'))
            break;
    }
    return t;
}

struct found {
    VEC(struct addr) v;
};

static bool is_separator(const struct token *t)
{
    return t->kind == ',' || t->kind == ';' || t->kind == ':';
}

/* One item as the separators part it: a mailbox with its <>, or bare addresses. */
static void take_item(struct arena *mem, const struct token *t, const struct token *stop,
                      struct found *found)
{
    struct addr a;
    bool angles = false, first = true;

    for (const struct token *i = t; i < stop; i++)
        angles = angles || i->kind == '<';
    while (t < stop) {
        if (t->kind == '>') { /* "a@x>": nobody's */
            t++;
            continue;
        }
        const struct token *end = angles ? stop : bare_end(t, stop);
        if (mailbox(mem, t, end, &a)) {
            a.comma_missing = !first;
            *VEC_ADD(&found->v) = a;
            first = false;
        }
        t = end;
    }
}

static void parse(struct arena *mem, const struct tokens *tokens, struct addr_list *out)
{
    struct found all = {0};
    bool group = false;
    const struct token *t = tokens->at, *end = tokens->at + tokens->n;

    while (t < end) {
        const struct token *stop = item_end(t, end);
        if (stop < end && stop->kind == ':' && (!group || t < stop)) {
            if (group) /* its ";" was forgotten: "a: b@c, d: e@f;" */
                *VEC_ADD(&all.v) = (struct addr){.kind = ADDR_GROUP_END};
            *VEC_ADD(&all.v) = (struct addr){.kind = ADDR_GROUP, .name = phrase(mem, t, stop)};
            group = true;
        } else {
            size_t had = all.v.n;
            take_item(mem, t, stop, &all);
            if (all.v.n > had && t > tokens->at && !is_separator(t - 1))
                all.v.at[had].comma_missing = true;
        }
        if (stop < end && stop->kind == ';' && group) {
            VEC_ADD(&all.v)->kind = ADDR_GROUP_END;
            group = false;
        }
        t = stop < end && is_separator(stop) ? stop + 1 : stop == t ? t + 1 : stop;
    }
    if (group)
        VEC_ADD(&all.v)->kind = ADDR_GROUP_END;
    out->n = all.v.n;
    out->at = arena_array(mem, all.v.n + 1, sizeof *all.v.at);
    if (all.v.n > 0)
        memcpy(out->at, all.v.at, all.v.n * sizeof *all.v.at);
    VEC_FREE(&all.v);
}

void addr_list_parse(struct arena *mem, struct str text, size_t limit, struct addr_list *out)
{
    struct tokens tokens;

    out->cut = tokenize(mem, text, limit, &tokens);
    parse(mem, &tokens, out);
}

/* Colons that begin no group are parts of words. */
static void join_colons(struct tokens *tokens, bool ends)
{
    bool inside = false;

    for (size_t i = tokens->n; i-- > 0;) {
        struct token *t = &tokens->at[i];
        if (t->kind == '<' || t->kind == '>')
            inside = t->kind == '>';
        else if (t->kind == ';')
            ends = true;
        else if (t->kind == ':' && !inside) {
            t->kind = ends ? ':' : '.';
            ends = false;
        }
    }
}

void addr_list_parse_entry(struct arena *mem, struct str text, bool ends, struct addr_list *out)
{
    struct tokens tokens;

    out->cut = tokenize(mem, text, text.n + 1, &tokens);
    join_colons(&tokens, ends);
    parse(mem, &tokens, out);
}

void addr_internal(const struct addr *a, struct buf *out)
{
    buf_add(out, a->local);
    if (a->domain.n > 0) {
        buf_addc(out, '@');
        buf_add(out, a->domain);
    }
}

void addr_print_phrase(struct str name, struct buf *out)
{
    bool plain = name.n > 0;

    for (size_t i = 0; plain && i < name.n; i++)
        plain = !is_special(name.p[i]) && name.p[i] != '.' && (unsigned char)name.p[i] >= ' ';
    if (plain) {
        buf_add(out, name);
        return;
    }
    buf_addc(out, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"' || name.p[i] == '\\')
            buf_addc(out, '\\');
        buf_addc(out, name.p[i]);
    }
    buf_addc(out, '"');
}

void addr_print(const struct addr *a, struct buf *out)
{
    struct buf address = BUF(a->local.n + 1 + a->domain.n); /* fits: both and an at-sign */

    addr_internal(a, &address);
    if (a->name.n > 0) {
        addr_print_phrase(a->name, out);
        buf_addz(out, " <");
    } else if (address.n == 0) {
        buf_addc(out, '<');
    }
    path_quote(buf_str(&address), out);
    if (a->name.n > 0 || address.n == 0)
        buf_addc(out, '>');
    buf_free(&address);
}

void addr_list_print(const struct addr_list *list, struct buf *out)
{
    bool comma = false;

    for (const struct addr *a = list->at; a < list->at + list->n; a++) {
        if (a->kind == ADDR_GROUP_END) {
            buf_addc(out, ';');
            comma = true;
            continue;
        }
        if (comma)
            buf_addz(out, ", ");
        if (a->kind == ADDR_GROUP) {
            addr_print_phrase(a->name, out);
            buf_addz(out, ": ");
        } else {
            addr_print(a, out);
        }
        comma = a->kind != ADDR_GROUP;
    }
}
