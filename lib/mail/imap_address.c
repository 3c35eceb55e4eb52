/*
 * Address lists of ENVELOPE. RFC 5322 3.4, RFC 3501 7.4.2. What is missing or broken shows as
 * MISSING_MAILBOX, MISSING_DOMAIN, INVALID_ROUTE and SYNTAX_ERROR, clients know these answers from
 * Dovecot.
 */
#include <string.h>

#include "base/str.h"
#include "mail/imap_text.h"
#include "mail/mime_tree.h"

/* Of each word of an address. A header block is not longer, so nothing is left out. */

struct addresses {
    struct str s; /* what is left */
    struct buf name, route, mailbox, domain, comment;
    bool has_mailbox, has_domain;
    struct buf *out;
    bool words; /* not lists of strings, but text for people */
    bool any;
};

/* Blanks and comments; the last comment is kept. False: it does not end. */
static bool skip(struct addresses *a)
{
    while (a->s.n > 0) {
        char c = *a->s.p;
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            a->s = str_from(a->s, 1);
            continue;
        }
        if (c != '(')
            return true;
        size_t depth = 1, i = 1;
        buf_clear(&a->comment);
        for (; i < a->s.n; i++) {
            c = a->s.p[i];
            depth += c == '(';
            if (c == ')' && --depth == 0)
                break;
            if (c == '\\' && i + 1 < a->s.n)
                c = a->s.p[++i];
            if (c != '\r' && c != '\n')
                buf_addc(&a->comment, c);
        }
        if (i >= a->s.n) {
            a->s = STR("");
            buf_clear(&a->comment);
            return false;
        }
        a->s = str_from(a->s, i + 1);
    }
    return true;
}

static bool at(const struct addresses *a, char c)
{
    return a->s.n > 0 && *a->s.p == c;
}

static bool is_atext(char c)
{
    return (unsigned char)c > 0x20 && c != 0x7f && strchr("()<>@,;:\\\".[]", c) == NULL;
}

static bool add_atoms(struct addresses *a, struct buf *to, bool dots)
{
    size_t n = 0;

    while (n < a->s.n && (is_atext(a->s.p[n]) || (dots && a->s.p[n] == '.')))
        n++;
    buf_add(to, str_upto(a->s, n));
    a->s = str_from(a->s, n);
    return n > 0;
}

static bool add_quoted(struct addresses *a, struct buf *to)
{
    size_t i = 1, before = to->n;

    for (; i < a->s.n && a->s.p[i] != '"'; i++) {
        if (a->s.p[i] == '\\' && i + 1 < a->s.n && a->s.p[i + 1] != '\n')
            i++;
        if (a->s.p[i] != '\r' && a->s.p[i] != '\n')
            buf_addc(to, a->s.p[i]);
    }
    bool closed = i < a->s.n;
    if (!closed)
        buf_cut(to, before);
    a->s = str_from(a->s, closed ? i + 1 : i);
    return closed;
}

/* Words, joined by one blank each; dots count as letters (RFC 5322 4.1). */
static bool add_phrase(struct addresses *a, struct buf *to)
{
    size_t before = to->n;
    bool first = true;

    for (; a->s.n > 0; first = false) {
        bool quoted = at(a, '"');
        if (!quoted && !is_atext(*a->s.p) && (first || !at(a, '.')))
            break;
        if (!first)
            buf_addc(to, ' ');
        if (quoted ? !add_quoted(a, to) : !add_atoms(a, to, true))
            return false;
        if (!skip(a))
            return false;
    }
    return to->n > before || !first;
}

static bool add_local(struct addresses *a)
{
    struct buf *to = &a->mailbox;

    if (at(a, '"')) {
        a->has_mailbox = add_quoted(a, to) && skip(a);
        return a->has_mailbox;
    }
    if (a->s.n == 0 || (!is_atext(*a->s.p) && !at(a, '.')))
        return false;
    for (;;) {
        add_atoms(a, to, false);
        a->has_mailbox = skip(a);
        if (!a->has_mailbox)
            return false;
        if (!at(a, '.'))
            return true;
        buf_addc(to, '.');
        a->s = str_from(a->s, 1);
        if (a->s.n == 0 || (!is_atext(*a->s.p) && !at(a, '.')))
            return true;
    }
}

