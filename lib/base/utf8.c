#include "base/utf8.h"

#include "base/str.h"

size_t utf8_decode(struct str s, uint32_t *code)
{
    if (s.n == 0)
        return 0;
    unsigned char c = (unsigned char)s.p[0];
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (n == 0 || n > s.n)
        return 0;
    uint32_t v = n == 1 ? c : c & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        unsigned char next = (unsigned char)s.p[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (next & 0x3f);
    }
    bool overlong = (n == 3 && v < 0x800) || (n == 4 && v < 0x10000);
    if (overlong || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    if (code != NULL)
        *code = v;
    return n;
}

bool utf8_valid(struct str s)
{
    while (s.n > 0) {
        size_t n = utf8_decode(s, NULL);
        if (n == 0)
            return false;
        s = str_from(s, n);
    }
    return true;
}

void utf8_add(struct buf *out, uint32_t v)
{
    char b[4];
    size_t n;

    if (v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        v = 0xfffd;
    if (v < 0x80) {
        b[0] = (char)v;
        n = 1;
    } else if (v < 0x800) {
        b[0] = (char)(0xc0 | v >> 6);
        n = 2;
    } else if (v < 0x10000) {
        b[0] = (char)(0xe0 | v >> 12);
        n = 3;
    } else {
        b[0] = (char)(0xf0 | v >> 18);
        n = 4;
    }
    for (size_t i = n - 1; i > 0; i--, v >>= 6)
        b[i] = (char)(0x80 | (v & 0x3f));
    buf_add(out, (struct str){b, n});
}

struct str utf8_upto(struct str s, size_t n)
{
    if (s.n <= n)
        return s;
    while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return str_upto(s, n);
}

bool utf8_is_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}
