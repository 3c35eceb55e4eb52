/* task.h - straight-line code that waits: one stack per session, one loop per process */
#ifndef TASK_TASK_H
#define TASK_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "task/annotate.h"

/*
 * Tasks switch only inside the calls marked (waits). Between two of them a task has the process to
 * itself, so no locks; across one of them anything shared may have changed, so no function-static
 * buffers and no pointers into shared tables. Times are task_now() milliseconds; a deadline of 0
 * means none; a deadline that has passed means: look, but do not wait.
 *
 * Outside of a task, when no loop runs, waits for descriptors and time simply
 * block the process, so that tools can use streams without a loop.
 *
 * A task has a stack of TASK_STACK bytes with a guard page below, in daemons
 * and in tests; the address sanitizer, whose frames are several times as large,
 * has TASK_STACK_FACTOR times as much. Only what is used takes memory, and it
 * is given back page by page when the task is idle (task_trim). No path may
 * use more than half of it: the tests look at task_stack_used().
 *
 * A task that was cancelled cannot keep the process: each further wait lets others run, and after
 * the hundredth the task is named in the log and sleeps before it is told WAIT_CANCELLED again. A
 * task that must wait for something although it is cancelled (for example, for the end of a helper
 * task that it has cancelled itself) calls task_park_anyway.
 */
struct task;
typedef void task_fn(void *arg);

enum wait { WAIT_READY, WAIT_TIMEOUT, WAIT_CANCELLED, WAIT_WOKEN };

/* Before the first task; what is 0 keeps its default. Never needed in tests. */
enum { TASK_STACK = 256 * 1024 };
#ifdef __SANITIZE_ADDRESS__
enum { TASK_STACK_FACTOR = 4 };
#else
enum { TASK_STACK_FACTOR = 1 };
#endif
struct task_settings {
    size_t stack_size; /* usable bytes of a stack: TASK_STACK */
    unsigned idle_stacks; /* kept for the next task: 32; more for a second or two after a rush */
    unsigned sync_threads; /* at most, started when needed: 16 */
};
void task_setup(const struct task_settings *settings);

/* The new task runs at the next turn, not now. The name is copied (23 bytes). May be called before
 * task_loop and in callbacks. */
struct task *task_start(const char *name, task_fn *fn, void *arg);
/* Its present and later waits return WAIT_CANCELLED, except task_fsync and task_fdatasync, which
 * always complete. The task must not have ended: it is up to whoever keeps the pointer to know
 * that. */
void task_cancel(struct task *t);
void task_cancel_all(void); /* all tasks but the caller, at shutdown */
bool task_is_cancelled(void); /* the running one */
struct task *task_self(void); /* null outside of a task: in callbacks, before task_loop */
void *task_arg(void); /* what the running one was started with; not outside of a task */
const char *task_name(const struct task *t);
size_t task_count(void); /* tasks that have started and not ended */
int64_t task_now(void); /* milliseconds, monotonic; read once per turn of the loop */

/*
 * Task-local value: one number per task, 0 at first. A process that calls task_on_local has fn
 * called with the value of each task that begins to run, if it differs from that of the task
 * before: for state that belongs to the thread but must follow the task (file system uid and gid,
 * see service/become.h). Callbacks of the loop run with the value of the task that ran last.
 */
void task_set_local(uint64_t local); /* of the running task; calls fn at once if it changes */
void task_on_local(void (*fn)(uint64_t local));

/*
 * (waits) until the descriptor is readable (POLLIN) or writable (POLLOUT), also in case of an
 * error or hang-up, which the next read or write then tells. At most one task may wait for each
 * direction of a descriptor: a second one is told WAIT_CANCELLED, with an error in the log. Files
 * that cannot be waited for are always ready. The loop keeps the descriptor registered, so one that
 * was waited for must be closed with task_close.
 */
enum wait task_wait_fd(int fd, short poll_events, int64_t deadline_ms);
/* (waits) Until one of the n descriptors (at most TASK_WAIT_ANY_MOST) is ready for its events. An
 * entry without events is left out. revents is not set for the caller: try each descriptor. */
struct pollfd;
enum { TASK_WAIT_ANY_MOST = 4 };
enum wait task_wait_any(const struct pollfd *fds, size_t n, int64_t deadline_ms);
/* (waits) As task_wait_fd, or until task_wake (then WAIT_WOKEN): for IDLE, relays, queues. */
enum wait task_wait_either(int fd, short poll_events, int64_t deadline_ms);
/* (waits) As task_wait_fd, but one system call cheaper. Allowed only if the last read or write
 * failed with EAGAIN or, on a stream socket, moved fewer bytes than asked for: the loop is
 * edge-triggered. */
