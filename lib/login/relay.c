/*
 * Two tasks, one for each direction: a client that does not read must not stop what it sends.
 */
#include "login/relay.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/stream.h"
#include "task/task.h"

enum { PIECE = 16 * 1024 };

struct relay {
    struct stream *client;
    int fd;
    struct task *up, *down; /* client to fd; fd to client, null once it has ended */
};

/* All of it; false when the other end has gone. (waits) */
static bool send_all(int fd, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            bytes.p += n;
            bytes.n -= (size_t)n;
        } else if (errno == EAGAIN) {
            if (task_wait_again(fd, POLLOUT, 0) != WAIT_READY)
                return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* What is there now; false at the end. */
static bool drain(struct relay *r)
{
    char *piece = mem_new(PIECE);
    ssize_t n = -1;
    bool going = true;

    while (going && (n = recv(r->fd, piece, PIECE, MSG_DONTWAIT)) > 0)
        going = stream_write(r->client, (struct str){piece, (size_t)n});
    going = going && n < 0 && (errno == EAGAIN || errno == EINTR);
    free(piece);
    return going;
}

static void run_down(void *arg)
{
    struct relay *r = arg;

    while (task_wait_fd(r->fd, POLLIN, 0) == WAIT_READY && drain(r))
        task_trim();
    r->down = NULL;
    task_cancel(r->up);
}

static void run_up(struct relay *r)
{
    for (struct str bytes; (bytes = stream_peek(r->client)).n > 0;) {
        if (!send_all(r->fd, bytes))
            return;
        stream_skip(r->client, bytes.n);
    }
    /* The session sees the end, finishes, and then ends its side. */
    if (!task_is_cancelled())
        shutdown(r->fd, SHUT_WR);
}

void relay_run(struct stream *client, int fd)
{
    struct relay r = {.client = client, .fd = fd, .up = task_self()};

    stream_set_idle(client, 0);
    stream_set_deadline(client, 0);
    r.down = task_start("relay", run_down, &r);
    run_up(&r);
    while (r.down != NULL) {
        if (task_is_cancelled()) {
            task_cancel(r.down);
            task_yield();
        } else {
            task_park(0);
        }
    }
    task_close(fd);
}
