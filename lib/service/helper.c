#include "service/helper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "service/jail.h"
#include "service/metrics.h"
#include "service/service.h"
#include "task/task.h"

/* Both ways: the number of the question, then its bytes. */
struct message {
    uint32_t id;
    char bytes[HELPER_MESSAGE_MAX];
};
enum { HEAD = offsetof(struct message, bytes) };

struct helper {
    const struct helper_job *job;
    int fd; /* our end */
    uint32_t last_id;
    struct hash *questions; /* unanswered, by id */
    struct message *in;
};

/* ---- messages */

union control {
    char room[CMSG_SPACE(HELPER_FDS * sizeof(int))];
    struct cmsghdr align;
};

/* fds: those that are not -1 go along; null: none. */
static ssize_t send_message(int socket, const struct message *m, size_t n, const int *fds,
                            int flags)
{
    union control control = {{0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)m, .iov_len = HEAD + n};
    struct msghdr head = {.msg_iov = &part, .msg_iovlen = 1};
    size_t size = 0;

    for (int i = 0; fds != NULL && i < HELPER_FDS; i++)
        if (fds[i] >= 0) {
            memcpy(CMSG_DATA(&control.align) + size, &fds[i], sizeof fds[i]);
            size += sizeof fds[i];
        }
    if (size > 0) {
        control.align = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(size)};
        head.msg_control = control.room;
        head.msg_controllen = CMSG_SPACE(size);
    }
    return sendmsg(socket, &head, flags | MSG_NOSIGNAL);
}

/* fds: HELPER_FDS of them, filled from the first on. */
static ssize_t recv_message(int socket, struct message *m, int *fds, int flags)
{
    union control control = {{0}};
    struct iovec part = {.iov_base = m, .iov_len = sizeof *m};
    struct msghdr head = {.msg_iov = &part,
                          .msg_iovlen = 1,
                          .msg_control = control.room,
                          .msg_controllen = sizeof control.room};

    for (int i = 0; i < HELPER_FDS; i++)
        fds[i] = -1;
    ssize_t n = recvmsg(socket, &head, flags | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&head) : NULL;
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0)); /* the room is for HELPER_FDS */
    return n;
}

/* The next try may succeed: that is no end of the other side. */
static bool may_pass(int error)
{
    return error == EINTR || error == EAGAIN || error == ENOMEM || error == ENOBUFS;
}

