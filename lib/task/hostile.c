/*
 * Hostile waits: see task.h. Only in sanitized builds, which nobody runs for mail.
 */
#include "task/loop.h"

#if ANNOTATE_ASAN

#include <stdlib.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"

enum { HOOKS = 8 };

static struct {
    bool known, on;
    int64_t seed;
    void (*hooks[HOOKS])(void);
    size_t nhooks;
} hostile;

static bool is_on(void)
{
    if (!hostile.known) {
        const char *seed = getenv("POMBAL_HOSTILE_WAITS");
        hostile.known = true;
        hostile.on = seed != NULL && num_parse(strz(seed), 0, INT64_MAX, &hostile.seed);
    }
    return hostile.on;
}

static unsigned random_below(unsigned n)
{
    uint64_t next = (uint64_t)hostile.seed * 6364136223846793005u + 1442695040888963407u;

    hostile.seed = (int64_t)next;
    return (unsigned)(next >> 33) % n;
}

void hostile_wait(void)
{
    if (!is_on() || loop.self == NULL)
        return;
    for (unsigned n = random_below(3); n > 0; n--)
        task_yield();
    for (size_t i = 0; i < hostile.nhooks; i++)
        hostile.hooks[i]();
}

/* Now and then: such calls are many. */
bool task_hostile(void)
{
    if (!is_on() || loop.self == NULL || random_below(8) != 0)
        return false;
    hostile_wait();
    return true;
}

struct list *hostile_pick(struct list *ready, const struct list *end)
{
    struct list *at = ready->next;
    unsigned n = 0;

    if (!is_on())
        return at;
    for (struct list *l = ready->next; l != end; l = l->next)
        n++;
    for (unsigned skip = random_below(n); skip > 0; skip--)
        at = at->next;
    return at;
}

void task_on_hostile(void (*fn)(void))
{
    for (size_t i = 0; i < hostile.nhooks; i++)
        if (hostile.hooks[i] == fn)
            return;
    if (hostile.nhooks == HOOKS)
        msg_panic("too many hooks of hostile waits");
    hostile.hooks[hostile.nhooks++] = fn;
}

#else

void task_on_hostile(void (*fn)(void))
{
    (void)fn;
}

#endif