enum wait task_wait_again(int fd, short poll_events, int64_t deadline_ms);
enum wait task_wait_again_either(int fd, short poll_events, int64_t deadline_ms); /* or task_wake */
/* A read moved fewer bytes than asked for: what the loop was told of before has been read, and
 * task_wait_again must not return for it. */
void task_emptied(int fd);
void task_close(int fd); /* close(2), and the loop forgets fd; -1 is ignored; keeps errno */

enum wait task_sleep(int64_t until_ms); /* (waits) WAIT_TIMEOUT when it has passed */
/* (waits) until task_wake: WAIT_READY. A wake-up that came before the call is not lost: the call
 * then returns at once. So callers must check in a loop whether what they wait for has happened. */
enum wait task_park(int64_t deadline_ms);
/* (waits) As task_park, but cancellation does not end the wait: only task_wake (WAIT_READY) and the
 * deadline do. Use it only if it is certain that somebody calls task_wake. */
enum wait task_park_anyway(int64_t deadline_ms);
void task_wake(struct task *t); /* harmless if it runs or waits for something else */
void task_yield(void); /* (waits) for one turn, so that other tasks run; during long computing */
/* (waits) As task_yield, but only if this turn has taken 20 ms: between steps of work of which
 * whoever is outside decides how many there are. */
void task_yield_if_long(void);
/* (waits) As task_yield, but only if others can run already: so that what several tasks are about
 * to do can be done once for all. */
void task_let_others(void);

/* (waits) 0, or -1 and errno. The task is parked while a sync thread works, so syncs that arrive
 * together share one commit of the file system's journal. On tmpfs, where a sync costs nothing, it
 * is done at once, without a thread. */
int task_fsync(int fd);
int task_fdatasync(int fd);

/* Give the unused part of the running task's stack, and free heap, back to the system. The stream
 * does it for sessions that have been idle for a second. */
void task_trim(void);

/* Runs until the last task has ended. Ignores SIGPIPE from then on. */
void task_loop(void);

/*
 * Callbacks run in the loop, between tasks: they may wake and start tasks, but not wait.
 * task_watch: level-triggered; events 0 ends it (do so before the descriptor is closed).
 * task_on_signal blocks the signal and takes it through a signalfd; null: as it was by default.
 * task_on_turn: at the end of each turn of the loop, before it sleeps (log lines, counters).
 */
typedef void task_watch_fn(void *arg, int fd, short events);
void task_watch(int fd, short poll_events, task_watch_fn *fn, void *arg);
void task_on_signal(int signo, void (*fn)(int signo));
void task_on_turn(void (*fn)(void));

/* In the child after fork(2) by a task: that task goes on as the only one, with a new loop. The
 * stacks of the others are dropped; what they held open stays open: close it. Signals have their
 * default action again. Without a following exec, this must be the first call. */
void task_forked(void);
/* In the child before exec(3): unblocks all signals, SIGPIPE ends it again. Async-signal-safe. */
void task_signals_default(void);

/*
 * For the metrics page: the longest turn of the loop since the last call; during one turn of a task
 * no other task is served. wall_ms is the time that passed, whatever else the machine did; cpu_us
 * is the CPU time of turns of 10 ms and more, and may be up to 20 ms too small.
 */
struct task_turns {
    int64_t wall_ms, cpu_us;
};
struct task_turns task_longest_turns(void);
/* High-water mark: the most bytes of a stack that a task which has ended is known to have used,
 * rounded up to pages. Only some tasks are measured: the first two, then one in 32. */
size_t task_stack_used(void);
size_t task_stack_size(void); /* usable bytes of a stack, with the factor for sanitizers */

/*
 * A watch over the loop, by a timer signal (SIGALRM): a turn that takes report_ms is reported in
 * the log with the name of the task that runs, once; one that takes limit_ms ends the process with
 * a line and SIGABRT. 0 switches that part off. A process that sleeps is not woken by the timer. A
 * forked child has no watchdog until it calls this itself.
 */
void task_watchdog(int64_t report_ms, int64_t limit_ms);

/*
 * Hostile waits, for tests of sanitized builds: with POMBAL_HOSTILE_WAITS=SEED in the environment,
 * each call that (waits) first runs other ready tasks, in random order, even if it need not wait,
 * and calls the functions that task_on_hostile was given (at most 8): they may move whatever may
 * move across a wait, and poison what was lent. Does nothing in other builds.
 */
void task_on_hostile(void (*fn)(void));
/* (waits) To be called by functions that wait only sometimes: in tests it waits now and then. True:
 * the function shall move the memory that it has lent to its callers, as it would after a real
 * wait. */
#if ANNOTATE_ASAN
bool task_hostile(void);
#else
static inline bool task_hostile(void)
{
    return false;
}
#endif

#endif
