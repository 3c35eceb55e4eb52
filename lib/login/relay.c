/*
 * One task for both directions: a client that does not read must not stop what it sends.
 */
#include "login/relay.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/stream.h"
#include "task/task.h"

enum {
    PIECE = 16 * 1024,
    MOVES_PER_TURN = 32, /* a fast connection must not keep the process for itself */
    IDLE_MS = 1000, /* one that has been silent so long gives its memory back */
};

struct relay {
    struct stream *client;
    int fd;
    char *piece; /* from fd, for the client; null while there is nothing */
    size_t at, end; /* what of it is not written yet */
    bool client_ended, fd_ended;
    short fill_events, write_events; /* what the client's stream waits for */
};

/* Client to fd. True: some bytes have moved, or an end was seen. */
static bool move_up(struct relay *r)
{
    if (r->client_ended)
        return false;
    if (stream_ahead(r->client) == 0) {
        int got = stream_try_fill(r->client, &r->fill_events);
        if (got < 0) {
            /* The session sees the end, finishes, and then ends its side. */
            r->client_ended = true;
            shutdown(r->fd, SHUT_WR);
        }
        if (got <= 0)
            return got < 0;
    }
    struct str bytes = stream_ahead_str(r->client);
    ssize_t n = send(r->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        stream_skip(r->client, (size_t)n);
    else if (errno != EAGAIN && errno != EINTR)
        r->client_ended = true; /* nobody reads it; what fd has said is still passed on */
    return n > 0;
}

/* What fd has now: false if nothing. */
static bool read_piece(struct relay *r)
{
    if (r->piece == NULL)
        r->piece = mem_new(PIECE);
    ssize_t n = recv(r->fd, r->piece, PIECE, MSG_DONTWAIT);
    r->at = 0;
    r->end = n > 0 ? (size_t)n : 0;
    r->fd_ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    return n > 0;
}

/* fd to client. True: some bytes have moved. */
static bool move_down(struct relay *r)
{
    if (r->at == r->end && !read_piece(r))
        return false;
    struct str bytes = {r->piece + r->at, r->end - r->at};
    size_t n = stream_try_write(r->client, bytes, &r->write_events);
    r->at += n;
    return n > 0;
}

static bool is_over(const struct relay *r)
{
    return !stream_writable(r->client) || (r->fd_ended && r->at == r->end);
}

static enum wait wait_until(const struct relay *r, int64_t deadline)
{
    bool has_up = !r->client_ended && stream_ahead(r->client) > 0, has_down = r->at < r->end;
    short client = has_down ? r->write_events : 0, fd = has_down ? 0 : POLLIN;

    if (has_up)
        fd |= POLLOUT;
    else if (!r->client_ended)
        client |= r->fill_events;
    struct pollfd both[] = {{.fd = stream_fd(r->client), .events = client},
                            {.fd = r->fd, .events = fd}};
    return task_wait_any(both, 2, deadline);
}

/* What is idle holds no memory: there may be thousands of connections that say nothing. */
static enum wait wait_for_bytes(struct relay *r)
{
    enum wait w = wait_until(r, task_now() + IDLE_MS);

    if (w != WAIT_TIMEOUT)
        return w;
    if (r->at == r->end) {
        free(r->piece);
        r->piece = NULL;
        r->at = r->end = 0;
    }
    stream_trim(r->client);
    task_trim();
    return wait_until(r, 0);
}

void relay_run(struct stream *client, int fd)
{
    struct relay r = {.client = client, .fd = fd};
    unsigned moves = 0;

    stream_set_idle(client, 0);
    stream_set_deadline(client, 0);
    stream_flush(client);
    while (!is_over(&r) && !task_is_cancelled()) {
        bool up = move_up(&r), down = move_down(&r);
        if (!up && !down && !is_over(&r)) {
            moves = 0;
            if (wait_for_bytes(&r) != WAIT_READY)
                break;
        } else if (++moves >= MOVES_PER_TURN) {
            moves = 0;
            task_yield();
        }
    }
    free(r.piece);
    task_close(fd);
}
