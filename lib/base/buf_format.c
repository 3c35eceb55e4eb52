/*
 * Formatting into a buffer. The conversions that are used nearly always are made here, for a
 * fraction of what the C library needs; it makes the others.
 */
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"

enum { WIDTH_MOST = 99 };

/* %s %c %% and, with a width and leading zeros, %d %i %u %x %X. */
struct spec {
    char kind; /* its letter; 0: one for the C library */
    size_t width;
    bool zeros;
    int longs; /* 1: l or z, 2: ll */
};
_Static_assert(sizeof(size_t) == sizeof(long), "%zu is taken for %lu");

/* p is behind the "%"; the result behind the conversion. */
static const char *spec_parse(const char *p, struct spec *s)
{
    *s = (struct spec){.zeros = *p == '0'};
    for (; *p >= '0' && *p <= '9' && s->width <= WIDTH_MOST; p++)
        s->width = s->width * 10 + (size_t)(*p - '0');
    for (; (*p == 'l' || *p == 'z') && s->longs < 2; p++)
        s->longs++;
    bool number = *p == 'd' || *p == 'u' || *p == 'i' || *p == 'x' || *p == 'X';
    bool text = *p == 's' || *p == 'c' || *p == '%';
    if ((number && s->width <= WIDTH_MOST) || (text && p[-1] == '%'))
        s->kind = *p;
    return s->kind != 0 ? p + 1 : p;
}

static bool is_simple(const char *fmt)
{
    struct spec s;

    while ((fmt = strchr(fmt, '%')) != NULL) {
        fmt = spec_parse(fmt + 1, &s);
        if (s.kind == 0)
            return false;
    }
    return true;
}

/* The digits of n, before end; where they begin. */
static char *put_digits(char *end, uint64_t n, char kind)
{
    const char *digits = kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    bool hex = kind == 'x' || kind == 'X';

    do
        *--end = hex ? digits[n % 16] : (char)('0' + n % 10);
    while ((n = hex ? n / 16 : n / 10) > 0);
    return end;
}

static void add_number(struct buf *b, const struct spec *s, uint64_t n, bool negative)
{
    size_t width = s->width - (negative && s->width > 0);
    char text[WIDTH_MOST + 30];
    char *end = text + sizeof text, *p = put_digits(end, n, s->kind);

    while (s->zeros && (size_t)(end - p) < width)
        *--p = '0';
    if (negative)
        *--p = '-';
    while ((size_t)(end - p) < s->width)
        *--p = ' ';
    buf_add(b, (struct str){p, (size_t)(end - p)});
}

static void add_signed(struct buf *b, const struct spec *s, int64_t n)
{
    add_number(b, s, n < 0 ? -(uint64_t)n : (uint64_t)n, n < 0);
}

static void add_one(struct buf *b, const struct spec *s, va_list *ap)
{
    switch (s->kind) {
    case 's': {
        const char *text = va_arg(*ap, const char *);
        buf_addz(b, text != NULL ? text : "(null)");
        break;
    }
    case 'c':
        buf_addc(b, (char)va_arg(*ap, int));
        break;
    case '%':
        buf_addc(b, '%');
        break;
    case 'd':
    case 'i':
        add_signed(b, s,
                   s->longs == 0   ? va_arg(*ap, int)
                   : s->longs == 1 ? va_arg(*ap, long)
                                   : va_arg(*ap, long long));
        break;
    default:
        add_number(b, s,
                   s->longs == 0   ? va_arg(*ap, unsigned)
                   : s->longs == 1 ? va_arg(*ap, unsigned long)
                                   : va_arg(*ap, unsigned long long),
                   false);
    }
}

static void add_simple(struct buf *b, const char *fmt, va_list *ap)
{
    struct spec s;
    size_t n;

    while (*fmt != 0) {
        n = strcspn(fmt, "%");
        buf_add(b, (struct str){fmt, n});
        fmt += n;
        if (*fmt == 0)
            break;
        fmt = spec_parse(fmt + 1, &s);
        add_one(b, &s, ap);
    }
}

static void add_by_library(struct buf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
static void add_by_library(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    char small[256];

    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    if (n >= 0 && (size_t)n < sizeof small) {
        buf_add(b, (struct str){small, (size_t)n});
    } else if (n >= 0 && !b->cuts) {
        if (buf_room(b, (size_t)n) != NULL) {
            vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
            buf_grown(b, (size_t)n);
        }
    } else if (n >= 0) {
        char *text = mem_new((size_t)n + 1);
        vsnprintf(text, (size_t)n + 1, fmt, again);
        buf_add(b, (struct str){text, (size_t)n});
        free(text);
    }
    va_end(again);
}

/* All of it or nothing, but for a BUF_TEXT. */
void buf_addv(struct buf *b, const char *fmt, va_list ap)
{
    size_t before = b->n;
    bool was_full = b->full;
    va_list copy;

    if (!is_simple(fmt)) {
        add_by_library(b, fmt, ap);
        return;
    }
    if (!b->cuts)
        b->full = false;
    va_copy(copy, ap);
    add_simple(b, fmt, &copy);
    va_end(copy);
    if (!b->cuts && b->full)
        buf_cut(b, before);
    b->full = b->full || was_full;
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_addv(b, fmt, ap);
    va_end(ap);
}
