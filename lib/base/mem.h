/* mem.h - malloc and the like that never return null: if no memory is left, the process ends with a
 * line in the log */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_new(size_t size); /* zeroed; free(3) it */
void *mem_array(size_t count, size_t size); /* zeroed; overflow-checked */
void *mem_resize(void *p, size_t size); /* as realloc; new bytes are not zeroed */
char *mem_dup(const char *p, size_t n); /* a copy that ends in a zero byte */
char *mem_dupz(const char *s); /* a copy, to be freed with free */

/* Returns free pages to the system, at most ten times a second. For a process that becomes idle. */
void mem_trim(void);

/*
 * For a process that forks many children that live long. Allocates all free space between existing
 * allocations and never frees it. A child then allocates at the end of the heap, and copies few of
 * the pages that it shares with its parent.
 */
void mem_fill_holes(void);

#endif
