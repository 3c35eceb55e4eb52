#include "task/stack.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/vec.h"
#include "task/annotate.h"
#include "task/switch.h"
#include "task/task.h"

enum { PAGE = 4096, KEPT_MAX = 1024 };

static struct {
    size_t size;
    unsigned keep;
    VEC(char *) idle; /* low ends, most recently used last */
    size_t unneeded; /* so many were idle all the time since stack_shrink */
    size_t used; /* the most that was seen, in whole pages */
    unsigned ended; /* tasks so far */
} pool = {.size = (size_t)TASK_STACK * TASK_STACK_FACTOR, .keep = 32};

void stack_setup(size_t size, unsigned keep_idle)
{
    size = (size + PAGE - 1) / PAGE * PAGE * TASK_STACK_FACTOR;
    if (size != pool.size)
        while (pool.idle.n > 0)
            munmap(pool.idle.at[--pool.idle.n] - PAGE, pool.size + PAGE);
    pool.size = size;
    pool.keep = keep_idle < KEPT_MAX ? keep_idle : KEPT_MAX;
}

static char *map_stack(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE;
    char *p = mmap(NULL, pool.size + PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);

    if (p == MAP_FAILED || mprotect(p, PAGE, PROT_NONE) < 0)
        msg_fatal("no memory for the stack of a task (see vm.max_map_count)");
    return p + PAGE;
}

void stack_new(struct stack *s, void (*entry)(void))
{
    *s = (struct stack){.size = pool.size};
    s->low = pool.idle.n > 0 ? pool.idle.at[--pool.idle.n] : map_stack();
    if (pool.unneeded > pool.idle.n)
        pool.unneeded = pool.idle.n;
    s->registration = annotate_stack_new(s->low, s->size);
    s->sp = task_first_frame(s->low + s->size, entry);
}

/* The pages that were ever written to, from the top down to the lowest. */
static void measure(const struct stack *s)
{
    enum { PAGES = 2048 };
    unsigned char in_core[PAGES];
    size_t pages = s->size / PAGE, unused = 0;

    if (pages > PAGES || mincore(s->low, s->size, in_core) < 0)
        return;
    while (unused < pages && (in_core[unused] & 1) == 0)
        unused++;
    size_t used = s->size - unused * PAGE;
    if (used > pool.used)
        pool.used = used;
}

size_t task_stack_size(void)
{
    return pool.size;
}

size_t task_stack_used(void)
{
    return pool.used;
}

/* A new stack costs as much as ten system calls, so where many tasks come and go they are kept
 * while that lasts. Who keeps few is about to fork. */
static unsigned most_idle(void)
{
    enum { FEW = 32 };

    return pool.keep < FEW ? pool.keep : KEPT_MAX;
}

bool stack_surplus(void)
{
    return pool.idle.n > pool.keep;
}

void stack_shrink(void)
{
    size_t surplus = stack_surplus() ? pool.idle.n - pool.keep : 0;
    size_t drop = pool.unneeded < surplus ? pool.unneeded : surplus;

    for (size_t i = 0; i < drop; i++)
        munmap(pool.idle.at[i] - PAGE, pool.size + PAGE);
    pool.idle.n -= drop;
    if (drop > 0)
        memmove(pool.idle.at, pool.idle.at + drop, pool.idle.n * sizeof *pool.idle.at);
    pool.unneeded = pool.idle.n;
}

void stack_drop(struct stack *s)
{
    enum { FIRST = 2, OF = 32 };

    if (++pool.ended <= FIRST || pool.ended % OF == 0)
        measure(s);
    annotate_stack_drop(s->low, s->size, s->registration);
    if (s->size == pool.size && pool.idle.n < most_idle())
        *VEC_ADD(&pool.idle) = s->low;
    else
        munmap(s->low - PAGE, s->size + PAGE);
    s->low = NULL;
}

void stack_trim(const struct stack *s)
{
    enum { SOON = 1024 }; /* so much will be used again by the next calls */
    char here;
    size_t below = (size_t)(annotate_address(&here) - s->low);

    if (below <= SOON + PAGE)
        return;
    measure(s); /* the pages that tell are given back */
    madvise(s->low, (below - SOON) / PAGE * PAGE, MADV_DONTNEED);
}

void stack_switch(struct stack *from, struct stack *to, bool last)
{
    annotate_leave(last ? NULL : &from->fake, to->low, to->size);
    task_switch_stack(&from->sp, to->sp);
    annotate_arrive(from->fake, NULL, NULL);
}

void stack_begin(struct stack *from)
{
    const void *low = from->low;

    annotate_arrive(NULL, &low, &from->size);
    if (from->low == NULL) /* the process's own: its bounds are known only now */
        from->low = (char *)(uintptr_t)low;
}
