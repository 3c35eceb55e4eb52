#include "base/mem.h"

#include <malloc.h>

#include "base/clock.h"
#include "base/msg.h"

static void *check(void *p, size_t size)
{
    if (p == NULL)
        msg_fatal("out of memory: %zu bytes", size);
    return p;
}

void *mem_new(size_t size)
{
    return check(calloc(1, size > 0 ? size : 1), size);
}

void *mem_array(size_t count, size_t size)
{
    return check(calloc(count > 0 ? count : 1, size > 0 ? size : 1), size);
}

void *mem_resize(void *p, size_t size)
{
    return check(realloc(p, size > 0 ? size : 1), size);
}

char *mem_dup(const char *p, size_t n)
{
    char *copy = check(malloc(n + 1), n + 1);
    if (n > 0)
        memcpy(copy, p, n);
    copy[n] = 0;
    return copy;
}

char *mem_dupz(const char *s)
{
    return mem_dup(s, strlen(s));
}

void mem_trim(void)
{
    static int64_t next; /* when it may be done again */
    int64_t now = clock_ms();

    if (now < next)
        return;
    next = now + 100;
    malloc_trim(0);
}
