/* random.h - random bytes and tokens from the kernel */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

#include "base/buf.h"

/* From getrandom(2), read in blocks, so that not each call is a system call. */
void random_bytes(void *p, size_t n);
uint32_t random_below(uint32_t bound); /* uniform in 0 .. bound - 1; bound > 0 */
void random_token(struct buf *out, size_t n); /* appends n characters of A-Za-z0-9 */
void random_after_fork(void); /* call in a child: drops the block, so that it does not get the same
                                 bytes as its parent */

#endif
