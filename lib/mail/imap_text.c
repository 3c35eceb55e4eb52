/*
 * ENVELOPE and BODYSTRUCTURE as text. RFC 3501 7.4.2.
 */
#include "mail/imap_text.h"

#include <string.h>

#include "base/num.h"
#include "base/str.h"
#include "mail/mime_tree.h"

/* Bytes that go out: no line ends; a zero byte, which no string of IMAP may hold, becomes U+FFFD.
 */
static void add_clean(struct str s, bool escape, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\r' || c == '\n')
            continue;
        if (c == '\0') {
            buf_addz(out, "\xef\xbf\xbd");
            continue;
        }
        if (escape && (c == '"' || c == '\\'))
            buf_addc(out, '\\');
        buf_addc(out, c);
    }
}

enum { ESCAPES_MAX = 4 }; /* with more of them a literal is shorter to read for everybody */

static bool fits_in_quotes(struct str s)
{
    size_t escapes = 0;

    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= 0x80 || s.p[i] == '\0')
            return false;
        escapes += s.p[i] == '"' || s.p[i] == '\\';
    }
    return escapes <= ESCAPES_MAX;
}

static void add_literal(struct str s, struct buf *out)
{
    /* fits: a bad byte becomes three */
    struct buf clean = BUF(s.n * 3 + 1);

    add_clean(s, false, &clean);
    buf_addf(out, "{%zu}\r\n", clean.n);
    buf_add(out, buf_str(&clean));
    buf_free(&clean);
}

static bool is_quotable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] >= 0x80 || s.p[i] == '"' ||
            s.p[i] == '\\')
            return false;
    return true;
}

