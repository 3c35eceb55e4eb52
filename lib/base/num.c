#include "base/num.h"

#include "base/str.h"

static bool digits(struct str s, unsigned base, uint64_t high, uint64_t *out)
{
    uint64_t n = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                            : 99;
        if (d >= base || __builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, d, &n))
            return false;
    }
    if (n > high)
        return false;
    *out = n;
    return true;
}

bool num_parse(struct str s, int64_t low, int64_t high, int64_t *out)
{
    bool minus = s.n > 0 && s.p[0] == '-';
    uint64_t n;

    if (!digits(str_from(s, minus), 10, INT64_MAX, &n))
        return false;
    int64_t value = minus ? -(int64_t)n : (int64_t)n;
    if (value < low || value > high)
        return false;
    *out = value;
    return true;
}

bool num_parse_u64(struct str s, uint64_t low, uint64_t high, uint64_t *out)
{
    uint64_t n;
    if (!digits(s, 10, high, &n) || n < low)
        return false;
    *out = n;
    return true;
}

bool num_parse_u32(struct str s, uint32_t low, uint32_t high, uint32_t *out)
{
    uint64_t n;
    if (!num_parse_u64(s, low, high, &n))
        return false;
    *out = (uint32_t)n;
    return true;
}

bool num_parse_hex(struct str s, uint64_t *out)
{
    return digits(s, 16, UINT64_MAX, out);
}

bool num_parse_octal(struct str s, uint32_t high, uint32_t *out)
{
    uint64_t n;
    if (!digits(s, 8, high, &n))
        return false;
    *out = (uint32_t)n;
    return true;
}

bool num_parse_time(struct str s, char unit, int64_t low, int64_t high, int64_t *seconds)
{
    int64_t n, factor;

    if (s.n > 0 && (s.p[s.n - 1] < '0' || s.p[s.n - 1] > '9')) {
        unit = s.p[s.n - 1];
        s.n--;
    }
    switch (unit) {
    case 's':
        factor = 1;
        break;
    case 'm':
        factor = 60;
        break;
    case 'h':
        factor = 3600;
        break;
    case 'd':
        factor = 86400;
        break;
    case 'w':
        factor = 604800;
        break;
    default:
        return false;
    }
    if (!num_parse(s, 0, INT64_MAX, &n) || __builtin_mul_overflow(n, factor, &n) || n < low ||
        n > high)
        return false;
    *seconds = n;
    return true;
}
