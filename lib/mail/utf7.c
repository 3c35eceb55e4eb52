/*
 * Modified UTF-7. RFC 3501 5.1.3: printable ASCII stands for itself, "&-" for "&", and "&...-"
 * holds UTF-16 in base64 with "," for "/" and no padding.
 */
#include "mail/utf7.h"

#include <string.h>

#include "base/str.h"
#include "base/utf8.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* Bits that wait to become a base64 digit, or digits that wait to become a unit. */
struct bits {
    uint32_t held;
    unsigned n;
};

static void put_unit(struct buf *out, struct bits *b, uint32_t unit)
{
    b->held = b->held << 16 | unit;
    b->n += 16;
    while (b->n >= 6) {
        b->n -= 6;
        buf_addc(out, alphabet[b->held >> b->n & 63]);
    }
    b->held &= 0x3f;
}

static void put_shifted(struct buf *out, struct str *utf8)
{
    struct bits b = {0, 0};
    uint32_t code;
    size_t n;

    buf_addc(out, '&');
    while ((n = utf8_decode(*utf8, &code)) > 0 && (code < 0x20 || code > 0x7e)) {
        if (code >= 0x10000) {
            put_unit(out, &b, 0xd800 | (code - 0x10000) >> 10);
            put_unit(out, &b, 0xdc00 | ((code - 0x10000) & 0x3ff));
        } else {
            put_unit(out, &b, code);
        }
        *utf8 = str_from(*utf8, n);
    }
    if (b.n > 0)
        buf_addc(out, alphabet[b.held << (6 - b.n) & 63]);
    buf_addc(out, '-');
}

bool utf7_from_utf8(struct str utf8, struct buf *out)
{
    if (!utf8_valid(utf8) || memchr(utf8.p, 0, utf8.n) != NULL)
        return false;
    while (utf8.n > 0) {
        unsigned char c = (unsigned char)*utf8.p;
        if (c < 0x20 || c > 0x7e) {
            put_shifted(out, &utf8);
            continue;
        }
        buf_addc(out, (char)c);
        if (c == '&')
            buf_addc(out, '-');
        utf8 = str_from(utf8, 1);
    }
    return true;
}

/* One unit of UTF-16 that came out of the base64: false if it cannot stand here. */
static bool take_unit(struct buf *out, uint32_t unit, uint32_t *high)
{
    if (*high != 0) {
        if (unit < 0xdc00 || unit > 0xdfff)
            return false;
        utf8_add(out, 0x10000 + ((*high & 0x3ff) << 10 | (unit & 0x3ff)));
        *high = 0;
        return true;
    }
    if (unit >= 0xd800 && unit <= 0xdbff) {
        *high = unit;
        return true;
    }
    /* What can stand for itself must: else one folder has two names. */
    if ((unit >= 0xdc00 && unit <= 0xdfff) || (unit >= 0x20 && unit <= 0x7e) || unit == 0)
        return false;
    utf8_add(out, unit);
    return true;
}

static bool take_shifted(struct buf *out, struct str text)
{
    struct bits b = {0, 0};
    uint32_t high = 0;

    for (size_t i = 0; i < text.n; i++) {
        const char *digit = memchr(alphabet, text.p[i], 64);
        if (digit == NULL)
            return false;
        b.held = (b.held << 6 | (uint32_t)(digit - alphabet)) & 0x3fffff;
        b.n += 6;
        if (b.n >= 16) {
            b.n -= 16;
            if (!take_unit(out, b.held >> b.n & 0xffff, &high))
                return false;
        }
    }
    return high == 0 && b.n < 6 && (b.held & ((1u << b.n) - 1)) == 0;
}

static bool decode(struct str s, struct buf *out)
{
    bool shifted = false;

    while (s.n > 0) {
        char c = *s.p;
        s = str_from(s, 1);
        if (c < 0x20 || c > 0x7e)
            return false;
        if (c != '&') {
            buf_addc(out, c);
            shifted = false;
            continue;
        }
        ptrdiff_t end = str_find(s, '-');
        /* Two shifted runs side by side would be a second form of one. */
        if (end < 0 || (end > 0 && shifted))
            return false;
        if (end == 0)
            buf_addc(out, '&');
        else if (!take_shifted(out, str_upto(s, (size_t)end)))
            return false;
        shifted = end > 0;
        s = str_from(s, (size_t)end + 1);
    }
    return true;
}

bool utf7_to_utf8(struct str utf7, struct buf *out)
{
    size_t before = out->n;

    if (decode(utf7, out))
        return true;
    buf_cut(out, before);
    return false;
}
