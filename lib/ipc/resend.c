/*
 * Requests on a channel. What a process that ends has left unread is sent again to the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "ipc/channel_inside.h"
#include "net/stream.h"

enum {
    ATTEMPTS = 5, /* to send a request that nobody has read: each time another process had to go */
    FIRST_LOOK = 64 * 1024, /* from here on it is asked whether the other side has begun to read */
};

/*
 * A UNIX socket that was closed with our request unread fails with EPIPE or ECONNRESET; one whose
 * owner read the request and ended then shows a plain end. So these errors, and only they, mean
 * that nobody has seen the request whole. Services that drain close their idle connections without
 * reading them: what has just been sent there goes to the next process.
 */
static bool was_unread(const struct call *k)
{
    int error = stream_errno(k->conn->stream);

    return stream_state(k->conn->stream) == STREAM_EOF && (error == EPIPE || error == ECONNRESET);
}

/* (waits) Another connection after one that was closed unread. False: it was read, or there have
 * been enough; the old one is still there. */
static bool reconnect(struct call *k, struct why *why)
{
    if (!was_unread(k) || ++k->attempts >= ATTEMPTS)
        return false;
    struct conn *conn = channel_conn_new(k->channel, k->deadline_ms, why);
    if (conn == NULL)
        return false;
    channel_conn_free(k->conn);
    k->conn = conn;
    stream_set_deadline(conn->stream, k->deadline_ms);
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

static int begin_unsent(struct call *k, const struct attrs *ask, struct why *why)
{
    if (attrs_write(k->conn->stream, ask, why) < 0)
        return -1;
    buf_add(&k->unsent, buf_str(&ask->wire));
    buf_addc(&k->unsent, 0);
    return buf_ok(&k->unsent) ? 0 : why_set(why, "4.3.0", "request over %d bytes", UNSENT_MOST);
}

struct call *channel_begin(struct channel *c, const struct attrs *ask, int64_t deadline,
                           struct why *why)
{
    struct call *k = channel_call_open(c, deadline, why);

    if (k != NULL && begin_unsent(k, ask, why) < 0)
        channel_abort(&k);
    return k;
}

static bool is_open(const struct call *k)
{
    char byte;
    ssize_t n = recv(stream_fd(k->conn->stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Less lies unread in the socket than was put: the other side has begun. (The kernel counts more
 * for a byte than a byte.) Nothing lies in a socket that was closed unread, either: so it must be
 * open still. */
static bool is_read(const struct call *k)
{
    size_t sent = k->unsent.n - stream_pending(k->conn->stream);
    int unread;

    return ioctl(stream_fd(k->conn->stream), SIOCOUTQ, &unread) == 0 && (size_t)unread < sent &&
           is_open(k);
}

static void forget_unsent(struct call *k)
{
    k->begun = true;
    buf_free(&k->unsent);
}

/* (waits) */
static void resend(struct call *k)
{
    while (reconnect(k, NULL)) {
        stream_put(k->conn->stream, buf_str(&k->unsent));
        if (stream_state(k->conn->stream) == STREAM_OK)
            break;
    }
}

void channel_put(struct call *k, struct str bytes)
{
    if (!k->begun) {
        buf_add(&k->unsent, bytes);
        if (!buf_ok(&k->unsent))
            forget_unsent(k);
    }
    stream_put(k->conn->stream, bytes);
    if (k->begun)
        return;
    if (stream_state(k->conn->stream) != STREAM_OK)
        resend(k);
    if (k->unsent.n >= FIRST_LOOK && is_read(k))
        forget_unsent(k);
}

/* (waits) -1: there was no answer. */
static int hear(struct call *k, struct attrs *answer, struct why *why)
{
    while (!stream_flush(k->conn->stream) || attrs_recv(k->conn->stream, answer, why) < 0) {
        if (!k->begun && answer->wire.n == 0 && reconnect(k, why)) {
            stream_put(k->conn->stream, buf_str(&k->unsent));
            continue;
        }
        if (stream_state(k->conn->stream) != STREAM_OK)
            why_set(why, "4.3.0", "%s: %s", k->channel->path, stream_error(k->conn->stream));
        attrs_clear(answer);
        return -1;
    }
    return 0;
}

int channel_hear(struct call *k, struct attrs *answer, struct why *why)
{
    if (hear(k, answer, why) < 0)
        return -1;
    forget_unsent(k);
    why_clear(why);
    return attrs_get_why(answer, why);
}

int channel_put_fd(struct call *k, int fd, struct why *why)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        return why_errno(why, "4.3.0", "pass a descriptor");
    forget_unsent(k);
    stream_put_fd(k->conn->stream, copy);
    return 0;
}

int channel_end(struct call **k, struct attrs *answer, struct why *why)
{
    if (hear(*k, answer, why) < 0) {
        channel_abort(k);
        return -1;
    }
    channel_call_close(k);
    why_clear(why);
    return attrs_get_why(answer, why);
}

/* ---- at once */

int channel_call(struct channel *c, const struct attrs *ask, struct attrs *answer, int64_t deadline,
                 struct why *why)
{
    struct call *k = channel_call_open(c, deadline, why);
    bool answered;

    if (k == NULL)
        return -1;
    do {
        attrs_clear(answer);
        answered = send_whole(k, ask, why) == 0 && attrs_recv(k->conn->stream, answer, why) == 0;
    } while (!answered && answer->wire.n == 0 && reconnect(k, why));
    if (answered) {
        channel_call_close(&k);
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
    struct call *k = channel_call_open(c, deadline, why);

    if (k == NULL)
        return -1;
    if (send_whole(k, ask, why) == 0) {
        channel_call_close(&k);
        why_clear(why);
        return 0;
    }
    why_in(why, "%s", c->path);
    channel_abort(&k);
    return -1;
}
