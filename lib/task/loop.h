/* loop.h - inside lib/task: the running loop and the task, as its files share them */
#ifndef TASK_LOOP_H
#define TASK_LOOP_H

#include "base/heap.h"
#include "base/list.h"
#include "task/annotate.h"
#include "task/stack.h"
#include "task/task.h"

struct task {
    struct list turn; /* in loop.ready, when it may run */
    struct list all;
    struct heap_node timer; /* its key may be earlier than deadline: see poller_timer */
    int64_t deadline_ms; /* of the present wait; 0: none */
    struct stack stack;
    task_fn *fn;
    void *arg;
    enum wait result;
    bool waiting; /* parked: task_resume may end it */
    bool wakeable; /* ... and so may task_wake */
    bool woken; /* task_wake came while it was not wakeable */
    bool cancelled;
    bool firm; /* the present wait is not ended by task_cancel */
    unsigned refused; /* waits that ended at once because the task is cancelled */
    uint64_t local; /* task_set_local */
    char name[24];
};

struct loop {
    struct list ready, all;
    const struct list *round_end; /* in ready: whoever stands behind it runs in the next round */
    struct task *self; /* running, or null */
    struct task *ended; /* its stack goes when the loop is on its own again */
    struct stack own; /* of task_loop's caller */
    size_t count;
    int64_t now_us, now; /* of the monotonic clock, as last looked at; task_now(), ms */
    struct task_turns turns; /* the longest since task_turns() asked */
    int64_t cpu_us; /* the thread's CPU time, as last looked at */
    struct {
        int64_t us;
        unsigned n;
    } others; /* the turns since then, and how long they took */
    bool running;
    int64_t shrink_at; /* stack_shrink is called then */
    volatile bool in_turn; /* not asleep: for the watchdog's signal handler */
    volatile unsigned turn; /* counts turns */
    void (*hooks[4])(void);
    size_t nhooks;
    struct task_settings settings;
    uint64_t local; /* as on_local was told last */
    void (*on_local)(uint64_t local);
};
extern struct loop loop;

void loop_look_at_clock(void); /* sets now */

/* Parks the running task until task_resume, the deadline (0: none) or cancellation. */
enum wait task_block(int64_t deadline_ms, bool wakeable);
void task_resume(struct task *t, enum wait result); /* harmless if it does not wait */
/* (waits) What a wait of the running task does once it is cancelled: WAIT_CANCELLED, or WAIT_WOKEN
 * if wakeable. Others run first, so that a loop around it cannot keep the process. */
enum wait task_refuse(bool wakeable);

/* Epoll and timers. */
void poller_timer(struct task *t, int64_t deadline_ms);
void poller_forget(struct task *t); /* t ends: drops its timer */
void poller_turn(bool may_sleep); /* handles events and timers; if may_sleep, waits for one */
void poller_forked(void);

/* Runs other ready tasks and the hooks of task_on_hostile, if waits are hostile. */
#if ANNOTATE_ASAN
void hostile_wait(void);
struct list *hostile_pick(struct list *ready, const struct list *end); /* the next task to run */
#else
#define hostile_wait()         ((void)0)
#define hostile_pick(ready, e) ((ready)->next)
#endif

void watchdog_turn(void); /* a turn begins */
/* In the child after fork: what belongs to the parent's loop is let go. */
void watchdog_forked(void);
void sync_forked(void);
void signals_forked(void);

#endif
