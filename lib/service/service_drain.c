/*
 * How a process ends: after a reload, when it was idle or used for long, when a table changed, when
 * master has gone. And what it says to master meanwhile.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/random.h"
#include "conf/conf.h"
#include "dict/dict.h"
#include "service/service_process.h"
#include "service/spawned.h"

enum {
    STOP_MS = 4000, /* what sessions and tasks have to say good-bye; master waits a little longer */
    POLL_MS = 20,
    LINGER_MS = 200, /* how often service.lingers is asked */
};

static struct {
    struct process *process; /* for the signal callback */
} drain;

void drain_tell(struct process *p, char status)
{
    if (p->spawned && send(SPAWN_STATUS_FD, &status, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        msg_debug("service", "status to master: %m");
}

static void wait_for_tasks(size_t others, int64_t deadline)
{
    while (task_count() > others && task_now() < deadline &&
           task_sleep(task_now() + POLL_MS) != WAIT_CANCELLED)
        ;
}

/* What wake does is finished like a client's request: half done it may be done twice. */
static bool is_idle(const struct process *p)
{
    return p->nclients == 0 && p->waker == NULL;
}

/* The last task, of which there is one: all sessions have gone, or must go. */
static void end(void *arg)
{
    struct process *p = arg;
    int64_t deadline = task_now() + STOP_MS;

    if (p->stopping) {
        clients_cancel(p, false);
        while (!is_idle(p) && task_now() < deadline &&
               task_sleep(task_now() + POLL_MS) != WAIT_CANCELLED)
            ;
    }
    if (p->spawned)
        task_watch(SPAWN_STATUS_FD, 0, NULL, NULL);
    task_cancel_all();
    wait_for_tasks(1, deadline);
    if (task_count() > 1) {
        msg_flush();
        _exit(0); /* some task does not look at its waits */
    }
    task_on_signal(SIGHUP, NULL);
    task_on_signal(SIGTERM, NULL);
    task_on_signal(SIGINT, NULL);
}

void drain_check(struct process *p)
{
    bool done = p->stopping || (p->draining && p->drained && is_idle(p));

    if (done && p->ender == NULL)
        p->ender = task_start("end", end, p);
}

/* (waits) A request that is being served may leave something behind, so clients count, too. */
static void wait_for_lingering(const struct process *p)
{
    bool (*lingers)(void) = p->service->lingers;

    while (lingers != NULL && (!is_idle(p) || lingers()) &&
           task_sleep(task_now() + LINGER_MS) != WAIT_CANCELLED)
        ;
}

static void call_drain(void *arg)
{
    struct process *p = arg;

    if (p->service->drain != NULL)
        p->service->drain();
    wait_for_lingering(p);
    p->drained = true;
    drain_check(p);
}

void drain_begin(struct process *p, const char *because)
{
    if (p->draining)
        return;
    if (because != NULL)
        msg_info("%s", because);
    p->draining = true;
    p->page->draining = 1;
    drain_tell(p, SPAWN_DRAINING);
    clients_stop_accepting(p);
    clients_cancel(p, true);
    task_start("drain", call_drain, p);
}

bool drain_if_stale(struct process *p, bool (*look_at_dirs)(void))
{
    struct buf what = BUF_TEXT(300);
    const char *table = p->draining || look_at_dirs() ? NULL : dicts_changed();

    if (table != NULL) {
        buf_addf(&what, "table %s has changed -- restarting", table);
        drain_begin(p, what.p);
        buf_free(&what);
    }
    return p->draining;
}

static void on_signal(int signo)
{
    struct process *p = drain.process;

    if (signo == SIGHUP) {
        drain_begin(p, NULL);
        return;
    }
    if (p->stopping)
        return;
    p->draining = p->stopping = true;
    clients_stop_accepting(p);
    drain_check(p);
}

static void from_master(void *arg, int fd, short events)
{
    struct process *p = arg;
    char bytes[16];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);

    (void)events;
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] == SPAWN_PAUSE)
            p->paused = true;
        else if (bytes[i] == SPAWN_GO)
            p->paused = false;
        else if (bytes[i] == SPAWN_STRESS || bytes[i] == SPAWN_CALM)
            clients_stress(p, bytes[i] == SPAWN_STRESS);
        else if (bytes[i] == SPAWN_SATURATED || bytes[i] == SPAWN_UNSATURATED)
            p->saturated = bytes[i] == SPAWN_SATURATED;
    }
    if (n > 0) {
        clients_accept_more(p);
    } else if (n == 0 || errno != EAGAIN) {
        task_watch(fd, 0, NULL, NULL);
        drain_begin(p, NULL);
    }
}

/* A process that has had nothing to do for max_idle is not needed. */
static void watch_idleness(void *arg)
{
    struct process *p = arg;

    while (!p->draining) {
        int64_t due = p->last_used + conf.max_idle * 1000;
        if (task_now() >= due && p->nclients == 0 && p->waker == NULL)
            drain_begin(p, NULL);
        else if (task_sleep(task_now() < due ? due : task_now() + conf.max_idle * 1000) ==
                 WAIT_CANCELLED)
            break;
    }
    p->idler = NULL;
}

void drain_start(struct process *p)
{
    drain.process = p;
    p->last_used = task_now();
    task_on_signal(SIGHUP, on_signal);
    task_on_signal(SIGTERM, on_signal);
    task_on_signal(SIGINT, on_signal);
    if (!p->spawned)
        return;
    task_watch(SPAWN_STATUS_FD, POLLIN, from_master, p);
    if (p->service->alone)
        drain_tell(p, SPAWN_ALONE);
    else if (p->service->sole)
        drain_tell(p, SPAWN_SOLE);
    else
        p->idler = task_start("idle", watch_idleness, p);
}

static int compare_fds(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void close_all_but(const int *keep, size_t n)
{
    enum { KEEP_MOST = 8 };
    int sorted[KEEP_MOST + 1];
    unsigned from = STDERR_FILENO + 1;

    assert(n <= KEEP_MOST);
    memcpy(sorted, keep, n * sizeof *keep);
    sorted[n++] = msg_fd();
    qsort(sorted, n, sizeof *sorted, compare_fds);
    for (size_t i = 0; i < n; i++) {
        if (sorted[i] < (int)from)
            continue;
        if (sorted[i] > (int)from)
            close_range(from, (unsigned)sorted[i] - 1, 0);
        from = (unsigned)sorted[i] + 1;
    }
    close_range(from, ~0u, 0);
}

void service_forked(const int *keep, size_t n)
{
    struct process *p = drain.process;

    metrics_forked();
    p->page = metrics_mine();
    task_forked();
    task_watchdog(conf.watchdog_report_time * 1000, conf.watchdog_timeout * 1000);
    clients_forked(p);
    close_all_but(keep, n);
    p->spawned = false;
    p->listeners.n = 0;
    p->idler = p->waker = NULL;
    random_after_fork();
}
