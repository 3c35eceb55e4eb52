#include "ipc/channel.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
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

enum {
    CONNECT_RETRY_MS = 100,
    SENDINGS = 5, /* of a request that nobody has read: each time another process had to go */
    FIRST_FLIGHT =
        64 * 1024, /* from here on it is asked whether the other side has begun to read */
    /* More than the kernel takes for a socket that nobody reads (net.core.wmem_default, 208 KiB) */
    FLIGHT_MOST = 1024 * 1024,
};

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
    struct buf flight; /* what was put so far, while the other side may not have begun to read it */
    bool under_way; /* it has begun: it will go through with it */
    int sendings;
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

static struct call *call_open(struct channel *c, int64_t deadline, struct why *why)
{
    if (deadline == 0)
        deadline = task_now() + conf.ipc_timeout * 1000;
    if (take_turn(c, deadline, why) < 0)
        return NULL;
    struct conn *conn = take_idle(c);
    if (conn == NULL)
        conn = conn_new(c, deadline, why);
    if (conn == NULL) {
        give_turn(c);
        return NULL;
    }
    stream_set_deadline(conn->stream, deadline);
    struct call *k = mem_new(sizeof *k);
    *k =
        (struct call){.channel = c, .conn = conn, .deadline = deadline, .flight = BUF(FLIGHT_MOST)};
    return k;
}

static void call_free(struct call **k)
{
    give_turn((*k)->channel);
    buf_free(&(*k)->flight);
    free(*k);
    *k = NULL;
}

void channel_abort(struct call **k)
{
    if (*k == NULL)
        return;
    conn_free((*k)->conn);
    call_free(k);
}

/* The call is over and its connection fit for the next. */
static void call_close(struct call **k)
{
    give_back((*k)->channel, (*k)->conn);
    call_free(k);
}

/*
 * A UNIX socket that was closed with our request unread fails with EPIPE or ECONNRESET; one whose
 * owner read the request and ended then shows a plain end. So these errors, and only they, mean
 * that nobody has seen the request whole. Services that drain close their idle connections without
 * reading them: what has just been sent there goes to the next process.
 */
static bool was_unread(const struct call *k)
{
    const char *error = stream_error(k->conn->stream);

    return stream_state(k->conn->stream) == STREAM_EOF &&
           (strcmp(error, strerrordesc_np(EPIPE)) == 0 ||
            strcmp(error, strerrordesc_np(ECONNRESET)) == 0);
}

/* (waits) Another connection after one that was closed unread. False: it was read, or there have
 * been enough; the old one is still there. */
static bool reconnect(struct call *k, struct why *why)
{
    if (!was_unread(k) || ++k->sendings >= SENDINGS)
        return false;
    struct conn *conn = conn_new(k->channel, k->deadline, why);
    if (conn == NULL)
        return false;
    conn_free(k->conn);
    k->conn = conn;
    stream_set_deadline(conn->stream, k->deadline);
    return true;
}

/* (waits) Sends all of a request, as often as it takes until somebody reads it. */
static int send_whole(struct call *k, const struct attrs *ask, struct why *why)
{
    int result;

    do
        result = attrs_send(k->conn->stream, ask, why);
    while (result < 0 && reconnect(k, why));
    return result;
}

/* ---- in steps */

static int begin_flight(struct call *k, const struct attrs *ask, struct why *why)
{
    if (attrs_write(k->conn->stream, ask, why) < 0)
        return -1;
    buf_add(&k->flight, buf_str(&ask->wire));
    buf_addc(&k->flight, 0);
    return 0;
}

struct call *channel_begin(struct channel *c, const struct attrs *ask, int64_t deadline,
                           struct why *why)
{
    struct call *k = call_open(c, deadline, why);

    if (k != NULL && begin_flight(k, ask, why) < 0)
        channel_abort(&k);
    return k;
}

/* Less lies unread in the socket than was put: the other side has begun. (The kernel counts more
 * for a byte than a byte.) Nothing lies in a socket that was closed unread, either: so it must be
 * open still. */
static bool is_read(const struct call *k)
{
    size_t sent = k->flight.n - stream_pending(k->conn->stream);
    int unread;

    return ioctl(stream_fd(k->conn->stream), SIOCOUTQ, &unread) == 0 && (size_t)unread < sent &&
           conn_alive(k->conn);
}

static void end_flight(struct call *k)
{
    k->under_way = true;
    buf_free(&k->flight);
}

/* (waits) */
static void fly_again(struct call *k)
{
    while (reconnect(k, NULL)) {
        stream_put(k->conn->stream, buf_str(&k->flight));
        if (stream_state(k->conn->stream) == STREAM_OK)
            break;
    }
}

void channel_put(struct call *k, struct str bytes)
{
    if (!k->under_way) {
        buf_add(&k->flight, bytes);
        if (k->flight.full)
            end_flight(k);
    }
    stream_put(k->conn->stream, bytes);
    if (k->under_way)
        return;
    if (stream_state(k->conn->stream) != STREAM_OK)
        fly_again(k);
    if (k->flight.n >= FIRST_FLIGHT && is_read(k))
        end_flight(k);
}

int channel_end(struct call **k, struct attrs *answer, struct why *why)
{
    while (!stream_flush((*k)->conn->stream) || attrs_recv((*k)->conn->stream, answer, why) < 0) {
        if (!(*k)->under_way && answer->wire.n == 0 && reconnect(*k, why)) {
            stream_put((*k)->conn->stream, buf_str(&(*k)->flight));
            continue;
        }
        if (stream_state((*k)->conn->stream) != STREAM_OK)
            why_set(why, "4.3.0", "%s: %s", (*k)->channel->path, stream_error((*k)->conn->stream));
        attrs_clear(answer);
        channel_abort(k);
        return -1;
    }
    call_close(k);
    why_clear(why);
    return attrs_get_why(answer, why);
}

/* ---- at once */

int channel_call(struct channel *c, const struct attrs *ask, struct attrs *answer, int64_t deadline,
                 struct why *why)
{
    struct call *k = call_open(c, deadline, why);
    bool answered;

    if (k == NULL)
        return -1;
    do {
        attrs_clear(answer);
        answered = send_whole(k, ask, why) == 0 && attrs_recv(k->conn->stream, answer, why) == 0;
    } while (!answered && answer->wire.n == 0 && reconnect(k, why));
    if (answered) {
        call_close(&k);
        why_clear(why);
        return attrs_get_why(answer, why);
    }
    why_in(why, "%s", c->path);
    attrs_clear(answer);
    channel_abort(&k);
    return -1;
}

int channel_tell(struct channel *c, const struct attrs *ask, int64_t deadline, struct why *why)
{
    struct call *k = call_open(c, deadline, why);

    if (k == NULL)
        return -1;
    if (send_whole(k, ask, why) == 0) {
        call_close(&k);
        why_clear(why);
        return 0;
    }
    why_in(why, "%s", c->path);
    channel_abort(&k);
    return -1;
}
