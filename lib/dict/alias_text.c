#include "dict/alias_text.h"

#include <ctype.h>

#include "base/str.h"

/* RFC 5322 3.2.3, and what routes or pipes: each of these is a word of its own. */
#define OPERATORS "|\"(),.:;<>@[]%!"

/* strchr finds the zero byte, too: at the end of the list. */
static bool is_among(const char *list, char c)
{
    return c != 0 && strchr(list, c) != NULL;
}

static bool is_operator(char c)
{
    return is_among(OPERATORS, c);
}

enum word_kind { WORD_ATOM, WORD_QUOTED, WORD_LITERAL, WORD_COMMENT, WORD_OPERATOR, WORD_END };

struct word {
    enum word_kind kind;
    char op; /* WORD_OPERATOR */
    struct buf text; /* without quotes, brackets and backslashes; of a comment: all of it */
    bool special; /* an atom that needs quotes */
};

/* Up to the closing character; backslashes are dropped. What is never closed ends at the end. */
static struct str take_quoted(struct str s, char close, struct buf *out)
{
    size_t i = 1;

    for (; i < s.n && s.p[i] != close; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n)
            i++;
        buf_addc(out, s.p[i]);
    }
    return str_from(s, i < s.n ? i + 1 : i);
}

static struct str take_comment(struct str s, struct buf *out)
{
    size_t depth = 0, i;

    for (i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n)
            i++;
        else if (s.p[i] == '(')
            depth++;
        else if (s.p[i] == ')' && --depth == 0) {
            i++;
            break;
        }
    }
    buf_add(out, str_upto(s, i));
    return str_from(s, i);
}

static struct str take_atom(struct str s, struct word *w)
{
    size_t i;

    for (i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\\') {
            if (++i == s.n)
                break;
            c = (unsigned char)s.p[i];
            w->special |= isspace(c) || c == '\\' || is_operator((char)c);
        } else if (isspace(c) || is_operator((char)c))
            break;
        w->special |= c < ' ' || c == 127;
        buf_addc(&w->text, (char)c);
    }
    return str_from(s, i);
}

static bool next_word(struct str *rest, struct word *w)
{
    struct str s = *rest;

    while (s.n > 0 && isspace((unsigned char)s.p[0]))
        s = str_from(s, 1);
    buf_clear(&w->text);
    w->special = false;
    if (s.n == 0) {
        w->kind = WORD_END;
    } else if (s.p[0] == '"') {
        w->kind = WORD_QUOTED;
        s = take_quoted(s, '"', &w->text);
    } else if (s.p[0] == '[') {
        w->kind = WORD_LITERAL;
        s = take_quoted(s, ']', &w->text);
    } else if (s.p[0] == '(') {
        w->kind = WORD_COMMENT;
        s = take_comment(s, &w->text);
    } else if (is_operator(s.p[0])) {
        w->kind = WORD_OPERATOR;
        w->op = s.p[0];
        s = str_from(s, 1);
    } else {
        w->kind = WORD_ATOM;
        s = take_atom(s, w);
    }
    *rest = s;
    return w->kind != WORD_END;
}

static void add_escaped(struct buf *out, struct str s, const char *special)
{
    for (size_t i = 0; i < s.n; i++) {
        if (is_among(special, s.p[i]))
            buf_addc(out, '\\');
        buf_addc(out, s.p[i]);
    }
}

static void add_word(struct buf *out, const struct word *w, bool with_quotes)
{
    bool quote = with_quotes && (w->kind == WORD_QUOTED || (w->kind == WORD_ATOM && w->special));

    if (w->kind == WORD_OPERATOR)
        buf_addc(out, w->op);
    else if (w->kind == WORD_LITERAL) {
        buf_addc(out, '[');
        add_escaped(out, buf_str(&w->text), "\\\r\n");
        buf_addc(out, ']');
    } else if (quote) {
        buf_addc(out, '"');
        add_escaped(out, buf_str(&w->text), "\"\\\r\n");
        buf_addc(out, '"');
    } else
        buf_add(out, buf_str(&w->text));
}

