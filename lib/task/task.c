#include "task/task.h"

#include <signal.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/msg.h"
#include "task/loop.h"

struct loop loop = {
    .ready = {&loop.ready, &loop.ready},
    .all = {&loop.all, &loop.all},
    .settings = {.stack_size = TASK_STACK, .idle_stacks = 32, .sync_threads = 16},
};

void task_setup(const struct task_settings *settings)
{
    if (settings->stack_size > 0)
        loop.settings.stack_size = settings->stack_size;
    if (settings->idle_stacks > 0)
        loop.settings.idle_stacks = settings->idle_stacks;
    if (settings->sync_threads > 0)
        loop.settings.sync_threads = settings->sync_threads;
    stack_setup(loop.settings.stack_size, loop.settings.idle_stacks);
}

/* The first and last function on every stack. */
static void body(void)
{
    struct task *t = loop.self;

    stack_begin(&loop.own);
    t->fn(t->arg);
    poller_forget(t);
    list_drop(&t->all);
    loop.count--;
    loop.ended = t;
    loop.self = NULL;
    stack_switch(&t->stack, &loop.own, true);
    msg_panic("task %s: ran on after its end", t->name);
}

struct task *task_start(const char *name, task_fn *fn, void *arg)
{
    struct task *t = mem_new(sizeof *t);

    t->fn = fn;
    t->arg = arg;
    snprintf(t->name, sizeof t->name, "%s", name);
    list_init(&t->turn);
    stack_new(&t->stack, body);
    list_add(&loop.all, &t->all);
    list_add(&loop.ready, &t->turn);
    loop.count++;
    return t;
}

enum wait task_block(int64_t deadline, bool wakeable)
{
    struct task *t = loop.self;

    if (t == NULL)
        msg_panic("a wait outside of a task");
    t->waiting = true;
    t->wakeable = wakeable;
    poller_timer(t, deadline);
    loop.self = NULL;
    stack_switch(&t->stack, &loop.own, false);
    return t->result;
}

void task_resume(struct task *t, enum wait result)
{
    if (!t->waiting)
        return;
    t->waiting = false;
    t->deadline_ms = 0;
    t->result = result;
    list_add(&loop.ready, &t->turn);
}

/*
 * A wait of a cancelled task, or for what another task waits for. Others run first; a task that
 * goes on waiting all the same has not understood, and would keep the process busy for nothing: it
 * is named and slowed down.
 */
enum wait task_refuse(bool wakeable)
{
    enum { YIELDS = 100, NAP_MS = 20 };
    struct task *t = loop.self;

    if (++t->refused < YIELDS) {
        task_yield();
        return WAIT_CANCELLED;
    }
    if (t->refused == YIELDS)
        msg_warn(
            "task %s waits again and again although it is cancelled, or another task waits for "
            "the same",
            t->name);
    t->firm = true;
    enum wait w = task_block(loop.now + NAP_MS, wakeable);
    t->firm = false;
    return w == WAIT_WOKEN ? w : WAIT_CANCELLED;
}

static void use_local(uint64_t local)
{
    if (loop.on_local == NULL || local == loop.local)
        return;
    loop.local = local;
    loop.on_local(local);
}

void task_on_local(void (*fn)(uint64_t local))
{
    loop.on_local = fn;
}

void task_set_local(uint64_t local)
{
    if (loop.self != NULL)
        loop.self->local = local;
    use_local(local);
}

static void task_run(struct task *t)
{
    list_drop(&t->turn);
    loop.self = t;
    use_local(t->local);
    stack_switch(&loop.own, &t->stack, false);
    if (loop.ended != NULL) {
        stack_drop(&loop.ended->stack);
        free(loop.ended);
        loop.ended = NULL;
    }
}

/* Those that are ready now; what they make ready comes later, so that nobody starves the clients.
 */
static void run_ready(void)
{
    struct list now;

    if (list_empty(&loop.ready))
        return;
    list_init(&now);
    list_add(&loop.ready, &now);
    loop.round_end = &now;
    while (loop.ready.next != &now)
        task_run(LIST_OF(hostile_pick(&loop.ready, &now), struct task, turn));
    loop.round_end = NULL;
    list_drop(&now);
}

/*
 * The CPU time of a turn is what counts on a machine that does other work as well. To ask for it is
 * a system call, so it is asked for only at the end of a long turn, and what the turns since the
 * last question took by the clock is subtracted. That is as much as their CPU time, or more if the
 * machine did other work meanwhile: so it is asked for again before it is much.
 */
enum { LONG_US = 10 * 1000, OTHERS_US = 20 * 1000, OTHERS = 1000 };

/* What this thread used since the last call, without the turns that were added to loop.others. */
static int64_t take_cpu_us(void)
{
    struct timespec t = {0};
    int64_t before = loop.cpu_us, others = loop.others.us;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    loop.cpu_us = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
    loop.others.us = 0;
    loop.others.n = 0;
    return loop.cpu_us - before - others;
}

static void begin_turn(void)
{
    loop.turn++;
    loop.in_turn = true;
    watchdog_turn();
}

