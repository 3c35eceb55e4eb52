#include "net/stream_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/msg.h"

void stream_fd_init(struct stream_fd *f, int fd)
{
    *f = (struct stream_fd){.fd = fd, .short_reads_drain = true};
}

/* Pipes, terminals, files: known by the first failure, so that sockets cost no question. */
static void turn_plain(struct stream_fd *f)
{
    int flags = fcntl(f->fd, F_GETFL);

    f->plain = true;
    f->short_reads_drain = false; /* a terminal gives line by line */
    if (flags >= 0)
        fcntl(f->fd, F_SETFL, flags | O_NONBLOCK);
}

static void keep_fds(struct stream_fd *f, struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (f->taken == NULL)
                f->taken = mem_array(STREAM_FDS, sizeof(int));
            if (f->ntaken < STREAM_FDS)
                f->taken[f->ntaken++] = fd;
            else
                close(fd);
        }
    }
}

static ssize_t recv_with_fds(struct stream_fd *f, void *p, size_t n)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(STREAM_FDS * sizeof(int))];
    struct iovec part = {p, n};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    ssize_t got = recvmsg(f->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    /* Linux ends a read behind a descriptor, also when more bytes are there, and when the
     * descriptor itself has no room in this process. */
    f->short_reads_drain = m.msg_controllen == 0 && (m.msg_flags & MSG_CTRUNC) == 0;
    if (got >= 0)
        keep_fds(f, &m);
    return got;
}

static ssize_t fd_read(void *self, void *p, size_t n)
{
    struct stream_fd *f = self;
    ssize_t got;

    f->wants_out = false;
    if (f->plain)
        return read(f->fd, p, n);
    got = f->takes_fds ? recv_with_fds(f, p, n) : recv(f->fd, p, n, MSG_DONTWAIT);
    if (got >= 0 || errno != ENOTSOCK)
        return got;
    turn_plain(f);
    return read(f->fd, p, n);
}

static void drop_put(struct stream_fd *f)
{
    while (f->nput > 0)
        if ((f->lent & 1u << --f->nput) == 0)
            task_close(f->put[f->nput]);
    free(f->put);
    f->put = NULL;
    f->lent = 0;
}

static ssize_t send_with_fds(struct stream_fd *f, const void *p, size_t n)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(STREAM_FDS * sizeof(int))] = {0};
    struct iovec part = {(void *)(uintptr_t)p, n};
    size_t size = f->nput * sizeof(int);
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = CMSG_SPACE(size)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), f->put, size);
    ssize_t done = sendmsg(f->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done > 0)
        drop_put(f);
    return done;
}

static ssize_t fd_write(void *self, const void *p, size_t n)
{
    struct stream_fd *f = self;
    ssize_t done;

    f->wants_out = true;
    if (f->plain)
        return write(f->fd, p, n);
    done = f->nput > 0 ? send_with_fds(f, p, n) : send(f->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done >= 0 || errno != ENOTSOCK)
        return done;
    turn_plain(f);
    return write(f->fd, p, n);
}

static short fd_waits_for(void *self)
{
    const struct stream_fd *f = self;

    return f->wants_out ? POLLOUT : POLLIN;
}

static void fd_free(void *self)
{
    (void)self; /* the stream closes it */
}

const struct stream_layer stream_fd_layer = {
    .read = fd_read, .write = fd_write, .waits_for = fd_waits_for, .free = fd_free};

void stream_fd_put(struct stream_fd *f, int fd, bool lent)
{
    if (f->put == NULL)
        f->put = mem_array(STREAM_FDS, sizeof(int));
    if (f->nput == STREAM_FDS)
        msg_panic("too many descriptors in one message");
    if (lent)
        f->lent |= 1u << f->nput;
    f->put[f->nput++] = fd;
}

int stream_fd_take(struct stream_fd *f)
{
    int fd;

    if (f->ntaken == 0)
        return -1;
    fd = f->taken[0];
    memmove(f->taken, f->taken + 1, --f->ntaken * sizeof fd);
    if (f->ntaken == 0) {
        free(f->taken);
        f->taken = NULL;
    }
    return fd;
}

void stream_fd_drop_fds(struct stream_fd *f)
{
    drop_put(f);
    while (f->ntaken > 0)
        close(f->taken[--f->ntaken]);
    free(f->taken);
}