void imap_text_nstring(struct str s, struct buf *out)
{
    if (s.p == NULL) {
        buf_addz(out, "NIL");
    } else if (is_quotable(s)) {
        buf_addc(out, '"');
        buf_add(out, s);
        buf_addc(out, '"');
    } else if (fits_in_quotes(s)) {
        buf_addc(out, '"');
        add_clean(s, true, out);
        buf_addc(out, '"');
    } else {
        add_literal(s, out);
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void imap_text_human(struct str s, struct buf *out)
{
    /* fits: blanks only get fewer */
    struct buf text = BUF(s.n + 1);
    bool literal = false;

    if (s.p == NULL) {
        buf_addz(out, "NIL");
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!is_blank(s.p[i]))
            buf_addc(&text, s.p[i]);
        else if (text.n > 0 && text.p[text.n - 1] != ' ')
            buf_addc(&text, ' ');
    }
    if (text.n > 0 && text.p[text.n - 1] == ' ')
        buf_cut(&text, text.n - 1);
    for (size_t i = 0; i < text.n; i++)
        literal = literal || (unsigned char)text.p[i] >= 0x80 || text.p[i] == '"' ||
                  text.p[i] == '\\' || text.p[i] == '\0';
    if (literal || (text.n > 0 && !str_eq(buf_str(&text), s)))
        add_literal(buf_str(&text), out);
    else
        imap_text_nstring(buf_str(&text), out);
    buf_free(&text);
}

/* RFC 3501 7.4.2: Sender and Reply-To are From unless they say something. */
static void put_addresses(const struct mime_values *value, const struct mime_values *otherwise,
                          struct buf *out)
{
    size_t before = out->n;

    imap_text_addresses(value, out);
    if (otherwise != NULL && str_eqz(str_from(buf_str(out), before), "NIL")) {
        buf_cut(out, before);
        imap_text_addresses(otherwise, out);
    }
    buf_addc(out, ' ');
}

void imap_text_envelope(const struct mime_part *message, struct buf *out)
{
    static const struct mime_envelope none;
    const struct mime_envelope *e = message->envelope != NULL ? message->envelope : &none;

    buf_addc(out, '(');
    imap_text_nstring(e->date, out);
    buf_addc(out, ' ');
    imap_text_human(e->subject, out);
    buf_addc(out, ' ');
    put_addresses(e->from, NULL, out);
    put_addresses(e->sender, e->from, out);
    put_addresses(e->reply_to, e->from, out);
    put_addresses(e->to, NULL, out);
    put_addresses(e->cc, NULL, out);
    put_addresses(e->bcc, NULL, out);
    imap_text_nstring(e->in_reply_to, out);
    buf_addc(out, ' ');
    imap_text_nstring(e->message_id, out);
    buf_addc(out, ')');
}

/* RFC 2045 5.2: text without a charset is US-ASCII. */
static void put_params(const struct mime_param *p, bool charset, struct buf *out)
{
    bool first = true;

    for (; p != NULL; p = p->next) {
        buf_addc(out, first ? '(' : ' ');
        imap_text_nstring(p->name, out);
        buf_addc(out, ' ');
        imap_text_nstring(p->value, out);
        charset = charset && !str_ieq(p->name, STR("charset"));
        first = false;
    }
    if (charset) {
        buf_addz(out, first ? "(\"charset\" \"us-ascii\"" : " \"charset\" \"us-ascii\"");
        first = false;
    }
    buf_addz(out, first ? "NIL" : ")");
}

static void put_extension(const struct mime_part *p, struct buf *out)
{
    buf_addc(out, ' ');
    if (p->disposition.p == NULL) {
        buf_addz(out, "NIL");
    } else {
        buf_addc(out, '(');
        imap_text_nstring(p->disposition, out);
        buf_addc(out, ' ');
        put_params(p->disposition_params, false, out);
        buf_addc(out, ')');
    }
    buf_addc(out, ' ');
    for (size_t i = 0; i < p->languages; i++) {
        buf_addc(out, i == 0 ? '(' : ' ');
        imap_text_nstring(p->language[i], out);
    }
    buf_addz(out, p->languages > 0 ? ") " : "NIL ");
    imap_text_nstring(p->location, out);
    buf_addc(out, ')');
}

static void put_multipart(const struct mime_part *p, struct buf *out)
{
    buf_addc(out, '(');
    for (const struct mime_part *c = p->child; c != NULL; c = c->next)
        imap_text_structure(c, out);
    /* The grammar wants a part. */
    if (p->child == NULL)
        buf_addz(out, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL "
                      "NIL NIL)");
    buf_addc(out, ' ');
    imap_text_nstring(p->subtype, out);
    buf_addc(out, ' ');
    put_params(p->params, false, out);
    put_extension(p, out);
}

/* A message that is all default is told in one canonical form. */
static bool is_plain(const struct mime_part *p)
{
    const struct mime_param *c = p->params;

    return p->parent == NULL && str_ieq(p->type, STR("text")) &&
           str_ieq(p->subtype, STR("plain")) &&
           (c == NULL || (c->next == NULL && str_ieq(c->name, STR("charset")) &&
                          str_ieq(c->value, STR("us-ascii")))) &&
           (p->encoding.p == NULL || str_ieq(p->encoding, STR("7bit"))) && p->id.p == NULL &&
           p->description.p == NULL && p->md5.p == NULL && p->location.p == NULL &&
           p->disposition.p == NULL && p->languages == 0;
}

void imap_text_structure(const struct mime_part *p, struct buf *out)
{
    bool text = str_ieq(p->type, STR("text"));

    if (p->kind == MIME_MULTIPART) {
        put_multipart(p, out);
        return;
    }
    if (is_plain(p)) {
        buf_addf(
            out,
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" %llu %llu NIL NIL "
            "NIL NIL)",
            (unsigned long long)p->body.vsize, (unsigned long long)p->body.lines);
        return;
    }
    buf_addc(out, '(');
    imap_text_nstring(p->type, out);
    buf_addc(out, ' ');
    imap_text_nstring(p->subtype, out);
    buf_addc(out, ' ');
    put_params(p->params, text, out);
    buf_addc(out, ' ');
    imap_text_nstring(p->id, out);
    buf_addc(out, ' ');
    imap_text_nstring(p->description, out);
    buf_addc(out, ' ');
    imap_text_nstring(p->encoding.p != NULL ? p->encoding : STR("7bit"), out);
    buf_addf(out, " %llu", (unsigned long long)p->body.vsize);
    if (p->kind == MIME_MESSAGE && p->child != NULL) {
        buf_addc(out, ' ');
        imap_text_envelope(p->child, out);
        buf_addc(out, ' ');
        imap_text_structure(p->child, out);
    }
    if (text || (p->kind == MIME_MESSAGE && p->child != NULL))
        buf_addf(out, " %llu", (unsigned long long)p->body.lines);
    buf_addc(out, ' ');
    imap_text_nstring(p->md5, out);
    put_extension(p, out);
}

/* One value of a structure's text: a list, a string, NIL or a number. False: it does not end. */
static bool skip_value(struct str *s)
{
    size_t depth = 0, i = 0;

    do {
        if (i >= s->n)
            return false;
        char c = s->p[i];
        if (c == '(') {
            depth++;
            i++;
        } else if (c == ')') {
            if (depth == 0)
                return false;
            depth--;
            i++;
        } else if (c == '"') {
            for (i++; i < s->n && s->p[i] != '"'; i++)
                i += s->p[i] == '\\';
            i++;
        } else if (c == '{') {
            struct str digits = str_from(*s, i + 1);
            ptrdiff_t end = str_find(digits, '}');
            uint32_t n;
            if (end < 0 || !num_parse_u32(str_upto(digits, (size_t)end), 0, 1u << 30, &n))
                return false;
            i += (size_t)end + 4 + n;
        } else {
            while (i < s->n && strchr(" ()\"", s->p[i]) == NULL)
                i++;
        }
        while (depth > 0 && i < s->n && s->p[i] == ' ')
            i++;
    } while (depth > 0);
    bool whole = i <= s->n;
    *s = str_from(*s, i);
    return whole;
}

static bool copy_values(struct str *s, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        struct str before = *s;
        if (!skip_value(s))
            return false;
        buf_add(out, str_upto(before, (size_t)(s->p - before.p)));
        if (i + 1 < count) {
            if (s->n == 0 || *s->p != ' ')
                return false;
            buf_addc(out, ' ');
            *s = str_from(*s, 1);
        }
    }
    return true;
}

