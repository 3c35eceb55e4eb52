/* mem.h - the allocator's front: never returns null; no memory left ends the process with a log
 * line */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_new(size_t size); /* zeroed; free(3) it */
void *mem_array(size_t count, size_t size); /* zeroed; overflow-checked */
void *mem_resize(void *p, size_t size); /* as realloc; new bytes are not zeroed */
char *mem_dup(const char *p, size_t n); /* a copy with a zero byte behind it */
char *mem_dupz(const char *s);

/* Gives free pages back to the system, at most ten times a second: for a process that goes idle. */
void mem_trim(void);

/*
 * For a process that will fork many children which live long: takes what is free between its
 * allocations out of use, for good. What a child allocates then lies together at the end of the
 * heap, instead of making a page here and there its own.
 */
void mem_fill_holes(void);

#endif
