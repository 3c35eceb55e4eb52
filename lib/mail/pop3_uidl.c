#include "mail/pop3_uidl.h"

#include <string.h>

#include "base/digest.h"
#include "base/num.h"
#include "base/str.h"

enum { WIDTH_MAX = 200, VALUE_MAX = 1000, MODIFIERS_MAX = 10 };

struct item {
    char letter;
    bool from_end, zeros;
    unsigned offset, width; /* width 0: all */
    struct str modifiers;
};

static bool take_number(const char **p, unsigned *n)
{
    for (*n = 0; **p >= '0' && **p <= '9' && *n <= WIDTH_MAX; ++*p)
        *n = *n * 10 + (unsigned)(**p - '0');
    return *n <= WIDTH_MAX;
}

/* Behind a '%'. Moves *p to the last character of the item. */
static bool take_item(const char **p, struct item *it)
{
    *it = (struct item){.from_end = **p == '-'};
    *p += it->from_end;
    it->zeros = **p == '0';
    if (!take_number(p, &it->width))
        return false;
    if (**p == '.') {
        ++*p;
        it->offset = it->width;
        it->zeros = **p == '0';
        if (!take_number(p, &it->width))
            return false;
    }
    it->modifiers = (struct str){*p, strspn(*p, "LURTXM")};
    *p += it->modifiers.n;
    it->letter = **p;
    return it->letter != '\0' && strchr("uvfg%", it->letter) != NULL &&
           it->modifiers.n <= MODIFIERS_MAX;
}

const char *pop3_uidl_check(const char *format)
{
    struct item it;
    bool tells_apart = false;

    for (const char *p = format; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~') /* RFC 1939 7 */
            return "only printable ASCII without blanks can stand in a unique id";
        if (*p != '%')
            continue;
        p++;
        if (!take_item(&p, &it))
            return "known are %u, %v, %f and %g, with a width and the modifiers L, U, R, T, X and "
                   "M in front of the letter";
        tells_apart = tells_apart || strchr("ufg", it.letter) != NULL;
    }
    return tells_apart ? NULL : "without %u, %f or %g all messages have the same unique id";
}

/* ---- modifiers: each changes the whole value */

static void reverse(struct buf *value)
{
    for (size_t i = 0; i < value->n / 2; i++) {
        char c = value->p[i];
        value->p[i] = value->p[value->n - 1 - i];
        value->p[value->n - 1 - i] = c;
    }
}

static void trim(struct buf *value)
{
    struct str inner = str_trim(buf_str(value));

    buf_cut(value, (size_t)(inner.p + inner.n - value->p));
    buf_skip(value, value->n - inner.n);
}

/* What is no number counts as 0, as in Dovecot. */
static void to_hex(struct buf *value)
{
    uint64_t n;

    if (!num_parse_u64(buf_str(value), 0, UINT64_MAX, &n))
        n = 0;
    buf_clear(value);
    buf_addf(value, "%llx", (unsigned long long)n);
}

static bool to_md5(struct buf *value)
{
    unsigned char digest[DIGEST_MAX];
    struct str text = buf_str(value);

    if (!digest_make(DIGEST_MD5, &text, 1, digest))
        return false;
    buf_clear(value);
    for (size_t i = 0; i < digest_size(DIGEST_MD5); i++)
        buf_addf(value, "%02x", digest[i]);
    return true;
}

static bool modify(struct buf *value, char modifier)
{
    switch (modifier) {
    case 'L':
        str_lower(value->p, value->n);
        return true;
    case 'U':
        for (size_t i = 0; i < value->n; i++)
            if (value->p[i] >= 'a' && value->p[i] <= 'z')
                value->p[i] = (char)(value->p[i] - 'a' + 'A');
        return true;
    case 'R':
        reverse(value);
        return true;
    case 'T':
        trim(value);
        return true;
    case 'X':
        to_hex(value);
        return true;
    default:
        return to_md5(value);
    }
}

/* ---- items */

static void take_value(char letter, const struct pop3_uidl *m, struct buf *value)
{
    if (letter == '%')
        buf_addc(value, '%');
    else if (letter == 'u')
        buf_addf(value, "%u", m->uid);
    else if (letter == 'v')
        buf_addf(value, "%u", m->uidvalidity);
    else
        buf_add(value, m->guid);
}

/* From the offset on at most width bytes; or zeros in front up to it, then all of it. */
static void put_cut(const struct item *it, struct str value, struct buf *out)
{
    size_t offset = it->offset < value.n ? it->offset : value.n;

    if (it->from_end && offset > 0)
        offset = value.n - offset;
    value = str_from(value, offset);
    if (!it->zeros && it->width > 0)
        value = str_upto(value, it->width);
    for (size_t n = value.n; it->zeros && n < it->width; n++)
        buf_addc(out, '0');
    buf_add(out, value);
}

static bool put_item(const struct item *it, const struct pop3_uidl *m, struct buf *out)
{
    struct buf value = BUF(VALUE_MAX);
    bool good = true;

    take_value(it->letter, m, &value);
    for (size_t i = 0; good && i < it->modifiers.n; i++)
        good = modify(&value, it->modifiers.p[i]);
    good = buf_ok(&value) && good;
    if (good)
        put_cut(it, buf_str(&value), out);
    buf_free(&value);
    return good;
}

bool pop3_uidl_put(const char *format, const struct pop3_uidl *m, struct buf *out)
{
    struct item it;

    for (const char *p = format; *p != '\0'; p++) {
        if (*p != '%') {
            buf_addc(out, *p);
            continue;
        }
        p++;
        if (!take_item(&p, &it) || !put_item(&it, m, out))
            return false;
    }
    return buf_ok(out);
}
