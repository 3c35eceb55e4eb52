#include "ipc/channel.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "net/sock.h"
#include "net/stream.h"
#include "task/task.h"

enum { CONNECT_RETRY_MS = 100 };

struct conn {
    struct list link; /* in channel.idle, the last used first */
    struct stream *stream;
    int64_t born, idle_since;
};

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

struct channel {
    char *path;
    int limit, busy; /* calls under way */
    struct list idle, waiting;
    struct reaper *reaper; /* null while nothing is idle */
};

struct call {
    struct channel *channel;
    struct conn *conn;
    int64_t deadline;
};

static void conn_free(struct conn *c)
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

void channel_close_idle(struct channel *c)
{
    LIST_EACH (&c->idle, l)
        conn_free(LIST_OF(l, struct conn, link));
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
        conn_free(oldest);
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

/* Has the other side closed it, or written out of turn? */
static bool conn_alive(const struct conn *c)
{
    char byte;
    ssize_t n = recv(stream_fd(c->stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static struct conn *take_idle(struct channel *c)
{
    while (!list_empty(&c->idle)) {
        struct conn *conn = LIST_OF(c->idle.next, struct conn, link);
        if (conn_alive(conn)) {
            list_drop(&conn->link);
            return conn;
        }
        conn_free(conn);
    }
    return NULL;
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

static struct conn *conn_new(const struct channel *c, int64_t deadline, struct why *why)
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

static void give_back(struct channel *c, struct conn *conn)
{
    conn->idle_since = task_now();
    if (conn->idle_since - conn->born > conf.ipc_ttl * 1000) {
        conn_free(conn);
        return;
    }
    stream_set_deadline(conn->stream, 0);
    list_push(&c->idle, &conn->link);
    if (c->reaper == NULL)
        start_reaper(c);
}

static struct call *call_open(struct channel *c, int64_t deadline, bool fresh, struct why *why)
{
    if (deadline == 0)
        deadline = task_now() + conf.ipc_timeout * 1000;
    if (take_turn(c, deadline, why) < 0)
        return NULL;
    struct conn *conn = fresh ? NULL : take_idle(c);
    if (conn == NULL)
        conn = conn_new(c, deadline, why);
    if (conn == NULL) {
        give_turn(c);
        return NULL;
    }
    stream_set_deadline(conn->stream, deadline);
    struct call *k = mem_new(sizeof *k);
    *k = (struct call){c, conn, deadline};
    return k;
}

void channel_abort(struct call **k)
{
    if (*k == NULL)
        return;
    conn_free((*k)->conn);
    give_turn((*k)->channel);
    free(*k);
    *k = NULL;
}

/* The call is over and its connection fit for the next. */
static void call_close(struct call **k)
{
    give_back((*k)->channel, (*k)->conn);
    give_turn((*k)->channel);
    free(*k);
    *k = NULL;
}

/*
 * A UNIX socket that was closed with our request unread fails with EPIPE or ECONNRESET; one whose
 * owner read the request and ended then shows a plain end. So these errors, and only they, mean
 * that nobody has seen the request.
 */
static bool was_unread(const struct call *k)
{
    const char *error = stream_error(k->conn->stream);

    return stream_state(k->conn->stream) == STREAM_EOF &&
           (strcmp(error, strerrordesc_np(EPIPE)) == 0 ||
            strcmp(error, strerrordesc_np(ECONNRESET)) == 0);
}

static struct call *call_send(struct channel *c, const struct attrs *ask, int64_t deadline,
                              bool fresh, struct why *why)
{
    struct call *k = call_open(c, deadline, fresh, why);

    if (k == NULL || attrs_send(k->conn->stream, ask, why) == 0)
        return k;
    bool again = !fresh && was_unread(k);
    why_in(why, "%s", c->path);
    channel_abort(&k);
    return again ? call_send(c, ask, deadline, true, why) : NULL;
}

struct call *channel_begin(struct channel *c, const struct attrs *ask, int64_t deadline,
                           struct why *why)
{
    struct call *k = call_open(c, deadline, false, why);

    if (k != NULL && attrs_write(k->conn->stream, ask, why) < 0)
        channel_abort(&k);
    return k;
}

struct stream *channel_stream(struct call *k)
{
    return k->conn->stream;
}

int channel_end(struct call **k, struct attrs *answer, struct why *why)
{
    if (!stream_flush((*k)->conn->stream) || attrs_recv((*k)->conn->stream, answer, why) < 0) {
        if (stream_state((*k)->conn->stream) != STREAM_OK)
            why_set(why, "4.3.0", "%s: %s", (*k)->channel->path, stream_error((*k)->conn->stream));
        attrs_clear(answer);
        channel_abort(k);
        return -1;
    }
    call_close(k);
    return attrs_get_why(answer, why);
}

int channel_call(struct channel *c, const struct attrs *ask, struct attrs *answer, int64_t deadline,
                 struct why *why)
{
    for (bool fresh = false;; fresh = true) {
        struct call *k = call_send(c, ask, deadline, fresh, why);
        if (k == NULL)
            return -1;
        if (attrs_recv(k->conn->stream, answer, why) == 0) {
            call_close(&k);
            why_clear(why);
            return attrs_get_why(answer, why);
        }
        bool again = !fresh && was_unread(k) && answer->wire.n == 0;
        why_in(why, "%s", c->path);
        attrs_clear(answer);
        channel_abort(&k);
        if (!again)
            return -1;
    }
}

int channel_tell(struct channel *c, const struct attrs *ask, int64_t deadline, struct why *why)
{
    struct call *k = call_send(c, ask, deadline, false, why);

    if (k == NULL)
        return -1;
    call_close(&k);
    return 0;
}
