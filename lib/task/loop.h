/* loop.h - inside lib/task: the running loop and the task, as its files share them */
#ifndef TASK_LOOP_H
#define TASK_LOOP_H

#include "base/heap.h"
#include "base/list.h"
#include "task/stack.h"
#include "task/task.h"

struct task {
    struct list turn; /* in loop.ready, when it may run */
    struct list all;
    struct heap_node timer; /* its key may be earlier than deadline: see poller_timer */
    int64_t deadline; /* of the present wait; 0: none */
    struct stack stack;
    task_fn *fn;
    void *arg;
    enum wait result;
    bool waiting; /* parked: task_resume may end it */
    bool wakeable; /* ... and so may task_wake */
    bool woken; /* task_wake came while it was not wakeable */
    bool cancelled;
    bool sync; /* waits for a sync thread: neither cancelled nor woken */
    uint64_t word; /* task_set_word */
    char name[24];
};

struct loop {
    struct list ready, all;
    struct task *self; /* running, or null */
    struct task *ended; /* its stack goes when the loop is on its own again */
    struct stack own; /* of task_loop's caller */
    size_t count;
    int64_t now, longest;
    bool running;
    void (*hooks[4])(void);
    size_t nhooks;
    struct task_settings settings;
    uint64_t word; /* as on_word was told last */
    void (*on_word)(uint64_t word);
};
extern struct loop loop;

/* Parks the running task until task_resume, the deadline (0: none) or cancellation. */
enum wait task_block(int64_t deadline, bool wakeable);
void task_resume(struct task *t, enum wait result); /* harmless if it does not wait */

/* Epoll and timers. */
void poller_timer(struct task *t, int64_t deadline);
void poller_forget(struct task *t); /* it ends */
void poller_turn(bool may_sleep); /* takes what has happened; sleeps until something has */
void poller_forked(void);

void sync_forked(void);
void signals_forked(void);

#endif