/* Behind "@": a name, or an address in brackets. */
static bool add_domain(struct addresses *a, struct buf *to)
{
    skip(a);
    if (at(a, '[')) {
        size_t i = 1;
        while (i < a->s.n && a->s.p[i] != ']')
            i += a->s.p[i] == '\\' ? 2 : 1;
        if (i >= a->s.n) {
            a->s = STR("");
            return false;
        }
        buf_add(to, str_upto(a->s, i + 1));
        a->s = str_from(a->s, i + 1);
        return skip(a);
    }
    for (;;) {
        if (!add_atoms(a, to, false))
            return false;
        if (!skip(a))
            return false;
        if (!at(a, '.'))
            return true;
        buf_addc(to, '.');
        a->s = str_from(a->s, 1);
        skip(a);
    }
}

/* "@a,@b:" of RFC 822. */
static void add_route(struct addresses *a)
{
    while (at(a, '@') || at(a, ',')) {
        bool more = at(a, '@');
        a->s = str_from(a->s, 1);
        if (!more) {
            skip(a);
            continue;
        }
        if (a->route.n > 0)
            buf_addc(&a->route, ',');
        buf_addc(&a->route, '@');
        if (!add_domain(a, &a->route))
            break;
    }
    if (at(a, ':')) {
        a->s = str_from(a->s, 1);
        skip(a);
    } else {
        buf_setz(&a->route, "INVALID_ROUTE");
    }
}

/* "<...>" behind the name. */
static void take_angle(struct addresses *a)
{
    bool good = true;

    a->s = str_from(a->s, 1);
    skip(a);
    if (at(a, '@'))
        add_route(a);
    if (a->s.n == 0) {
        good = false;
    } else if (!at(a, '>')) {
        good = add_local(a);
        if (good && at(a, '@')) {
            a->s = str_from(a->s, 1);
            a->has_domain = good = add_domain(a, &a->domain);
        }
    }
    if (good && at(a, '>')) {
        a->s = str_from(a->s, 1);
        skip(a);
        return;
    }
    buf_setz(&a->domain, "SYNTAX_ERROR");
    a->has_domain = true;
    ptrdiff_t comma = str_find(a->s, ',');
    a->s = comma < 0 ? STR("") : str_from(a->s, (size_t)comma);
}

/* local@domain (name), or words that are only a name. */
static void take_spec(struct addresses *a)
{
    bool quoted = at(a, '"'), local, tried = false;

    buf_clear(&a->name);
    buf_clear(&a->comment);
    local = add_local(a);
    if (at(a, '@')) {
        tried = true;
        a->s = str_from(a->s, 1);
        a->has_domain = add_domain(a, &a->domain);
    }
    if (a->comment.n > 0) {
        buf_set(&a->name, buf_str(&a->comment));
        return;
    }
    if (tried || !local)
        return;
    /* A single word is taken as a mailbox; if more follows, it was a name. */
    buf_set(&a->name, buf_str(&a->mailbox));
    buf_addc(&a->name, ' ');
    size_t n = a->name.n;
    if (a->s.n > 0 && (*a->s.p == ' ' || *a->s.p == '\t' || *a->s.p == '\n')) {
        skip(a);
        if (a->s.n > 0 && (is_atext(*a->s.p) || at(a, '"')))
            buf_addc(&a->name, ' ');
    }
    add_phrase(a, &a->name);
    if (a->name.n == n)
        buf_cut(&a->name, quoted ? n - 1 : 0);
    if (a->name.n > 0)
        a->has_mailbox = false;
}

/* "name <mailbox@domain>, " */
static void put_words(struct addresses *a)
{
    buf_add(a->out, buf_str(&a->name));
    buf_addz(a->out, a->name.n > 0 ? " <" : "<");
    if (a->has_mailbox)
        buf_add(a->out, buf_str(&a->mailbox));
    if (a->has_domain)
        buf_addc(a->out, '@');
    if (a->has_domain)
        buf_add(a->out, buf_str(&a->domain));
    buf_addz(a->out, ">, ");
}

