/* task.h - straight-line code that waits: one stack per session, one loop per process */
#ifndef TASK_TASK_H
#define TASK_TASK_H

#include <stdint.h>

/*
 * Tasks switch only inside the calls marked (waits). Between two of them a
 * task has the process to itself, so no locks; across one of them anything
 * shared may have changed, so no function-static buffers and no pointers
 * into shared tables. Times are task_now() milliseconds.
 */
struct task;
typedef void task_fn(void *arg);

enum wait { WAIT_READY, WAIT_TIMEOUT, WAIT_CANCELLED };

struct task *task_start(const char *name, task_fn *fn, void *arg);
void task_cancel(struct task *t); /* its present and later waits say WAIT_CANCELLED */
struct task *task_self(void);
int64_t task_now(void);

enum wait task_wait_fd(int fd, short poll_events, int64_t deadline); /* (waits) */
enum wait task_sleep(int64_t until); /* (waits) */
enum wait task_park(int64_t deadline); /* (waits) until task_wake */
void task_wake(struct task *t);
void task_yield(void); /* (waits) after long computing */
int task_fsync(int fd); /* (waits) 0, or -1 and errno; syncs are grouped */

void task_loop(void); /* returns when the last task has ended */

#endif
