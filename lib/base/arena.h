/* arena.h - memory of a session or a transaction, freed whole */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/buf.h"

/*
 * Nothing in an arena is freed alone. A child arena is freed with its parent, or
 * before it. What an outsider can make large must be bounded where it is counted.
 */
struct arena;

struct arena *arena_new(struct arena *parent); /* parent may be null */
void arena_free(struct arena **a); /* children too; null is accepted */
void arena_reset(struct arena *a); /* drops all contents and children, keeps one block */
void arena_wipe(struct arena *a); /* the same, all of it overwritten before; keeps no block */
size_t arena_used(const struct arena *a); /* bytes handed out, for bounds */

void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for any type */
void *arena_array(struct arena *a, size_t count, size_t size); /* overflow ends the process */
struct str arena_str(struct arena *a, struct str s); /* a copy; s.p[n] is 0 in the copy */
char *arena_strz(struct arena *a, struct str s); /* a copy with a zero byte */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
