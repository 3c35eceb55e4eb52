/*
 * Slow hashes are computed by helper processes, so that the loop never stands still. All of them
 * read from one socket of messages: whoever is free takes the next, and the socket is the queue.
 * They are forked before the jail and lock themselves in without any right.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/password.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "service/jail.h"
#include "task/task.h"

#include "authd.h"

enum { JOB_TEXT_MAX = 8 * 1024, PROBLEM_MAX = 200 };

struct job {
    uint32_t id;
    uint16_t user, plain, stored; /* lengths; the bytes follow each other in text */
    char text[JOB_TEXT_MAX];
};

struct verdict {
    uint32_t id;
    int32_t answer; /* enum password_answer */
    char problem[PROBLEM_MAX];
};

static struct {
    int fd; /* our end */
    uint32_t last_id;
} workers = {.fd = -1};

static void judge(const struct job *j, struct verdict *v)
{
    struct why why = WHY;
    const char *p = j->text;
    struct str user = {p, j->user}, plain = {p + j->user, j->plain},
               stored = {p + j->user + j->plain, j->stored};

    *v = (struct verdict){.id = j->id};
    v->answer = password_check(user, plain, stored, conf.auth_default_pass_scheme, &why);
    if (why.text.n > 0)
        snprintf(v->problem, sizeof v->problem, "%s", why.text.p);
    why_free(&why);
}

static void serve(int fd)
{
    struct job *j = mem_new(sizeof *j);
    struct verdict v;

    for (;;) {
        ssize_t n = recv(fd, j, sizeof *j, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(0);
        size_t head = offsetof(struct job, text);
        if ((size_t)n < head || (size_t)n - head != (size_t)j->user + j->plain + j->stored)
            msg_panic("a malformed job of %zd bytes", n);
        judge(j, &v);
        explicit_bzero(j, (size_t)n);
        if (send(fd, &v, sizeof v, MSG_NOSIGNAL) < 0 && errno == EPIPE)
            _exit(0);
    }
}

static void start_one(int ours, int theirs)
{
    pid_t pid = fork();

    if (pid < 0)
        msg_fatal("fork a password worker: %s", strerror(errno));
    if (pid > 0)
        return;
    close(ours);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* What libraries load when they are first used they load now. */
    password_check(STR("x"), STR("x"),
                   STR("{PBKDF2}$1$x$1$0000000000000000000000000000000000000000"), "CRYPT", NULL);
    jail_enter(&(struct jail){.name = "authd-worker", .rights = 0, .user = conf.mail_owner});
    serve(theirs);
}

void workers_start(void)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        msg_fatal("socket of the password workers: %s", strerror(errno));
    for (int64_t i = 0; i < conf.auth_worker_max_count; i++)
        start_one(fds[0], fds[1]);
    close(fds[1]);
    workers.fd = fds[0];
}

static void verdicts(void *arg, int fd, short events)
{
    struct verdict v;

    (void)arg;
    (void)events;
    for (;;) {
        ssize_t n = recv(fd, &v, sizeof v, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n != sizeof v)
            msg_fatal("the password workers have ended");
        v.problem[PROBLEM_MAX - 1] = '\0';
        attempt_checked(v.id, v.answer, v.problem);
    }
}

void workers_watch(void)
{
    task_watch(workers.fd, POLLIN, verdicts, NULL);
}

uint32_t workers_ask(struct str user, struct str plain, struct str stored)
{
    size_t n = user.n + plain.n + stored.n;

    if (n > JOB_TEXT_MAX)
        return 0;
    struct job *j = mem_new(sizeof *j);
    j->id = ++workers.last_id != 0 ? workers.last_id : ++workers.last_id;
    j->user = (uint16_t)user.n;
    j->plain = (uint16_t)plain.n;
    j->stored = (uint16_t)stored.n;
    memcpy(j->text, user.p, user.n);
    memcpy(j->text + user.n, plain.p, plain.n);
    memcpy(j->text + user.n + plain.n, stored.p, stored.n);
    size_t whole = offsetof(struct job, text) + n;
    ssize_t sent = send(workers.fd, j, whole, MSG_DONTWAIT | MSG_NOSIGNAL);
    uint32_t id = sent == (ssize_t)whole ? j->id : 0;
    explicit_bzero(j, whole);
    free(j);
    return id;
}
