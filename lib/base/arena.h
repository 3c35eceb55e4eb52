/* arena.h - memory of a session or a transaction, freed whole */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/buf.h"

/*
 * Allocations in an arena cannot be freed one by one. A child arena is freed with its parent, or
 * earlier. An arena has no limit of its own: whatever grows with input from outside must be bounded
 * by its user. If there is no memory left, the process ends.
 */
struct arena;

struct arena *arena_new(struct arena *parent); /* parent may be null */
void arena_free(struct arena **a); /* children too; null is accepted */
void arena_reset(struct arena *a); /* frees contents and children, keeps one block for reuse */
void arena_wipe(
    struct arena *a); /* as arena_reset, but overwrites the memory first; keeps no block */
size_t arena_used(const struct arena *a); /* bytes allocated from it, for limits */

void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for any type */
void *arena_array(struct arena *a, size_t count,
                  size_t size); /* zeroed; the process ends if count * size overflows */
struct str arena_str(struct arena *a, struct str s); /* a copy; s.p[n] is 0 in the copy */
char *arena_strz(struct arena *a, struct str s); /* a copy that ends in a zero byte */
/* As sprintf, into the arena. */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
