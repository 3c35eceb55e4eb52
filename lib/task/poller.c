/*
 * Epoll and timers. Descriptors stay registered, edge-triggered, from their first wait until
 * task_close: a wait costs no epoll_ctl. Output readiness is asked for only when somebody had to
 * wait for it, since a UNIX socket tells it at every read of its peer.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/msg.h"
#include "task/loop.h"

struct slot { /* one per descriptor number */
    struct task *reader, *writer;
    task_watch_fn *watch;
    void *watch_arg;
    unsigned use; /* counts the files that had this number: stale events are told apart */
    bool registered;
    bool asks_out; /* EPOLLOUT is in the registration */
    bool in, out; /* an edge came while nobody waited */
    bool ended; /* hang-up or end of input: no further edge will come for reading */
};

static struct {
    int epoll;
    struct slot *slots;
    size_t nslots;
    struct heap timers;
} poller = {.epoll = -1};

enum { EVENTS = 128 };

static struct slot *slot_of(int fd)
{
    size_t want = (size_t)fd + 1, room = poller.nslots;

    if (fd < 0)
        msg_panic("a wait for descriptor %d", fd);
    if (want > room) {
        room = want < 16 ? 16 : want * 2;
        poller.slots = mem_resize(poller.slots, room * sizeof poller.slots[0]);
        memset(poller.slots + poller.nslots, 0, (room - poller.nslots) * sizeof poller.slots[0]);
        poller.nslots = room;
    }
    return &poller.slots[fd];
}

static void open_epoll(void)
{
    if (poller.epoll < 0 && (poller.epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
        msg_fatal("epoll_create: %s", strerror(errno));
}

/* False: a file for which there is nothing to wait. */
static bool control(int op, int fd, const struct slot *s, unsigned events)
{
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)s->use << 32 | (unsigned)fd};

    open_epoll();
    if (epoll_ctl(poller.epoll, op, fd, &e) == 0)
        return true;
    if (errno != EPERM)
        msg_panic("epoll_ctl %d for descriptor %d: %s", op, fd, strerror(errno));
    return false;
}

static bool enlist(int fd, struct slot *s, short events)
{
    unsigned in = EPOLLIN | EPOLLRDHUP | EPOLLET;

    if (!s->registered) {
        s->asks_out = events & POLLOUT;
        s->in = s->out = s->ended = false;
        if (!control(EPOLL_CTL_ADD, fd, s, in | (s->asks_out ? EPOLLOUT : 0)))
            return false;
        s->registered = true;
    } else if ((events & POLLOUT) && !s->asks_out) {
        s->asks_out = true;
        s->out = false;
        control(EPOLL_CTL_MOD, fd, s, in | EPOLLOUT);
    }
    return true;
}

/* Takes an edge that came before. */
static bool was_ready(struct slot *s, short events)
{
    bool ready = false;

    if (events & POLLIN) {
        ready = s->in || s->ended;
        s->in = false;
    }
    if ((events & POLLOUT) && s->out) {
        ready = true;
        s->out = false;
    }
    return ready;
}

/* A caller that only looked has read nothing yet: its next task_wait_again must not wait for a new
 * edge. */
static void keep_edge(struct slot *s, short events)
{
    s->in = s->in || (events & POLLIN);
    s->out = s->out || (events & POLLOUT);
}

/*
 * False: another task waits there already. Which direction a TLS connection waits for is decided by
 * its peer, so this must not end the process: the second task's wait fails, and with it its
 * connection.
 */
static bool set_waiter(struct task **who, struct task *t, int fd)
{
    if (*who != NULL && *who != t) {
        msg_error("task %s waits for descriptor %d already; the wait of task %s fails",
                  (*who)->name, fd, t->name);
        return false;
    }
    *who = t;
    return true;
}

static bool set_waiters(int fd, short events, struct task *t)
{
    struct slot *s = slot_of(fd);

    return (!(events & POLLIN) || set_waiter(&s->reader, t, fd)) &&
           (!(events & POLLOUT) || set_waiter(&s->writer, t, fd));
}

static void clear_waiters(int fd, const struct task *t)
{
    struct slot *s = slot_of(fd); /* the table may have moved */

    if (s->reader == t)
        s->reader = NULL;
    if (s->writer == t)
        s->writer = NULL;
}

/* A tool without a loop. */
static enum wait wait_alone(int fd, short events, int64_t deadline)
{
    struct pollfd look = {.fd = fd, .events = events};
    int64_t left = deadline == 0 ? -1 : deadline - clock_ms();

    if (loop.running)
        msg_panic("a wait outside of a task");
    if (deadline != 0 && left < 0)
        left = 0;
    return poll(&look, 1, (int)(left > INT32_MAX ? INT32_MAX : left)) == 0 ? WAIT_TIMEOUT
                                                                           : WAIT_READY;
}

