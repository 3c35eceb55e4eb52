/*
 * Timers: one task sleeps until the next one is due.
 */
#include "task/task.h"

#include "qmgr.h"

static struct {
    struct heap heap;
    struct task *task;
} timers;

static void run_due(void)
{
    struct heap_node *first;

    while ((first = heap_first(&timers.heap)) != NULL && first->key <= task_now()) {
        struct timer *t = HEAP_OF(first, struct timer, node);
        heap_drop(&timers.heap, first);
        t->fn(t->arg);
    }
}

static void clock_task(void *arg)
{
    (void)arg;
    while (!task_is_cancelled()) {
        const struct heap_node *first = heap_first(&timers.heap);
        if (first == NULL)
            break;
        if (task_park(first->key) != WAIT_CANCELLED)
            run_due();
    }
    timers.task = NULL;
}

void timer_set(struct timer *t, int64_t at_ms, void (*fn)(void *), void *arg)
{
    t->fn = fn;
    t->arg = arg;
    /* A key of 0 would be no deadline. */
    heap_put(&timers.heap, &t->node, at_ms > 0 ? at_ms : 1);
    if (timers.task == NULL)
        timers.task = task_start("clock", clock_task, NULL);
    else if (heap_first(&timers.heap) == &t->node)
        task_wake(timers.task);
}

void timer_clear(struct timer *t)
{
    heap_drop(&timers.heap, &t->node);
}
