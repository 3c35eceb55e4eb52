#include "base/mem.h"

#include <malloc.h>
#include <unistd.h>

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

void mem_fill_holes(void)
{
    enum { LARGEST = 1024 * 1024, KEPT_BY_MALLOC = 1032, SMALLEST = 16, STEP = 16 };
    static struct hole {
        struct hole *next;
    } * holes; /* so that leak checkers find them */
    struct mallinfo2 info = mallinfo2();
    char *end = (char *)sbrk(0) - info.keepcost; /* of the heap's used part */

    if (info.keepcost == 0) /* another allocator */
        return;
    for (size_t size = LARGEST; size >= SMALLEST;
         size = size > KEPT_BY_MALLOC * 2 ? size / 2 : size - STEP) {
        struct hole *h;
        do {
            h = mem_resize(NULL, size);
            h->next = holes;
            holes = h;
        } while ((char *)h < end);
        if (size > KEPT_BY_MALLOC) { /* it goes back into the end */
            holes = h->next;
            free(h);
        }
    }
}
