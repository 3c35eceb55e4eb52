/*
 * The connections of a channel: which are idle, who may have one, when they are closed.
 */
#include "ipc/channel.h"

#include <errno.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "ipc/channel_inside.h"
#include "net/sock.h"
#include "net/stream.h"
#include "task/task.h"

enum { CONNECT_RETRY_MS = 100 };

struct waiter {
    struct list link; /* in channel.waiting, the first come first */
    struct task *task;
    bool has_turn;
};

/* The task that closes what is idle too long. */
struct reaper {
    struct task *task;
    struct channel *channel; /* null once the channel has gone */
};

void channel_conn_free(struct conn *c)
{
    list_drop(&c->link);
    stream_free(&c->stream);
    free(c);
}

struct channel *channel_new(const char *path, int limit)
{
    struct channel *c = mem_new(sizeof *c);

    c->path = mem_dupz(path);
    c->limit = limit > 0 ? limit : (int)conf.ipc_connections;
    list_init(&c->idle);
    list_init(&c->waiting);
    return c;
}

struct channel *channel_to(const char *class, const char *service, int limit)
{
    /* fits: or is left out whole, and "" names no socket */
    struct buf path = BUF(512);

    buf_addf(&path, "%s/%s", class, service);
    struct channel *c = channel_new(path.p, limit);
    buf_free(&path);
    return c;
}

void channel_close_idle(struct channel *c)
{
    LIST_EACH (&c->idle, l)
        channel_conn_free(LIST_OF(l, struct conn, link));
    if (c->reaper == NULL)
        return;
    c->reaper->channel = NULL;
    task_cancel(c->reaper->task);
    c->reaper = NULL;
}

void channel_free(struct channel **c)
{
    if (*c == NULL)
        return;
    channel_close_idle(*c);
    free((*c)->path);
    free(*c);
    *c = NULL;
}

/* When the connection that waits longest is due; the list's last. 0: none is idle. */
static int64_t reap(struct channel *c)
{
    int64_t now = task_now();

    while (!list_empty(&c->idle)) {
        struct conn *oldest = LIST_OF(c->idle.prev, struct conn, link);
        int64_t due = oldest->idle_since + conf.ipc_idle * 1000;
        if (due > now)
            return due;
        channel_conn_free(oldest);
    }
    return 0;
}

static void reaper(void *arg)
{
    struct reaper *r = arg;
    int64_t due;

    while (r->channel != NULL && (due = reap(r->channel)) != 0)
        if (task_sleep(due) == WAIT_CANCELLED)
            break;
    if (r->channel != NULL)
        r->channel->reaper = NULL;
    free(r);
}

static void start_reaper(struct channel *c)
{
    struct reaper *r = mem_new(sizeof *r);

    r->channel = c;
    c->reaper = r;
    r->task = task_start("channel", reaper, r);
}

/* The other side may have closed it meanwhile: then the request cannot be sent, and resend.c takes
 * a new one. Asking before would cost a system call each time and not be sure, either. */
static struct conn *take_idle(struct channel *c)
{
    if (list_empty(&c->idle))
        return NULL;
    struct conn *conn = LIST_OF(c->idle.next, struct conn, link);
    list_drop(&conn->link);
    return conn;
}

/* Full backlog; not there yet, because master is just making it. */
static bool may_pass(int error)
{
    return error == EAGAIN || error == ECONNREFUSED || error == ENOENT || error == EINTR;
}

struct stream *channel_connect(const char *path, int64_t deadline, struct why *why)
{
    int fd;

    if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        why_set(why, "4.3.0", "name of service is too long: %s", path);
        return NULL;
    }
    while ((fd = sock_try_unix(path)) < 0) {
        int64_t now = task_now();
        int error = errno;
        if (!may_pass(error) || now >= deadline) {
            why_errno(why, "4.3.0", "connect to %s", path);
            return NULL;
        }
        if (error != EAGAIN)
            msg_warn("connect to %s: %s", path, strerror(error));
        int64_t again = now + CONNECT_RETRY_MS;
        if (task_sleep(again < deadline ? again : deadline) == WAIT_CANCELLED) {
            why_set(why, "4.3.0", "connect to %s: interrupted", path);
            return NULL;
        }
    }
    return attrs_stream(fd);
}

struct conn *channel_conn_new(const struct channel *c, int64_t deadline, struct why *why)
{
    struct stream *stream = channel_connect(c->path, deadline, why);

    if (stream == NULL)
        return NULL;
    struct conn *conn = mem_new(sizeof *conn);
    list_init(&conn->link);
    conn->stream = stream;
    conn->born = task_now();
    return conn;
}

/* A place among the calls under way. */
static int take_turn(struct channel *c, int64_t deadline, struct why *why)
{
    if (c->busy < c->limit) {
        c->busy++;
        return 0;
    }
    struct waiter w = {.task = task_self()};
    enum wait ended = WAIT_READY;
    list_add(&c->waiting, &w.link);
    while (!w.has_turn && ended == WAIT_READY)
        ended = task_park(deadline);
    if (w.has_turn)
        return 0;
    list_drop(&w.link);
    return why_set(why, "4.3.0", "%s: all %d connections are busy", c->path, c->limit);
}

static void give_turn(struct channel *c)
{
    if (list_empty(&c->waiting)) {
        c->busy--;
        return;
    }
    struct waiter *w = LIST_OF(c->waiting.next, struct waiter, link);
    list_drop(&w->link);
    w->has_turn = true;
    task_wake(w->task);
}

static void keep_idle(struct channel *c, struct conn *conn)
{
    conn->idle_since = task_now();
    if (conn->idle_since - conn->born > conf.ipc_ttl * 1000) {
        channel_conn_free(conn);
        return;
    }
    stream_set_deadline(conn->stream, 0);
    list_push(&c->idle, &conn->link);
    if (c->reaper == NULL)
        start_reaper(c);
}

struct call *channel_call_open(struct channel *c, int64_t deadline, struct why *why)
{
    if (deadline == 0)
        deadline = task_now() + conf.ipc_timeout * 1000;
    if (take_turn(c, deadline, why) < 0)
        return NULL;
    struct conn *conn = take_idle(c);
    if (conn == NULL)
        conn = channel_conn_new(c, deadline, why);
    if (conn == NULL) {
        give_turn(c);
        return NULL;
    }
    stream_set_deadline(conn->stream, deadline);
    struct call *k = mem_new(sizeof *k);
    *k = (struct call){.channel = c, .conn = conn, .deadline_ms = deadline};
    k->unsent = BUF(UNSENT_MOST); /* asked: by begin_unsent */
    return k;
}

void channel_set_deadline(struct call *k, int64_t deadline_ms)
{
    k->deadline_ms = deadline_ms;
    stream_set_deadline(k->conn->stream, deadline_ms);
}

static void call_free(struct call **k)
{
    give_turn((*k)->channel);
    buf_free(&(*k)->unsent);
    free(*k);
    *k = NULL;
}

void channel_abort(struct call **k)
{
    if (*k == NULL)
        return;
    channel_conn_free((*k)->conn);
    call_free(k);
}

/* The call is over and its connection fit for the next. */
void channel_call_close(struct call **k)
{
    keep_idle((*k)->channel, (*k)->conn);
    call_free(k);
}
