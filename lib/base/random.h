/* random.h - random bytes and tokens from the kernel */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

#include "base/buf.h"

/* From getrandom(2) through a small pool, so that a token costs no system call each time. */
void random_bytes(void *p, size_t n);
uint32_t random_below(uint32_t bound); /* 0 .. bound - 1, without bias; bound > 0 */
void random_token(struct buf *out, size_t n); /* appends n characters of A-Za-z0-9 */
void random_after_fork(void); /* forget the pool: a child must not repeat its parent */

#endif
