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

/* On the stack of the task that waits for it. */
struct question {
    struct task *task;
    struct buf *answer;
    int fd;
    bool answered;
};

/* ---- messages */

static ssize_t send_message(int socket, const struct message *m, size_t n, int fd, int flags)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)m, .iov_len = HEAD + n};
    struct msghdr head = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd >= 0) {
        head.msg_control = control.room;
        head.msg_controllen = sizeof control.room;
        struct cmsghdr *c = CMSG_FIRSTHDR(&head);
        *c = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    return sendmsg(socket, &head, flags | MSG_NOSIGNAL);
}

static ssize_t recv_message(int socket, struct message *m, int *fd, int flags)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {.iov_base = m, .iov_len = sizeof *m};
    struct msghdr head = {.msg_iov = &part,
                          .msg_iovlen = 1,
                          .msg_control = control.room,
                          .msg_controllen = sizeof control.room};

    *fd = -1;
    ssize_t n = recvmsg(socket, &head, flags | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&head) : NULL;
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(c), sizeof *fd);
    return n;
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

static void answer_one(const struct helper_job *job, int socket, struct message *m, size_t n)
{
    struct buf answer = BUF(HELPER_MESSAGE_MAX);
    int fd = -1;

    job->serve((struct str){m->bytes, n}, &answer, &fd);
    explicit_bzero(m->bytes, n);
    if (!buf_ok(&answer))
        msg_panic("%s: an answer is too long", job->name);
    memcpy(m->bytes, answer.p, answer.n);
    ssize_t sent = send_message(socket, m, answer.n, fd, 0);
    bool gone = sent < 0 && errno == EPIPE;
    if (answer.room > 0)
        explicit_bzero(answer.p, answer.room);
    buf_free(&answer);
    if (fd >= 0)
        close(fd);
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
    int fd;

    narrow_jail(job, socket);
    for (;;) {
        ssize_t n = recv_message(socket, m, &fd, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (fd >= 0)
            close(fd);
        if (n < HEAD)
            _exit(0); /* the daemon has ended */
        answer_one(job, socket, m, (size_t)n - HEAD);
    }
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
        supervise(job, fds[1]);
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

static void take_answer(struct helper *h, size_t n, int fd)
{
    struct question *q = hash_drop(h->questions, id_key(&h->in->id));

    if (q == NULL) { /* given up */
        task_close(fd);
        return;
    }
    buf_add(q->answer, (struct str){h->in->bytes, n - HEAD});
    q->fd = fd;
    q->answered = true;
    task_wake(q->task);
}

static void answers(void *arg, int socket, short events)
{
    struct helper *h = arg;
    int fd;

    (void)events;
    for (;;) {
        ssize_t n = recv_message(socket, h->in, &fd, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < HEAD)
            msg_fatal("%s: the helper processes have ended", h->job->name);
        take_answer(h, (size_t)n, fd);
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
    task_watch((*h)->fd, 0, NULL, NULL);
    task_close((*h)->fd);
    hash_free(&(*h)->questions, NULL);
    free((*h)->in);
    free(*h);
    *h = NULL;
}

/* False: no room. */
static bool send_question(struct helper *h, uint32_t id, struct str ask)
{
    struct message *m = mem_new(HEAD + ask.n);

    m->id = id;
    memcpy(m->bytes, ask.p, ask.n);
    bool sent = send_message(h->fd, m, ask.n, -1, MSG_DONTWAIT) == (ssize_t)(HEAD + ask.n);
    explicit_bzero(m->bytes, ask.n);
    free(m);
    return sent;
}

int helper_ask(struct helper *h, struct str ask, int64_t deadline, struct buf *answer, int *fd,
               struct why *why)
{
    struct question q = {.task = task_self(), .answer = answer, .fd = -1};
    enum wait w = WAIT_READY;
    uint32_t id = ++h->last_id;

    if (fd != NULL)
        *fd = -1;
    if (ask.n > HELPER_MESSAGE_MAX)
        return why_set(why, "4.3.0", "%s: the question is too long", h->job->name);
    if (hash_count(h->questions) >= (size_t)h->job->queue_limit || !send_question(h, id, ask))
        return why_set(why, "4.3.0", "%s: too many questions wait", h->job->name);
    hash_put(h->questions, id_key(&id), &q);
    while (!q.answered && w != WAIT_TIMEOUT && w != WAIT_CANCELLED)
        w = task_park(deadline);
    if (!q.answered) {
        hash_drop(h->questions, id_key(&id));
        return why_set(why, "4.3.0", "%s: no answer in time", h->job->name);
    }
    if (fd != NULL)
        *fd = q.fd;
    else
        task_close(q.fd);
    return buf_ok(answer) ? 0 : why_set(why, "4.3.0", "%s: the answer is too long", h->job->name);
}
