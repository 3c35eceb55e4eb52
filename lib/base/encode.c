#include "base/encode.h"

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void encode_base64(struct buf *out, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    for (size_t i = 0; i < s.n; i += 3) {
        unsigned b1 = i + 1 < s.n ? p[i + 1] : 0, b2 = i + 2 < s.n ? p[i + 2] : 0;
        char quad[4] = {digits64[p[i] >> 2], digits64[(p[i] & 3) << 4 | b1 >> 4],
                        i + 1 < s.n ? digits64[(b1 & 15) << 2 | b2 >> 6] : '=',
                        i + 2 < s.n ? digits64[b2 & 63] : '='};
        buf_add(out, (struct str){quad, 4});
    }
}

int decode_base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool encode_fail(struct buf *out, size_t was)
{
    buf_cut(out, was);
    return false;
}

bool decode_base64(struct buf *out, struct str s)
{
    size_t was = out->n;

    if (s.n % 4 != 0)
        return false;
    for (size_t i = 0; i < s.n; i += 4) {
        bool last = i + 4 == s.n;
        int pad = !last ? 0 : s.p[i + 3] != '=' ? 0 : s.p[i + 2] != '=' ? 1 : 2;
        int v[4] = {0};
        for (int k = 0; k < 4 - pad; k++)
            if ((v[k] = decode_base64_digit(s.p[i + (size_t)k])) < 0)
                return encode_fail(out, was);
        char three[3] = {(char)(v[0] << 2 | v[1] >> 4), (char)(v[1] << 4 | v[2] >> 2),
                         (char)(v[2] << 6 | v[3])};
        buf_add(out, (struct str){three, (size_t)(3 - pad)});
    }
    return buf_ok(out) || encode_fail(out, was);
}

static void add_hex(struct buf *out, unsigned char c, const char *digits)
{
    buf_addc(out, digits[c >> 4]);
    buf_addc(out, digits[c & 15]);
}

void encode_hex(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        add_hex(out, (unsigned char)s.p[i], "0123456789abcdef");
}

static int value16(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int byte16(struct str s, size_t at)
{
    if (at + 1 >= s.n || value16(s.p[at]) < 0 || value16(s.p[at + 1]) < 0)
        return -1;
    return value16(s.p[at]) << 4 | value16(s.p[at + 1]);
}

bool decode_hex(struct buf *out, struct str s)
{
    size_t was = out->n;
    for (size_t i = 0; i < s.n; i += 2) {
        int c = byte16(s, i);
        if (c < 0)
            return encode_fail(out, was);
        buf_addc(out, (char)c);
    }
    return buf_ok(out) || encode_fail(out, was);
}

void encode_percent(struct buf *out, struct str s, const char *special)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c >= 127 || c == '%' || strchr(special, c) != NULL) {
            buf_addc(out, '%');
            add_hex(out, c, "0123456789ABCDEF");
        } else {
            buf_addc(out, (char)c);
        }
    }
}

/* %41 and +41 have the same shape. */
static bool decode_escaped(struct buf *out, struct str s, char escape)
{
    size_t was = out->n;
    for (size_t i = 0; i < s.n; i++) {
        int c = (unsigned char)s.p[i];
        if (s.p[i] == escape) {
            if ((c = byte16(s, i + 1)) < 0)
                return encode_fail(out, was);
            i += 2;
        }
        buf_addc(out, (char)c);
    }
    return buf_ok(out) || encode_fail(out, was);
}

bool decode_percent(struct buf *out, struct str s)
{
    return decode_escaped(out, s, '%');
}

void encode_xtext(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < '!' || c > '~' || c == '+' || c == '=') {
            buf_addc(out, '+');
            add_hex(out, c, "0123456789ABCDEF");
        } else {
            buf_addc(out, (char)c);
        }
    }
}

bool decode_xtext(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '!' || s.p[i] > '~' || s.p[i] == '=')
            return false;
    return decode_escaped(out, s, '+');
}

void encode_escapes(struct buf *out, struct str s)
{
    static const char named[] = "\a\b\f\n\r\t\v\\", letters[] = "abfnrtv\\";

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        const char *at = c == 0 ? NULL : strchr(named, c);
        if (at != NULL)
            buf_addf(out, "\\%c", letters[at - named]);
        else if (c >= ' ' && c <= '~')
            buf_addc(out, (char)c);
        else
            buf_addf(out, "\\%03o", c);
    }
}
