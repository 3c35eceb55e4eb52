#include "service/runner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/list.h"
#include "base/msg.h"
#include "service/runner_wire.h"
#include "task/task.h"

struct waiting {
    struct list link;
    uint32_t id;
    struct task *task;
    bool done;
    struct runner_answer answer;
};

static struct {
    int sock;
    uint32_t last_id;
    struct list waiting;
    bool watched;
} runner = {.sock = -1};

void runner_start(void)
{
    int fds[2];

    list_init(&runner.waiting);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        msg_fatal("socketpair: %m");
    pid_t pid = fork();
    if (pid < 0)
        msg_fatal("fork: %m");
    if (pid == 0) {
        close(fds[0]);
        prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0); /* it ends when the socket closes, not before */
        runner_helper(fds[1]);
        _exit(0);
    }
    close(fds[1]);
    runner.sock = fds[0];
}

/* The helper has gone: every command is lost, and no further one is possible. */
static void all_lost(void)
{
    LIST_EACH (&runner.waiting, l) {
        struct waiting *w = LIST_OF(l, struct waiting, link);
        w->answer.error = EPIPE;
        w->done = true;
        task_wake(w->task);
    }
}

void runner_stop(void)
{
    if (runner.sock < 0)
        return;
    if (runner.watched)
        task_watch(runner.sock, 0, NULL, NULL);
    task_close(runner.sock);
    runner.sock = -1;
    runner.watched = false;
}

static void on_answer(void *arg, int fd, short events)
{
    struct runner_answer answer;
    ssize_t n;

    (void)arg;
    (void)events;
    while ((n = recv(fd, &answer, sizeof answer, MSG_DONTWAIT)) == sizeof answer)
        LIST_EACH (&runner.waiting, l) {
            struct waiting *w = LIST_OF(l, struct waiting, link);
            if (w->id != answer.id)
                continue;
            w->answer = answer;
            w->done = true;
            task_wake(w->task);
        }
    if (n >= 0 || errno != EAGAIN) {
        task_watch(fd, 0, NULL, NULL);
        all_lost();
    }
}

static uint32_t add_texts(struct buf *b, const char *const *texts)
{
    uint32_t n = 0;

    for (; texts != NULL && texts[n] != NULL; n++)
        buf_add(b, (struct str){texts[n], strlen(texts[n]) + 1});
    return n;
}

union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(2 * sizeof(int))];
};

/* What is -1 is not sent: the helper opens /dev/null, which the jail cannot. */
static uint32_t attach(struct msghdr *m, union control *control, const struct run *r)
{
    const int fds[2] = {r->in, r->out};
    uint32_t has = 0;
    size_t n = 0;

    for (unsigned i = 0; i < 2; i++)
        if (fds[i] >= 0) {
            memcpy(CMSG_DATA(&control->head) + n++ * sizeof(int), &fds[i], sizeof(int));
            has |= 1u << i;
        }
    if (n > 0) {
        m->msg_control = control;
        m->msg_controllen = CMSG_SPACE(n * sizeof(int));
        control->head.cmsg_level = SOL_SOCKET;
        control->head.cmsg_type = SCM_RIGHTS;
        control->head.cmsg_len = CMSG_LEN(n * sizeof(int));
    }
    return has;
}

static int send_start(uint32_t id, const struct run *r, struct why *why)
{
    struct runner_ask ask = {.what = RUNNER_START, .id = id, .uid = r->uid, .gid = r->gid};
    struct buf texts = BUF(RUN_TEXT_MAX);
    union control control = {0};
    struct iovec iov[2] = {{&ask, sizeof ask}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

    ask.nargs = add_texts(&texts, r->argv);
    ask.nenv = add_texts(&texts, r->env);
    add_texts(&texts, (const char *const[]){r->dir != NULL ? r->dir : "/",
                                            r->root != NULL ? r->root : "/", NULL});
    ask.has = attach(&m, &control, r);
    iov[1] = (struct iovec){texts.p, texts.n};
    int result = 0;
    if (!buf_ok(&texts) || ask.nargs == 0)
        result = why_set(why, "4.3.5", "command line of %s is too long",
                         ask.nargs > 0 ? r->argv[0] : "nothing");
    else if (sendmsg(runner.sock, &m, MSG_NOSIGNAL) < 0)
        result = why_errno(why, "4.3.0", "command helper");
    buf_free(&texts);
    return result;
}

static void send_kill(uint32_t id)
{
    struct runner_ask ask = {.what = RUNNER_KILL, .id = id};
    send(runner.sock, &ask, sizeof ask, MSG_NOSIGNAL);
}

/* Until the answer; a command that was killed has one too, at once. */
static bool wait_for(struct waiting *w, int64_t deadline)
{
    bool killed = false;

    while (!w->done)
        if (task_park(killed ? 0 : deadline) != WAIT_READY && !killed) {
            send_kill(w->id);
            killed = true;
        } else if (killed && !w->done && task_is_cancelled()) {
            break; /* the process ends, and the helper with all commands */
        }
    return !killed;
}

int runner_run(const struct run *r, int *status, struct why *why)
{
    struct waiting w = {.id = ++runner.last_id, .task = task_self()};

    if (runner.sock < 0)
        return why_set(why, "4.3.5", "this process may not run commands");
    if (!runner.watched) {
        runner.watched = true;
        task_watch(runner.sock, POLLIN, on_answer, NULL);
    }
    list_add(&runner.waiting, &w.link);
    if (send_start(w.id, r, why) < 0) {
        list_drop(&w.link);
        return -1;
    }
    bool in_time = wait_for(&w, r->deadline_ms);
    list_drop(&w.link);
    if (!in_time)
        return why_set(why, "4.3.0", "Command time limit exceeded: \"%s\"", r->argv[0]);
    if (w.answer.error != 0)
        return why_set(why, "4.3.0", "cannot run %s: %s", r->argv[0], strerror(w.answer.error));
    *status = w.answer.status;
    return 0;
}
