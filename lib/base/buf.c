#include "base/buf.h"

#include <errno.h>

#include "base/mem.h"

char buf_none[1] = "";

void buf_free(struct buf *b)
{
    if (b->room > 0)
        free(b->p);
    b->p = buf_none;
    b->n = b->room = 0;
    b->full = false;
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->full = false;
    if (b->room > 0)
        b->p[0] = 0;
}

void buf_cut(struct buf *b, size_t n)
{
    if (n < b->n) {
        b->n = n;
        b->p[n] = 0;
    }
}

void buf_skip(struct buf *b, size_t n)
{
    if (n >= b->n) {
        buf_cut(b, 0);
    } else if (n > 0) {
        memmove(b->p, b->p + n, b->n - n + 1);
        b->n -= n;
    }
}

void buf_swap(struct buf *a, struct buf *b)
{
    struct buf t = *a;
    *a = *b;
    *b = t;
}

char *buf_room(struct buf *b, size_t n)
{
    if (n > b->max - b->n) {
        b->full = true;
        return NULL;
    }
    if (b->room < b->n + n + 1) {
        size_t want = b->room < 32 ? 64 : b->room * 2;
        if (want < b->n + n + 1)
            want = b->n + n + 1;
        if (b->max < want - 1)
            want = b->max + 1;
        b->p = mem_resize(b->room > 0 ? b->p : NULL, want);
        b->room = want;
        b->p[b->n] = 0;
    }
    return b->p + b->n;
}

void buf_grown(struct buf *b, size_t n)
{
    b->n += n;
    b->p[b->n] = 0;
}

bool buf_ok(const struct buf *b)
{
    return !b->full;
}

void buf_spoil(struct buf *b)
{
    b->full = true;
}

static size_t before_character(const char *p, size_t n)
{
    while (n > 0 && ((unsigned char)p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* Text that does not fit: as much as leaves room for the three dots, without half a character. */
static void add_cut(struct buf *b, struct str s)
{
    static const char dots[] = "...";
    size_t most = b->max < 3 ? 0 : b->max - 3;
    size_t n = most > b->n ? most - b->n : 0;

    if (b->full)
        return;
    n = before_character(s.p, n < s.n ? n : s.n - 1);
    if (b->n > most)
        buf_cut(b, before_character(b->p, most));
    if (n > 0) {
        memcpy(buf_room(b, n), s.p, n);
        buf_grown(b, n);
    }
    if (b->max >= 3) {
        memcpy(buf_room(b, 3), dots, 3);
        buf_grown(b, 3);
    }
    b->full = true;
}

static void add_slowly(struct buf *b, struct str s)
{
    if (b->cuts && (b->full || s.n > b->max - b->n)) {
        add_cut(b, s);
        return;
    }
    char *to = buf_room(b, s.n);
    if (to != NULL) {
        memcpy(to, s.p, s.n);
        buf_grown(b, s.n);
    }
}

/* Where there is room already, which is never more than the ceiling and the zero. */
static bool has_room(const struct buf *b, size_t n)
{
    return n < b->room - b->n && !b->full;
}

void buf_add(struct buf *b, struct str s)
{
    if (s.n == 0)
        return;
    if (!has_room(b, s.n)) {
        add_slowly(b, s);
        return;
    }
    memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
    b->p[b->n] = 0;
}

void buf_addz(struct buf *b, const char *s)
{
    buf_add(b, (struct str){s, strlen(s)});
}

void buf_addc(struct buf *b, char c)
{
    if (!has_room(b, 1)) {
        add_slowly(b, (struct str){&c, 1});
        return;
    }
    b->p[b->n++] = c;
    b->p[b->n] = 0;
}

void buf_set(struct buf *b, struct str s)
{
    buf_clear(b);
    buf_add(b, s);
}

void buf_setz(struct buf *b, const char *s)
{
    buf_set(b, (struct str){s, strlen(s)});
}

struct str buf_str(const struct buf *b)
{
    return (struct str){b->p, b->n};
}

char *buf_take(struct buf *b)
{
    char *p = b->room > 0 ? b->p : mem_dup("", 0);
    *b = b->cuts ? BUF_TEXT(b->max) : BUF(b->max);
    return p;
}