static void end_turn(void)
{
    int64_t took_us = clock_us() - loop.now_us;

    if (took_us >= LONG_US) {
        int64_t cpu_us = take_cpu_us();
        if (cpu_us > loop.turns.cpu_us)
            loop.turns.cpu_us = cpu_us;
    } else {
        loop.others.us += took_us;
        if (++loop.others.n >= OTHERS || loop.others.us >= OTHERS_US)
            take_cpu_us();
    }
    if (took_us / 1000 > loop.turns.wall_ms)
        loop.turns.wall_ms = took_us / 1000;
    for (size_t i = 0; i < loop.nhooks; i++)
        loop.hooks[i]();
}

void task_loop(void)
{
    enum { ROUNDS = 4 }; /* tasks wake each other: look at the world only so often meanwhile */

    signal(SIGPIPE, SIG_IGN);
    loop_look_at_clock();
    take_cpu_us(); /* what was used before is of no turn */
    loop.running = true;
    while (loop.count > 0) {
        begin_turn();
        for (int round = 0; round < ROUNDS && !list_empty(&loop.ready); round++)
            run_ready();
        end_turn();
        loop.in_turn = false;
        if (loop.count > 0)
            poller_turn(list_empty(&loop.ready));
    }
    loop.running = false;
}

struct task *task_self(void)
{
    return loop.self;
}

void *task_arg(void)
{
    return loop.self->arg;
}

const char *task_name(const struct task *t)
{
    return t->name;
}

size_t task_count(void)
{
    return loop.count;
}

int64_t task_now(void)
{
    return loop.running ? loop.now : clock_ms();
}

struct task_turns task_longest_turns(void)
{
    struct task_turns longest = loop.turns;

    loop.turns = (struct task_turns){0};
    return longest;
}

void task_on_turn(void (*fn)(void))
{
    for (size_t i = 0; i < loop.nhooks; i++)
        if (loop.hooks[i] == fn)
            return;
    if (loop.nhooks == sizeof loop.hooks / sizeof loop.hooks[0])
        msg_panic("too many turn hooks");
    loop.hooks[loop.nhooks++] = fn;
}

void task_cancel(struct task *t)
{
    t->cancelled = true;
    if (!t->firm)
        task_resume(t, WAIT_CANCELLED);
}

void task_cancel_all(void)
{
    LIST_EACH (&loop.all, l) {
        struct task *t = LIST_OF(l, struct task, all);
        if (t != loop.self)
            task_cancel(t);
    }
}

bool task_is_cancelled(void)
{
    return loop.self != NULL && loop.self->cancelled;
}

static enum wait park(int64_t deadline, bool anyway)
{
    struct task *t = loop.self;

    hostile_wait();
    if (t->woken) {
        t->woken = false;
        return WAIT_READY;
    }
    if (deadline != 0 && deadline <= loop.now && (anyway || !t->cancelled))
        return WAIT_TIMEOUT;
    t->firm = anyway;
    enum wait w = t->cancelled && !anyway ? task_refuse(true) : task_block(deadline, true);
    t->firm = false;
    return w == WAIT_WOKEN ? WAIT_READY : w;
}

enum wait task_park(int64_t deadline)
{
    return park(deadline, false);
}

enum wait task_park_anyway(int64_t deadline)
{
    return park(deadline, true);
}

void task_wake(struct task *t)
{
    if (t->waiting && t->wakeable)
        task_resume(t, WAIT_WOKEN);
    else
        t->woken = true;
}

enum wait task_sleep(int64_t until)
{
    if (loop.self == NULL)
        return task_wait_fd(-1, 0, until);
    hostile_wait();
    if (loop.self->cancelled)
        return task_refuse(false);
    if (until <= loop.now)
        return WAIT_TIMEOUT;
    return task_block(until, false);
}

void task_yield(void)
{
    struct task *t = loop.self;

    if (t == NULL)
        return;
    t->waiting = true;
    task_resume(t, WAIT_READY);
    loop.self = NULL;
    stack_switch(&t->stack, &loop.own, false);
}

void task_yield_if_long(void)
{
    enum { LONG_WORK_US = 20 * 1000 };

    if (task_hostile() || clock_us() - loop.now_us > LONG_WORK_US)
        task_yield();
}

void task_let_others(void)
{
    if (loop.self != NULL &&
        (loop.ready.next != loop.round_end || loop.ready.prev != loop.round_end))
        task_yield();
}

void task_trim(void)
{
    if (loop.self != NULL)
        stack_trim(&loop.self->stack);
    mem_trim();
}

void task_forked(void)
{
    watchdog_forked();
    poller_forked();
    sync_forked();
    signals_forked();
    LIST_EACH (&loop.all, l) { /* the structs stay as they are: see poller_forked */
        struct task *t = LIST_OF(l, struct task, all);
        struct stack stack = t->stack;
        if (t == loop.self)
            continue;
        if (!list_empty(&t->turn))
            list_drop(&t->turn);
        stack_drop(&stack);
    }
    list_init(&loop.all);
    loop.count = 0;
    loop.cpu_us = loop.others.us = 0; /* counts anew in a child */
    if (loop.self != NULL) {
        loop.self->timer = (struct heap_node){0};
        list_add(&loop.all, &loop.self->all);
        loop.count = 1;
    }
    loop.turns = (struct task_turns){0};
}