static enum wait wait_for(int fd, short events, int64_t deadline, bool wakeable, bool drained)
{
    struct task *t = loop.self;
    struct pollfd look = {.fd = fd, .events = events};
    struct slot *s;

    if (t == NULL)
        return wait_alone(fd, events, deadline);
    hostile_wait();
    if (t->cancelled)
        return task_refuse(wakeable);
    s = slot_of(fd);
    if (wakeable && t->woken) {
        t->woken = false;
        return WAIT_WOKEN;
    }
    if (!enlist(fd, s, events))
        return WAIT_READY;
    if (was_ready(s, events) && drained)
        return WAIT_READY;
    if (!drained && poll(&look, 1, 0) > 0) {
        keep_edge(s, events);
        return WAIT_READY;
    }
    if (deadline != 0 && deadline <= loop.now)
        return WAIT_TIMEOUT;
    enum wait w =
        set_waiters(fd, events, t) ? task_block(deadline, wakeable) : task_refuse(wakeable);
    clear_waiters(fd, t);
    if (!drained && w == WAIT_READY)
        keep_edge(slot_of(fd), events);
    return w;
}

enum wait task_wait_fd(int fd, short poll_events, int64_t deadline)
{
    return wait_for(fd, poll_events, deadline, false, false);
}

enum wait task_wait_either(int fd, short poll_events, int64_t deadline)
{
    return wait_for(fd, poll_events, deadline, true, false);
}

enum wait task_wait_again(int fd, short poll_events, int64_t deadline)
{
    return wait_for(fd, poll_events, deadline, false, true);
}

enum wait task_wait_again_either(int fd, short poll_events, int64_t deadline)
{
    return wait_for(fd, poll_events, deadline, true, true);
}

void task_emptied(int fd)
{
    if ((size_t)fd < poller.nslots)
        poller.slots[fd].in = false; /* an end that was told stays in ended */
}

/* Is one of them ready now? Those that have nothing to wait for are. */
static bool any_ready(struct pollfd *look, size_t n)
{
    bool ready = false;

    for (size_t i = 0; i < n; i++)
        if (look[i].fd >= 0 && !enlist(look[i].fd, slot_of(look[i].fd), look[i].events))
            ready = true;
    if (poll(look, n, 0) <= 0)
        return ready;
    for (size_t i = 0; i < n; i++)
        if (look[i].fd >= 0 && look[i].revents != 0)
            keep_edge(slot_of(look[i].fd), look[i].events);
    return true;
}

static enum wait block_for_any(const struct pollfd *look, size_t n, int64_t deadline)
{
    bool alone = true;

    for (size_t i = 0; i < n; i++)
        if (look[i].fd >= 0 && !set_waiters(look[i].fd, look[i].events, loop.self))
            alone = false;
    enum wait w = alone ? task_block(deadline, false) : task_refuse(false);
    for (size_t i = 0; i < n; i++) {
        if (look[i].fd < 0)
            continue;
        clear_waiters(look[i].fd, loop.self);
        if (w == WAIT_READY) /* which of them is not known here: the next wait looks itself */
            keep_edge(slot_of(look[i].fd), look[i].events);
    }
    return w;
}

enum wait task_wait_any(const struct pollfd *fds, size_t n, int64_t deadline)
{
    struct pollfd look[TASK_WAIT_ANY_MOST];

    if (n > TASK_WAIT_ANY_MOST || loop.self == NULL)
        msg_panic("a wait for %zu descriptors, or outside of a task", n);
    hostile_wait();
    if (loop.self->cancelled)
        return task_refuse(false);
    for (size_t i = 0; i < n; i++)
        look[i] =
            (struct pollfd){.fd = fds[i].events != 0 ? fds[i].fd : -1, .events = fds[i].events};
    if (any_ready(look, n))
        return WAIT_READY;
    if (deadline != 0 && deadline <= loop.now)
        return WAIT_TIMEOUT;
    return block_for_any(look, n, deadline);
}

static void forget_fd(int fd)
{
    struct slot *s;

    if (fd < 0 || (size_t)fd >= poller.nslots || !poller.slots[fd].registered)
        return;
    s = &poller.slots[fd];
    if (s->reader != NULL || s->writer != NULL)
        msg_panic("descriptor %d is closed while task %s waits for it", fd,
                  (s->reader != NULL ? s->reader : s->writer)->name);
    /* Explicitly: another process may have the same open file, and then close would not do it. */
    epoll_ctl(poller.epoll, EPOLL_CTL_DEL, fd, NULL);
    *s = (struct slot){.use = s->use + 1};
}

void task_close(int fd)
{
    int saved = errno;

    if (fd < 0)
        return;
    forget_fd(fd);
    close(fd);
    errno = saved;
}