static bool skip_to_end(struct str *s)
{
    while (s->n > 0 && *s->p == ' ') {
        *s = str_from(*s, 1);
        if (!skip_value(s))
            return false;
    }
    if (s->n == 0 || *s->p != ')')
        return false;
    *s = str_from(*s, 1);
    return true;
}

static bool put_body(struct str *s, size_t depth, struct buf *out);

static bool put_body_multipart(struct str *s, size_t depth, struct buf *out)
{
    while (s->n > 0 && *s->p == '(')
        if (!put_body(s, depth + 1, out))
            return false;
    if (s->n == 0 || *s->p != ' ')
        return false;
    *s = str_from(*s, 1);
    buf_addc(out, ' ');
    return copy_values(s, 1, out);
}

/* Seven fields; for a message envelope, body and lines, for text lines. */
static bool put_body_single(struct str *s, size_t depth, struct buf *out)
{
    struct str type = *s;
    bool text = str_istarts(type, STR("\"text\" "));

    if (!copy_values(s, 7, out) || s->n < 2)
        return false;
    if (str_istarts(type, STR("\"message\" \"rfc822\" ")) && s->p[1] == '(') {
        *s = str_from(*s, 1);
        buf_addc(out, ' ');
        if (!copy_values(s, 1, out) || !str_starts(*s, STR(" (")))
            return false;
        *s = str_from(*s, 1);
        buf_addc(out, ' ');
        if (!put_body(s, depth + 1, out))
            return false;
        text = true;
    }
    if (!text)
        return true;
    if (s->n == 0 || *s->p != ' ')
        return false;
    *s = str_from(*s, 1);
    buf_addc(out, ' ');
    return copy_values(s, 1, out);
}

static bool put_body(struct str *s, size_t depth, struct buf *out)
{
    if (s->n < 2 || *s->p != '(' || depth > 1000)
        return false;
    *s = str_from(*s, 1);
    buf_addc(out, '(');
    bool good = *s->p == '(' ? put_body_multipart(s, depth, out) : put_body_single(s, depth, out);
    if (!good || !skip_to_end(s))
        return false;
    buf_addc(out, ')');
    return true;
}

bool imap_text_body(struct str structure, struct buf *out)
{
    size_t before = out->n;

    if (put_body(&structure, 0, out) && structure.n == 0)
        return true;
    buf_cut(out, before);
    return false;
}