static void put(struct addresses *a, const char *mailbox, const char *domain)
{
    struct str none = {NULL, 0};

    if (a->words) {
        put_words(a);
        return;
    }
    if (!a->any)
        buf_addc(a->out, '(');
    a->any = true;
    buf_addc(a->out, '(');
    imap_text_human(a->name.n > 0 ? buf_str(&a->name) : none, a->out);
    buf_addc(a->out, ' ');
    imap_text_nstring(a->route.n > 0 ? buf_str(&a->route) : none, a->out);
    buf_addc(a->out, ' ');
    imap_text_nstring(
        a->has_mailbox ? buf_str(&a->mailbox) : (mailbox != NULL ? strz(mailbox) : none), a->out);
    buf_addc(a->out, ' ');
    imap_text_nstring(a->has_domain ? buf_str(&a->domain) : (domain != NULL ? strz(domain) : none),
                      a->out);
    buf_addc(a->out, ')');
}

static void imap_address_forget(struct addresses *a)
{
    buf_clear(&a->name);
    buf_clear(&a->route);
    buf_clear(&a->mailbox);
    buf_clear(&a->domain);
    a->has_mailbox = a->has_domain = false;
}

static void take_mailbox(struct addresses *a)
{
    struct str start = a->s;

    imap_address_forget(a);
    if ((at(a, '<') || add_phrase(a, &a->name)) && at(a, '<')) {
        take_angle(a);
    } else {
        a->s = start;
        take_spec(a);
    }
    put(a, "MISSING_MAILBOX", "MISSING_DOMAIN");
}

/* "name: a, b;" - false, with nothing done: no group. */
static bool take_group(struct addresses *a)
{
    struct str start = a->s;

    imap_address_forget(a);
    add_phrase(a, &a->name);
    if (!at(a, ':')) {
        a->s = start;
        return false;
    }
    a->s = str_from(a->s, 1);
    buf_swap(&a->name, &a->mailbox);
    buf_clear(&a->name);
    a->has_mailbox = true;
    put(a, NULL, NULL);
    skip(a);
    if (a->s.n > 0 && !at(a, ';')) {
        for (;;) {
            take_mailbox(a);
            skip(a);
            if (!at(a, ','))
                break;
            a->s = str_from(a->s, 1);
            skip(a);
            if (a->s.n == 0)
                break;
        }
    }
    if (at(a, ';')) {
        a->s = str_from(a->s, 1);
        skip(a);
    } else {
        a->s = STR("");
    }
    imap_address_forget(a);
    put(a, NULL, NULL);
    return true;
}

/* One field. What stands behind an address and is no comma ends the list. */
static void take_list(struct addresses *a)
{
    skip(a);
    while (a->s.n > 0) {
        if (!take_group(a))
            take_mailbox(a);
        if (!at(a, ','))
            break;
        a->s = str_from(a->s, 1);
        skip(a);
    }
}

static void take_fields(const struct mime_values *fields, struct addresses *a)
{
    size_t most = 100; /* the words for what is wrong */

    for (const struct mime_values *f = fields; f != NULL; f = f->next)
        most += 2 * f->value.n;
    /* fits: parts of the fields, and a blank or dot between words */
    a->name = a->route = a->mailbox = a->domain = a->comment = BUF(most);
    for (; fields != NULL; fields = fields->next) {
        a->s = fields->value;
        take_list(a);
    }
    buf_free(&a->name);
    buf_free(&a->route);
    buf_free(&a->mailbox);
    buf_free(&a->domain);
    buf_free(&a->comment);
}

void imap_text_addresses(const struct mime_values *fields, struct buf *out)
{
    struct addresses a = {.out = out};

    take_fields(fields, &a);
    buf_addz(out, a.any ? ")" : "NIL");
}

void imap_text_address_words(const struct mime_values *fields, struct buf *out)
{
    struct addresses a = {.out = out, .words = true};

    take_fields(fields, &a);
}