static void close_fds(const int *fds)
{
    for (int i = 0; i < HELPER_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* ---- the helper process */

static void close_between(int above, int below)
{
    if (below > above + 1)
        close_range((unsigned)above + 1, (unsigned)below - 1, 0);
}

void helper_forget_daemon(int keep, int keep_too)
{
    struct rlimit most = {.rlim_cur = 1024};
    int low = keep < keep_too ? keep : keep_too, high = keep < keep_too ? keep_too : keep;

    metrics_forked();
    getrlimit(RLIMIT_NOFILE, &most); /* Valgrind has its own behind the limit */
    low = low > STDERR_FILENO ? low : STDERR_FILENO;
    high = high > low ? high : low;
    close_between(STDERR_FILENO, low);
    close_between(low, high);
    close_between(high, (int)most.rlim_cur);
}

/* Whoever has asked may wait without end. */
static ssize_t send_surely(int socket, const struct message *m, size_t n, const int *fds)
{
    enum { PAUSE_MS = 10 };
    ssize_t sent;

    while ((sent = send_message(socket, m, n, fds, 0)) < 0 && may_pass(errno))
        poll(NULL, 0, PAUSE_MS);
    return sent;
}

static void answer_one(const struct helper_job *job, int socket, struct message *m, size_t n)
{
    struct buf answer = BUF(HELPER_MESSAGE_MAX);
    int fds[HELPER_FDS] = {-1, -1};

    job->serve((struct str){m->bytes, n}, &answer, &fds[0]);
    explicit_bzero(m->bytes, n);
    if (!buf_ok(&answer))
        msg_panic("%s: an answer is too long", job->name);
    memcpy(m->bytes, answer.p, answer.n);
    bool gone = send_surely(socket, m, answer.n, fds) < 0;
    if (answer.room > 0)
        explicit_bzero(answer.p, answer.room);
    buf_free(&answer);
    close_fds(fds);
    if (gone)
        _exit(0);
}

static void narrow_jail(const struct helper_job *job, int socket)
{
    jail_session_channel(socket);
    if (job->user != NULL && jail_session_enter() < 0)
        msg_fatal("%s: filter of a helper: %s", job->name, strerror(errno));
}

static void __attribute__((noreturn)) serve(const struct helper_job *job, int socket)
{
    struct message *m = mem_new(sizeof *m);
    int fds[HELPER_FDS];

    narrow_jail(job, socket);
    for (;;) {
        ssize_t n = recv_message(socket, m, fds, 0);
        if (n < 0 && may_pass(errno))
            continue;
        close_fds(fds);
        if (n < HEAD)
            _exit(0); /* the daemon has ended */
        answer_one(job, socket, m, (size_t)n - HEAD);
    }
}

int helper_recv(int socket, struct helper_request *r)
{
    static struct message in; /* of a process that does nothing else */
    ssize_t n = recv_message(socket, &in, r->fds, 0);

    if (n < HEAD) {
        close_fds(r->fds);
        return n < 0 && may_pass(errno) ? 0 : -1;
    }
    r->id = in.id;
    r->bytes = in.bytes;
    r->n = (size_t)n - HEAD;
    return 1;
}

void helper_answer(int socket, uint32_t id, struct str answer)
{
    struct message *m = mem_new(HEAD + answer.n);

    m->id = id;
    memcpy(m->bytes, answer.p, answer.n);
    send_surely(socket, m, answer.n, NULL);
    free(m);
}

/* ---- the supervisor process */

static bool start_one(const struct helper_job *job, int socket)
{
    pid_t pid = fork();

    if (pid < 0)
        msg_error("%s: fork: %s", job->name, strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(job, socket);
    }
    return pid > 0;
}

/* What dies at once must not be started again and again at once. */
static void pause_if_early(int64_t started)
{
    enum { EARLY_MS = 1000 };

    if (clock_ms() - started < EARLY_MS)
        poll(NULL, 0, EARLY_MS);
}

static void enter_jail(const struct helper_job *job)
{
    if (job->start != NULL)
        job->start();
    if (job->user != NULL)
        jail_enter(&(struct jail){.name = job->name,
                                  .rights = job->rights | RIGHT_FORK,
                                  .user = job->user,
                                  .ends_with_parent = true});
}

/* Until all helpers have ended because the daemon has. */
static void __attribute__((noreturn)) supervise(const struct helper_job *job, int socket)
{
    int64_t started = clock_ms();
    int left = 0, status;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    helper_forget_daemon(socket, msg_fd());
    enter_jail(job);
    for (int i = 0; i < job->count; i++)
        left += start_one(job, socket);
    for (pid_t pid; left > 0 && ((pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR);) {
        if (pid < 0)
            continue;
        left--;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        msg_error("%s: a helper process has ended with %s %d; starting another", job->name,
                  WIFSIGNALED(status) ? "signal" : "status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        msg_flush();
        pause_if_early(started);
        started = clock_ms();
        left += start_one(job, socket);
    }
    _exit(0);
}

struct helper *helper_start(const struct helper_job *job)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        msg_fatal("%s: socket: %s", job->name, strerror(errno));
    msg_flush();
    pid_t pid = fork();
    if (pid < 0)
        msg_fatal("%s: fork: %s", job->name, strerror(errno));
    if (pid == 0) {
        close(fds[0]);
        if (job->loop == NULL)
            supervise(job, fds[1]);
        prctl(PR_SET_PDEATHSIG, 0); /* it ends when the socket closes, not before */
        if (job->start != NULL)
            job->start();
        job->loop(fds[1]);
        _exit(0);
    }
    close(fds[1]);
    struct helper *h = mem_new(sizeof *h);
    *h = (struct helper){.job = job, .fd = fds[0], .questions = hash_new()};
    h->in = mem_new(sizeof *h->in);
    return h;
}

/* ---- the daemon */

static struct str id_key(const uint32_t *id)
{
    return (struct str){(const char *)id, sizeof *id};
}

static void take_answer(struct helper *h, size_t n, const int *fds)
{
    struct helper_question *q = hash_drop(h->questions, id_key(&h->in->id));

    if (q == NULL) { /* given up */
        close_fds(fds);
        return;
    }
    buf_add(q->answer, (struct str){h->in->bytes, n - HEAD});
    q->fd = fds[0];
    q->answered = true;
    task_wake(q->task);
}

/* Nobody starts it again, and what it may still do nobody hears of. */
static void lose_all(struct helper *h)
{
    size_t cursor = 0;
    struct str id;
    void *value;

    task_watch(h->fd, 0, NULL, NULL);
    task_close(h->fd);
    h->fd = -1;
    while (hash_next(h->questions, &cursor, &id, &value)) {
        struct helper_question *q = value;
        q->lost = true;
        task_wake(q->task);
    }
    if (h->job->lost != NULL)
        h->job->lost();
}

static void answers(void *arg, int socket, short events)
{
    struct helper *h = arg;
    int fds[HELPER_FDS];

    (void)events;
    for (;;) {
        ssize_t n = recv_message(socket, h->in, fds, MSG_DONTWAIT);
        if (n < 0 && may_pass(errno))
            return;
        if (n < HEAD && h->job->loop != NULL) {
            lose_all(h);
            return;
        }
        if (n < HEAD)
            msg_fatal("%s: the helper processes have ended", h->job->name);
        take_answer(h, (size_t)n, fds);
        explicit_bzero(h->in->bytes, (size_t)n - HEAD);
    }
}

void helper_watch(struct helper *h)
{
    task_watch(h->fd, POLLIN, answers, h);
}

void helper_free(struct helper **h)
{
    if (*h == NULL)
        return;
    if ((*h)->fd >= 0) { /* else lost */
        task_watch((*h)->fd, 0, NULL, NULL);
        task_close((*h)->fd);
    }
    hash_free(&(*h)->questions, NULL);
    free((*h)->in);
    free(*h);
    *h = NULL;
}

/* -1 and errno. A loop reads all the time, so there will be room at once. */
static int send_bytes(struct helper *h, uint32_t id, struct str bytes, const int *fds)
{
    struct message *m = mem_new(HEAD + bytes.n);

    m->id = id;
    memcpy(m->bytes, bytes.p, bytes.n);
    ssize_t sent = send_message(h->fd, m, bytes.n, fds, h->job->loop != NULL ? 0 : MSG_DONTWAIT);
    explicit_bzero(m->bytes, bytes.n);
    free(m);
    return sent == (ssize_t)(HEAD + bytes.n) ? 0 : -1;
}

int helper_send(struct helper *h, struct helper_question *q, struct str ask, const int *fds,
                struct why *why)
{
    q->id = ++h->last_id;
    q->task = task_self();
    q->fd = -1;
    q->answered = q->lost = false;
    if (ask.n > HELPER_MESSAGE_MAX)
        return why_set(why, "4.3.0", "%s: the question is too long", h->job->name);
    if (hash_count(h->questions) >= (size_t)h->job->queue_limit)
        return why_set(why, "4.3.0", "%s: too many questions wait", h->job->name);
    if (send_bytes(h, q->id, ask, fds) < 0)
        return errno == EAGAIN ? why_set(why, "4.3.0", "%s: too many questions wait", h->job->name)
                               : why_errno(why, "4.3.0", "%s", h->job->name);
    hash_put(h->questions, id_key(&q->id), q);
    return 0;
}

bool helper_wait(struct helper_question *q, int64_t deadline_ms)
{
    enum wait w = WAIT_READY;

    while (!q->answered && !q->lost && w != WAIT_TIMEOUT && w != WAIT_CANCELLED)
        w = task_park(deadline_ms);
    return q->answered;
}

void helper_add(struct helper *h, const struct helper_question *q, struct str more)
{
    send_bytes(h, q->id, more, NULL);
}

void helper_drop(struct helper *h, struct helper_question *q)
{
    if (!q->answered)
        hash_drop(h->questions, id_key(&q->id));
}

int helper_ask(struct helper *h, struct str ask, int64_t deadline_ms, struct buf *answer, int *fd,
               struct why *why)
{
    struct helper_question q = {.answer = answer};

    if (fd != NULL)
        *fd = -1;
    if (helper_send(h, &q, ask, NULL, why) < 0)
        return -1;
    bool answered = helper_wait(&q, deadline_ms);
    helper_drop(h, &q);
    if (!answered)
        return why_set(why, "4.3.0", "%s: no answer in time", h->job->name);
    if (fd != NULL)
        *fd = q.fd;
    else
        task_close(q.fd);
    return buf_ok(answer) ? 0 : why_set(why, "4.3.0", "%s: the answer is too long", h->job->name);
}
