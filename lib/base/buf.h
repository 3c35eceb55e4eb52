/* buf.h - borrowed slices (str), and growable buffers with a largest size (buf) */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes that somebody else owns. Usually not followed by a zero byte. */
struct str {
    const char *p;
    size_t n;
};
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

/*
 * Bytes that the buffer owns. Always: p is not null, p[n] is 0, n <= max. If no memory is left the
 * process ends, so appending returns nothing.
 *
 * There are two kinds, and the declaration says which one is meant:
 *
 * BUF(ceiling) holds data: an address, a path, a record, a command. An append that does not fit
 * under the ceiling is left out whole, and the buffer is full until buf_clear. The contents are
 * then incomplete, so the step that made them has failed: ask buf_ok() once, after the last append
 * and before the first use.
 *
 * BUF_TEXT(ceiling) holds words for people: a log line, the text of a reply, a notice. What does
 * not fit is cut off, the text then ends in "...", and nobody needs to ask.
 */
struct buf {
    char *p;
    size_t n;
    size_t room; /* bytes allocated; 0 while nothing is owned */
    size_t max;
    bool full; /* read it with buf_ok(); t/lint/ceilings.py */
    bool cuts; /* BUF_TEXT */
};
#define BUF(ceiling)      ((struct buf){buf_none, 0, 0, (ceiling), false, false})
#define BUF_TEXT(ceiling) ((struct buf){buf_none, 0, 0, (ceiling), false, true})
extern char buf_none[1];

/* False if an append did not fit: the contents are then incomplete and must not be used. */
bool buf_ok(const struct buf *b) __attribute__((warn_unused_result));

/* Not ok from now on: a part of it did not fit elsewhere. */
void buf_spoil(struct buf *b);

void buf_free(struct buf *b); /* b may be used again */
void buf_clear(struct buf *b); /* empties it; the memory stays allocated */
void buf_cut(struct buf *b, size_t n); /* keep the first n bytes */
void buf_skip(struct buf *b, size_t n); /* drop the first n bytes */
void buf_swap(struct buf *a, struct buf *b); /* contents and ceilings */

/* Makes room for n more bytes at the end and returns where it begins. The caller writes there and
 * then says with buf_grown how many bytes it has written. Null if the ceiling would be passed (full
 * is then set, also for BUF_TEXT). */
char *buf_room(struct buf *b, size_t n);
void buf_grown(struct buf *b, size_t n);

/* Append: what does not fit below the ceiling is left out, see buf_ok. */
void buf_add(struct buf *b, struct str s);
void buf_addz(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_addv(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_setz(struct buf *b, const char *s); /* clear, then add */
void buf_set(struct buf *b, struct str s); /* clear, then add; s is not in b */

struct str buf_str(const struct buf *b); /* valid until b changes */
char *buf_take(struct buf *b); /* the caller frees it; b is empty again */

#endif
