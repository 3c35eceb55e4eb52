/*
 * A service that is sent datagrams: what has come is read with one call, so that a busy receiver
 * is woken, reads and writes once for many.
 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "service/service_process.h"

enum {
    SIZE = 64 * 1024, /* of a datagram; of a longer one the rest is lost */
    AT_ONCE = 16, /* of one call */
    STOP_AT = 256, /* what has come is passed on after so many */
    BUSY_MS = 10, /* datagrams that come so soon after others are waited for a moment, ... */
    NAP_MOST_MS = 8, /* ... which is longer, up to this, while less than a quarter of what the
                        socket has room for comes in it, and shorter if more than three quarters
                        come: senders must not have to wait for room */
    LAST_MS = 1000, /* in which all that had come before the end is read long since */
    NAPS = 4, /* so many follow each other before the loop may see to other things */
    ROOM = 10, /* datagrams that a socket has room for, if master does not say it */
};

union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(struct ucred))];
};

/* One for all sockets of a process: who sleeps for one of them keeps the senders of the others
 * waiting, so after each nap all are read. */
struct reader {
    struct process *process;
    int tasks; /* that use it */
    struct service_sender from;
    int64_t last_ms; /* task_now() when something was read last, or a little later */
    int last_n; /* how many it were, of the socket that had most */
    int nap_ms; /* as it was last */
    int few; /* if fewer come in a nap it can be longer, ... */
    int many; /* ... if more it must be shorter */
    struct mmsghdr heads[AT_ONCE];
    struct iovec parts[AT_ONCE];
    union control control[AT_ONCE];
    char bytes[AT_ONCE][SIZE];
};

static bool is_private(int fd)
{
    struct sockaddr_un at = {0};
    socklen_t len = sizeof at;

    return getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
           strncmp(at.sun_path, "private/", 8) == 0;
}

static struct reader *reader_new(struct process *p)
{
    struct reader *r = mem_new(sizeof *r); /* of which only what is used takes memory */
    int room = p->datagrams_kept == 0 ? ROOM : p->datagrams_kept;

    if (room > STOP_AT)
        room = STOP_AT;
    r->process = p;
    r->few = (room + 2) / 4;
    r->many = room * 3 / 4;
    VEC_EACH (&p->listeners, l)
        l->is_private = is_private(l->fd);
    for (int i = 0; i < AT_ONCE; i++) {
        r->parts[i] = (struct iovec){r->bytes[i], SIZE};
        r->heads[i].msg_hdr.msg_iov = &r->parts[i];
        r->heads[i].msg_hdr.msg_iovlen = 1;
    }
    return r;
}

/* How many there were; fewer than AT_ONCE: the socket is empty. */
static int receive(struct reader *r, int fd)
{
    for (int i = 0; i < AT_ONCE; i++) {
        r->heads[i].msg_hdr.msg_control = &r->control[i];
        r->heads[i].msg_hdr.msg_controllen = sizeof r->control[i];
    }
    int n = recvmmsg(fd, r->heads, AT_ONCE, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
    return n > 0 ? n : 0;
}

/* Master has set SO_PASSCRED, so the kernel says who sent it. */
static void find_sender(struct msghdr *m, struct service_sender *from)
{
    struct ucred who = {.uid = (uid_t)-1};
    const struct cmsghdr *c = CMSG_FIRSTHDR(m);

    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
        c->cmsg_len == CMSG_LEN(sizeof who))
        memcpy(&who, CMSG_DATA(c), sizeof who);
    from->pid = who.pid;
    from->uid = who.uid;
}

/* What has come to a socket, or some of it. True: it is empty. */
static bool take(struct reader *r, const struct listener *l)
{
    const struct service *service = r->process->service;
    int n = AT_ONCE, all = 0;

    r->from.is_private = l->is_private;
    while (n == AT_ONCE && all < STOP_AT) {
        n = receive(r, l->fd);
        all += n;
        for (int i = 0; i < n; i++) {
            find_sender(&r->heads[i].msg_hdr, &r->from);
            service->datagram((struct str){r->bytes[i], r->heads[i].msg_len}, &r->from);
            clients_served(r->process);
        }
    }
    if (all > r->last_n)
        r->last_n = all;
    return n < AT_ONCE;
}

static void end_of_datagrams(const struct process *p)
{
    if (p->service->datagrams_end != NULL)
        p->service->datagrams_end();
}

/* Of all sockets. True: l is empty. The tasks of the others are woken for what came meanwhile. */
static bool take_some(struct reader *r, const struct listener *l)
{
    bool empty = false;

    r->last_n = 0;
    VEC_EACH (&r->process->listeners, other) {
        bool is_empty = other->fd < 0 || take(r, other);
        if (other == l)
            empty = is_empty;
    }
    end_of_datagrams(r->process);
    return empty;
}

/* Where much is going on, a moment is waited for more. The loop does not do it, because it would
 * wake for each datagram. A single one, after a time of silence, is taken at once. */
static void wait_for_more(struct reader *r)
{
    int64_t now = task_now();

    if (now - r->last_ms >= BUSY_MS)
        r->nap_ms = 0;
    else if (r->last_n > r->many)
        r->nap_ms /= 2;
    else if (r->last_n < r->few && r->nap_ms < NAP_MOST_MS)
        r->nap_ms = r->nap_ms == 0 ? 1 : r->nap_ms * 2;
    if (r->nap_ms > 0)
        nanosleep(&(struct timespec){.tv_nsec = r->nap_ms * 1000000L}, NULL);
    r->last_ms = (now > r->last_ms ? now : r->last_ms) + r->nap_ms;
}

/* After a nap in which something came, the next follows at once: waiting for the next datagram
 * would only be one more wake-up. True: l is empty. */
static bool take_while_busy(struct reader *r, const struct listener *l)
{
    bool empty;
    int naps = 0;

    do {
        wait_for_more(r);
        empty = take_some(r, l);
    } while (r->nap_ms > 0 && r->last_n > 0 && ++naps < NAPS);
    return empty;
}

/* Also what came before the process was told to end: whoever sent it hears nothing. Who goes on
 * sending does not keep us. */
static void take_last(struct reader *r, const struct listener *l)
{
    int64_t until = clock_ms() + LAST_MS;
    bool empty;

    do {
        empty = take(r, l);
        end_of_datagrams(r->process);
    } while (!empty && clock_ms() < until);
}

void datagrams_read(void *listener)
{
    struct listener *l = listener;
    struct process *p = l->process;
    enum wait w = WAIT_READY;

    if (p->reader == NULL)
        p->reader = reader_new(p);
    p->reader->tasks++;
    while (w == WAIT_READY && !p->draining && p->service->datagram != NULL) {
        bool empty = take_while_busy(p->reader, l);
        p->last_used = task_now();
        w = empty ? task_wait_again(l->fd, POLLIN, 0) : task_wait_fd(l->fd, POLLIN, 0);
    }
    if (p->service->datagram != NULL)
        take_last(p->reader, l);
    if (--p->reader->tasks == 0) {
        free(p->reader);
        p->reader = NULL;
    }
    clients_listener_gone(l);
}