void task_watch(int fd, short poll_events, task_watch_fn *fn, void *arg)
{
    struct slot *s = slot_of(fd);
    unsigned events = ((poll_events & POLLIN) ? EPOLLIN | 0u : 0u) |
                      ((poll_events & POLLOUT) ? EPOLLOUT | 0u : 0u);

    if (poll_events == 0) {
        forget_fd(fd);
        return;
    }
    s->watch = fn;
    s->watch_arg = arg;
    control(s->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, s, events);
    s->registered = true;
}

static void happened(const struct epoll_event *e)
{
    int fd = (int)(e->data.u64 & 0xffffffff);
    struct slot *s = slot_of(fd);
    bool broken = e->events & (EPOLLERR | EPOLLHUP);

    if (!s->registered || s->use != e->data.u64 >> 32)
        return;
    if (s->watch != NULL) {
        s->watch(s->watch_arg, fd,
                 (short)(((e->events & (EPOLLIN | EPOLLRDHUP)) || broken ? POLLIN : 0) |
                         ((e->events & EPOLLOUT) || broken ? POLLOUT : 0)));
        return;
    }
    s->in = s->in || broken || (e->events & (EPOLLIN | EPOLLRDHUP));
    s->ended = s->ended || broken || (e->events & EPOLLRDHUP);
    s->out = s->out || broken || (e->events & EPOLLOUT);
    /* A waiter that something else has just woken learns of the edge at its next wait. */
    if (s->reader != NULL && s->reader->waiting && s->in) {
        s->in = false;
        task_resume(s->reader, WAIT_READY);
    }
    if (s->writer != NULL && s->writer->waiting && s->out) {
        s->out = false;
        task_resume(s->writer, WAIT_READY);
    } else if (s->writer == NULL && s->asks_out && !broken && (e->events & EPOLLOUT)) {
        s->asks_out = s->out = false; /* nobody cares any more: no more wake-ups for it */
        control(EPOLL_CTL_MOD, fd, s, EPOLLIN | EPOLLRDHUP | EPOLLET);
    }
}

/*
 * A deadline mostly moves forward: a task keeps its place in the heap while the key there is not
 * later than its deadline, and is looked at again when the key comes up.
 */
void poller_timer(struct task *t, int64_t deadline)
{
    t->deadline_ms = deadline;
    if (deadline != 0 && (t->timer.place == 0 || t->timer.key > deadline))
        heap_put(&poller.timers, &t->timer, deadline);
}

void poller_forget(struct task *t)
{
    heap_drop(&poller.timers, &t->timer);
}

static void run_timers(void)
{
    struct heap_node *node;

    while ((node = heap_first(&poller.timers)) != NULL && node->key <= loop.now) {
        struct task *t = HEAP_OF(node, struct task, timer);
        if (!t->waiting || t->deadline_ms == 0)
            heap_drop(&poller.timers, node);
        else if (t->deadline_ms > loop.now)
            heap_put(&poller.timers, node, t->deadline_ms);
        else {
            heap_drop(&poller.timers, node);
            task_resume(t, WAIT_TIMEOUT);
        }
    }
}

static int sleep_ms(void)
{
    const struct heap_node *node = heap_first(&poller.timers);
    int64_t until = node != NULL ? node->key : 0;

    if (stack_surplus() && (until == 0 || until > loop.shrink_at))
        until = loop.shrink_at;
    if (until == 0)
        return -1;
    int64_t ms = until - clock_ms();
    return ms < 0 ? 0 : ms > 3600 * 1000 ? 3600 * 1000 : (int)ms;
}

static void shrink(void)
{
    enum { EVERY_MS = 1000 };

    if (loop.now < loop.shrink_at)
        return;
    stack_shrink();
    loop.shrink_at = loop.now + EVERY_MS;
}

void loop_look_at_clock(void)
{
    loop.now_us = clock_us();
    loop.now = loop.now_us / 1000;
}

void poller_turn(bool may_sleep)
{
    struct epoll_event events[EVENTS];

    open_epoll();
    /* Only the watchdog's timer interrupts it: that begins no turn, which would set it again. */
    int n;
    do
        n = epoll_wait(poller.epoll, events, EVENTS, may_sleep ? sleep_ms() : 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        msg_panic("epoll_wait: %s", strerror(errno));
    loop_look_at_clock();
    for (int i = 0; i < n; i++)
        happened(&events[i]);
    run_timers();
    shrink();
}

void poller_forked(void)
{
    if (poller.epoll >= 0)
        close(poller.epoll); /* the parent's: nothing may be changed in it */
    /* What the tables hold is the parent's. They are left as they are: writing to their pages would
     * only make them our own. */
    poller.epoll = -1;
    poller.slots = NULL;
    poller.nslots = 0;
    poller.timers = (struct heap){0};
}
