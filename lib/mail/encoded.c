/*
 * Encoded words and parameters.
 */
#include "mail/encoded.h"

#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "mail/charset.h"
#include "mail/transfer.h"

enum { WORD_MAX = 4096 }; /* RFC 2047 2 says 75; many programs make longer ones */

struct word {
    struct str charset, text;
    char encoding;
    size_t size; /* of all */
};

/* "=?charset*language?B?text?=" at the start of s. */
static bool find_word(struct str s, struct word *w)
{
    ptrdiff_t at;

    if (!str_starts(s, STR("=?")))
        return false;
    struct str rest = str_upto(str_from(s, 2), WORD_MAX);
    at = str_find(rest, '?');
    if (at <= 0 || (size_t)at + 3 >= rest.n || rest.p[at + 2] != '?')
        return false;
    w->charset = str_upto(rest, (size_t)at);
    ptrdiff_t star = str_find(w->charset, '*'); /* RFC 2231 5 */
    if (star >= 0)
        w->charset.n = (size_t)star;
    w->encoding = rest.p[at + 1];
    rest = str_from(rest, (size_t)at + 3);
    at = str_search(rest, STR("?="));
    if (at < 0)
        return false;
    w->text = str_upto(rest, (size_t)at);
    w->size = (size_t)(w->text.p + w->text.n + 2 - s.p);
    return strchr("bBqQ", w->encoding) != NULL &&
           memchr(s.p, '\n', w->size) == NULL; /* a word is within one line */
}

static void decode_q(struct str text, struct buf *out)
{
    struct transfer t = {.encoding = TRANSFER_QP};

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i] == '_' ? ' ' : text.p[i];
        transfer_decode(&t, (struct str){&c, 1}, out);
    }
    buf_add(out, (struct str){t.tail, t.ntail});
}

static bool decode_word(const struct word *w, struct buf *bytes)
{
    if (w->encoding == 'b' || w->encoding == 'B') {
        struct transfer t = {.encoding = TRANSFER_BASE64};
        transfer_decode(&t, w->text, bytes);
    } else {
        decode_q(w->text, bytes);
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Neighbours of one charset are put together before they are converted: some programs cut
 * characters in two. */
static size_t take_words(struct str s, struct buf *out)
{
    struct buf bytes = BUF(1 << 20);
    struct word w, next;
    size_t used;

    find_word(s, &w);
    struct str charset = w.charset;
    decode_word(&w, &bytes);
    used = w.size;
    for (;;) {
        size_t gap = used;
        while (gap < s.n && is_blank(s.p[gap]))
            gap++;
        if (!find_word(str_from(s, gap), &next) || !str_ieq(next.charset, charset))
            break;
        decode_word(&next, &bytes);
        used = gap + next.size;
    }
    if (!buf_ok(&bytes) || !charset_to_utf8(charset, buf_str(&bytes), out))
        buf_add(out, str_upto(s, used));
    buf_free(&bytes);
    return used;
}

void encoded_to_utf8(struct str s, struct buf *out)
{
    struct word w;

    while (s.n > 0) {
        size_t n = 0;
        while (n < s.n && !(s.p[n] == '=' && find_word(str_from(s, n), &w)) && s.p[n] != '\n' &&
               s.p[n] != '\r')
            n++;
        charset_to_utf8(STR("utf-8"), str_upto(s, n), out);
        s = str_from(s, n);
        if (s.n == 0)
            return;
        if (*s.p != '=') {
            s = str_from(s, 1);
            continue;
        }
        s = str_from(s, take_words(s, out));
        /* Blanks between two words, here of different charsets, are not shown: RFC 2047 6.2. */
        size_t gap = 0;
        while (gap < s.n && is_blank(s.p[gap]))
            gap++;
        if (gap > 0 && find_word(str_from(s, gap), &w))
            s = str_from(s, gap);
    }
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);
    return at == NULL ? -1 : (int)(at - digits);
}

void encoded_param_to_utf8(struct str s, struct buf *out)
{
    struct buf bytes = BUF(1 << 20);
    struct str charset = STR("");
    ptrdiff_t first = str_find(s, '\'');
    ptrdiff_t second = first < 0 ? -1 : str_find(str_from(s, (size_t)first + 1), '\'');

    if (second >= 0) {
        charset = str_upto(s, (size_t)first);
        s = str_from(s, (size_t)(first + second) + 2);
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0) {
            buf_addc(&bytes, (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2])));
            i += 2;
        } else {
            buf_addc(&bytes, s.p[i]);
        }
    }
    if (!buf_ok(&bytes))
        buf_add(out, s); /* as it came */
    else if (!charset_to_utf8(charset, buf_str(&bytes), out))
        charset_to_utf8(STR("utf-8"), buf_str(&bytes), out);
    buf_free(&bytes);
}