static bool is_comma(const struct word *w)
{
    return w->kind == WORD_OPERATOR && w->op == ',';
}

/* A space between two words that would run together, before "<", and after ",". */
static bool space_between(const struct word *a, const struct word *b)
{
    if (a->kind == WORD_END)
        return false;
    if (is_comma(a))
        return true;
    if (b->kind == WORD_OPERATOR)
        return b->op == '<';
    return a->kind != WORD_OPERATOR;
}

static void swap(struct word *a, struct word *b)
{
    struct word t = *a;
    *a = *b;
    *b = t;
}

/* Appends the words up to the operator stop, or to the end, in regular form. met: operators that
 * were among them, of those in watched. False: stop was not met. */
static bool regular(struct str *rest, char stop, bool with_quotes, const char *watched,
                    struct buf *out, struct buf *met)
{
    struct word last = {.kind = WORD_END, .text = BUF(rest->n)}; /* fits: no longer than rest */
    struct word w = {.kind = WORD_END, .text = BUF(rest->n)}; /* fits: no longer than rest */
    bool stopped = false;

    while (!stopped && next_word(rest, &w)) {
        stopped = w.kind == WORD_OPERATOR && w.op == stop;
        if (stopped)
            break;
        if (w.kind == WORD_OPERATOR && is_among(watched, w.op))
            buf_addc(met, w.op);
        if (space_between(&last, &w))
            buf_addc(out, ' ');
        add_word(out, &w, with_quotes);
        swap(&last, &w);
    }
    if (is_comma(&last))
        buf_addc(out, ' ');
    buf_free(&last.text);
    buf_free(&w.text);
    return stopped;
}

int alias_entry(struct str line, struct buf *key, struct buf *value, struct why *why)
{
    struct str rest = line;
    struct buf met = BUF(line.n); /* fits: some letters of line */
    int status = 0;

    bool colon = regular(&rest, ':', false, ",@%", key, &met);
    size_t key_end = (size_t)(rest.p - line.p);
    if (!colon || str_trim(str_upto(line, key_end - 1)).n == 0 || str_trim(rest).n == 0 ||
        str_find(buf_str(&met), ',') >= 0)
        status = why_set(why, "4.3.5", "need name:value pair");
    else if (met.n > 0)
        status = why_set(why, "4.3.5", "name must be local");
    regular(&rest, 0, true, "", value, &met);
    if (status == 0 && (!buf_ok(key) || !buf_ok(value)))
        status = why_set(why, "4.3.5", "entry is too long");
    buf_free(&met);
    return status;
}

bool alias_item(struct str *rest, struct buf *item)
{
    struct word a = {.kind = WORD_END, .text = BUF(rest->n)}; /* fits: no longer than rest */
    struct word b = {.kind = WORD_END, .text = BUF(rest->n)}; /* fits: no longer than rest */
    bool any = false;

    buf_clear(item);
    while (next_word(rest, &b)) {
        any = true;
        if (is_comma(&b))
            break;
        if (b.kind == WORD_COMMENT)
            continue;
        if (space_between(&a, &b))
            buf_addc(item, ' ');
        add_word(item, &b, false);
        swap(&a, &b);
    }
    buf_free(&a.text);
    buf_free(&b.text);
    return any;
}

struct str alias_find(struct str text, const char *operators)
{
    struct word w = {.kind = WORD_END, .text = BUF(text.n)}; /* fits: no longer than text */
    struct str rest = text;
    bool found = false;

    while (!found && next_word(&rest, &w))
        found = w.kind == WORD_OPERATOR && is_among(operators, w.op);
    buf_free(&w.text);
    return found ? str_from(text, text.n - rest.n - 1) : str_from(text, text.n);
}
