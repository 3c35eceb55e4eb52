/*
 * Queue ids: the short form of hex digits and the long one that is never used again.
 */
#include "queue/qid.h"

#include "base/str.h"

/* Digits and consonants: no word is spelt by accident. */
static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
enum { BASE = 52, INODE_BASE = 51, SECONDS = 6, MICROS = 4 };

static void put_number(struct buf *id, uint64_t n, unsigned base, size_t width)
{
    char text[16];
    size_t at = sizeof text;

    do {
        text[--at] = digits[n % base];
        n /= base;
    } while (n > 0 && at > 0);
    while (sizeof text - at < width)
        text[--at] = digits[0];
    buf_add(id, (struct str){text + at, sizeof text - at});
}

static bool get_number(struct str s, unsigned base, uint64_t *n)
{
    *n = 0;
    if (s.n == 0 || s.n > 15)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        const char *at = memchr(digits, s.p[i], base);
        if (at == NULL || *n > (UINT64_MAX - base) / base)
            return false;
        *n = *n * base + (uint64_t)(at - digits);
    }
    return true;
}

void qid_short(struct buf *id, int64_t wall_us, ino_t inode)
{
    buf_clear(id);
    buf_addf(id, "%05X%lX", (unsigned)(wall_us % 1000000), (unsigned long)inode);
}

void qid_long(struct buf *id, int64_t wall_us, ino_t inode)
{
    buf_clear(id);
    put_number(id, (uint64_t)(wall_us / 1000000), BASE, SECONDS);
    put_number(id, (uint64_t)(wall_us % 1000000), BASE, MICROS);
    buf_addc(id, 'z');
    put_number(id, (uint64_t)inode, INODE_BASE, 1);
}

bool qid_valid(struct str id)
{
    if (id.n < 6 || id.n > QID_MAX)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
            return false;
    }
    return true;
}

bool qid_is_long(struct str id)
{
    return str_rfind(id, 'z') >= SECONDS + MICROS;
}

bool qid_inode(struct str id, uint64_t *inode)
{
    if (qid_is_long(id))
        return get_number(str_from(id, (size_t)str_rfind(id, 'z') + 1), INODE_BASE, inode);
    *inode = 0;
    if (id.n < 6 || id.n > 21)
        return false;
    for (size_t i = 5; i < id.n; i++) {
        char c = id.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F')))
            return false;
        *inode = *inode << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'A' + 10);
    }
    return true;
}

void qid_hash(struct str id, unsigned depth, struct buf *out)
{
    char micros[8];
    uint64_t us;

    if (qid_is_long(id)) {
        size_t z = (size_t)str_rfind(id, 'z');
        if (get_number(str_part(id, z - MICROS, MICROS), BASE, &us)) {
            snprintf(micros, sizeof micros, "%05X", (unsigned)(us & 0xfffff));
            id = strz(micros);
        }
    }
    for (unsigned i = 0; i < depth; i++) {
        char c = i < id.n ? id.p[i] : '_';
        buf_addf(out, "%c/", c);
    }
}
