/*
 * A service that is sent datagrams: what has come is read with one call, so that a busy receiver
 * is woken, reads and writes once for many.
 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

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
    NAPS = 4, /* so many follow each other before the loop may see to other things */
    ROOM = 10, /* datagrams that a socket has room for, if master does not say it */
};

union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(struct ucred))];
};

struct reader {
    struct listener *l;
    struct service_sender from;
    int64_t last_ms; /* task_now() when something was read last, or a little later */
    int last_n; /* how many it were */
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

static struct reader *reader_new(struct listener *l)
{
    struct reader *r = mem_new(sizeof *r); /* of which only what is used takes memory */
    int told = l->process->datagrams_kept, room = told == 0 ? ROOM : told;

    if (room > STOP_AT)
        room = STOP_AT;
    r->l = l;
    r->few = (room + 2) / 4;
    r->many = room * 3 / 4;
    r->from.is_private = is_private(l->fd);
    for (int i = 0; i < AT_ONCE; i++) {
        r->parts[i] = (struct iovec){r->bytes[i], SIZE};
        r->heads[i].msg_hdr.msg_iov = &r->parts[i];
        r->heads[i].msg_hdr.msg_iovlen = 1;
    }
    return r;
}

/* How many there were; fewer than AT_ONCE: the socket is empty. */
static int receive(struct reader *r)
{
    for (int i = 0; i < AT_ONCE; i++) {
        r->heads[i].msg_hdr.msg_control = &r->control[i];
        r->heads[i].msg_hdr.msg_controllen = sizeof r->control[i];
    }
    int n = recvmmsg(r->l->fd, r->heads, AT_ONCE, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
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

/* All that has come, or, if may_stop, some of it. True: the socket is empty. */
static bool take(struct reader *r, bool may_stop)
{
    const struct service *service = r->l->process->service;
    int n = AT_ONCE;

    r->last_n = 0;
    while (n == AT_ONCE && (!may_stop || r->last_n < STOP_AT)) {
        n = receive(r);
        r->last_n += n;
        for (int i = 0; i < n; i++) {
            find_sender(&r->heads[i].msg_hdr, &r->from);
            service->datagram((struct str){r->bytes[i], r->heads[i].msg_len}, &r->from);
            clients_served(r->l->process);
        }
    }
    if (service->datagrams_end != NULL)
        service->datagrams_end();
    return n < AT_ONCE;
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
 * would only be one more wake-up. True: the socket is empty. */
static bool take_while_busy(struct reader *r)
{
    bool empty;
    int naps = 0;

    do {
        wait_for_more(r);
        empty = take(r, true);
    } while (r->nap_ms > 0 && r->last_n > 0 && ++naps < NAPS);
    return empty;
}

void datagrams_read(void *listener)
{
    struct listener *l = listener;
    struct process *p = l->process;
    struct reader *r = reader_new(l);
    enum wait w = WAIT_READY;

    while (w == WAIT_READY && !p->draining && p->service->datagram != NULL) {
        bool empty = take_while_busy(r);
        p->last_used = task_now();
        w = empty ? task_wait_again(l->fd, POLLIN, 0) : task_wait_fd(l->fd, POLLIN, 0);
    }
    /* Also what came before the process was told to end: whoever sent it hears nothing. */
    if (p->service->datagram != NULL)
        take(r, false);
    free(r);
    clients_listener_gone(l);
}
