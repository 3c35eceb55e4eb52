/*
 * Attributes on a stream, with descriptors.
 */
#include <fcntl.h>
#include <sys/socket.h>

#include "base/msg.h"
#include "base/str.h"
#include "ipc/attrs.h"
#include "net/stream.h"
#include "task/task.h"

struct stream *attrs_stream(int fd)
{
    struct stream *s = stream_new(fd);
    stream_allow_fds(s);
    return s;
}

static int attrs_wire_failed(const struct stream *s, const char *doing, struct why *why)
{
    return why_set(why, "4.3.0", "%s: %s", doing, stream_error(s));
}

static int check(const struct attrs *a, struct why *why)
{
    if (a->bad != NULL)
        return why_set(why, "4.3.0", "malformed value of attribute %s", a->bad);
    if (!buf_ok(&a->wire))
        return why_set(why, "4.3.0", "request over %zu bytes", a->wire.max);
    return 0;
}

int attrs_post(int fd, const struct attrs *a, struct why *why)
{
    char end = 0;
    struct iovec part[] = {{a->wire.p, a->wire.n}, {&end, 1}};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(ATTRS_FDS * sizeof(int))] = {0};
    struct msghdr m = {.msg_iov = part, .msg_iovlen = 2};

    if (check(a, why) < 0)
        return -1;
    if (a->nfds > 0) {
        size_t size = (size_t)a->nfds * sizeof(int);
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(c), a->fds, size);
    }
    ssize_t sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        return why_errno(why, "4.3.0", "send");
    return (size_t)sent == a->wire.n + 1 ? 0 : why_set(why, "4.3.0", "send: the receiver is slow");
}

static void write_wire(struct stream *s, const struct attrs *a)
{
    stream_put(s, buf_str(&a->wire));
    stream_put(s, (struct str){"", 1});
}

int attrs_write(struct stream *s, const struct attrs *a, struct why *why)
{
    if (check(a, why) < 0)
        return -1;
    for (int i = 0; i < a->nfds; i++) {
        int copy = fcntl(a->fds[i], F_DUPFD_CLOEXEC, 0);
        if (copy < 0)
            return why_errno(why, "4.3.0", "pass a descriptor");
        stream_put_fd(s, copy);
    }
    write_wire(s, a);
    return 0;
}

/* Bytes of log lines that are sent without waiting for more: the more tasks stand in the middle of
 * their work, the less of what they need next is in the processor's caches. */
enum { ENOUGH = 500 };

/*
 * Whoever hears of it logs after us: "removed" comes after "status=sent". Our lines go out first,
 * and those of the tasks that are about to send something, too, go with them.
 */
static void log_before(void)
{
    if (msg_held() == 0)
        return;
    if (msg_held() < ENOUGH)
        task_let_others();
    msg_flush();
}

int attrs_send(struct stream *s, const struct attrs *a, struct why *why)
{
    if (check(a, why) < 0)
        return -1;
    log_before();
    for (int i = 0; i < a->nfds; i++)
        stream_lend_fd(s, a->fds[i]);
    write_wire(s, a);
    return stream_flush(s) ? 0 : attrs_wire_failed(s, "send", why);
}

/* Where a message stands between two chunks. */
struct scan {
    bool in_value, inside; /* inside: the present name or value has a byte */
    bool done;
};

/* How many bytes of the chunk belong to the message. */
static size_t scan_chunk(struct scan *at, struct str chunk)
{
    size_t used = 0;

    while (used < chunk.n && !at->done) {
        const char *zero = memchr(chunk.p + used, 0, chunk.n - used);
        if (zero == NULL) {
            at->inside = true;
            return chunk.n;
        }
        at->inside = at->inside || zero > chunk.p + used;
        at->done = !at->in_value && !at->inside; /* an empty name */
        at->in_value = !at->in_value;
        at->inside = false;
        used = (size_t)(zero - chunk.p) + 1;
    }
    return used;
}

static void take_fds(struct stream *s, struct attrs *a)
{
    int fd;

    while ((fd = stream_take_fd(s)) >= 0)
        attrs_put_fd(a, fd);
}

int attrs_recv(struct stream *s, struct attrs *a, struct why *why)
{
    struct scan at = {0};
    struct str ahead;

    attrs_clear(a);
    while (!at.done && (ahead = stream_peek(s)).n > 0) {
        size_t used = scan_chunk(&at, ahead);
        buf_add(&a->wire, str_upto(ahead, used));
        stream_skip(s, used);
        if (!buf_ok(&a->wire))
            return why_set(why, "4.3.0", "message over %zu bytes", a->wire.max);
    }
    take_fds(s, a);
    if (at.done) {
        buf_cut(&a->wire, a->wire.n - 1);
        return 0;
    }
    if (stream_state(s) != STREAM_EOF)
        return attrs_wire_failed(s, "receive", why);
    return why_set(why, "4.3.0", "%s", a->wire.n == 0 ? "connection closed" : "message cut short");
}

ptrdiff_t attrs_scan(struct str bytes, struct attrs *a)
{
    struct scan at = {0};
    size_t used = scan_chunk(&at, bytes);

    attrs_clear(a);
    if (!at.done)
        return 0;
    buf_add(&a->wire, str_upto(bytes, used - 1));
    return buf_ok(&a->wire) ? (ptrdiff_t)used : -1;
}
