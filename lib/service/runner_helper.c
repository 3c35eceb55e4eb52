/*
 * The other side of runner.c: a process that forks commands and waits for them. It holds what is
 * needed to become somebody else, and reads nothing but requests of its parent.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/msg.h"
#include "service/helper.h"
#include "service/runner_wire.h"

struct command {
    struct list link;
    uint32_t id;
    pid_t pid;
};

struct commands {
    int sock, signals;
    struct list list;
};

/* runner_only */
static struct {
    bool set;
    uid_t uid;
    gid_t gid;
    const char *root;
} only;

void runner_only(uid_t uid, gid_t gid, const char *root)
{
    only.set = true;
    only.uid = uid;
    only.gid = gid;
    only.root = root != NULL && *root != 0 ? root : "/";
}

static bool is_allowed(const struct runner_order *o)
{
    return !only.set ||
           (o->ask->uid == only.uid && o->ask->gid == only.gid && strcmp(o->root, only.root) == 0);
}

static void answer(const struct commands *h, uint32_t id, int error, int status)
{
    struct runner_answer a = {error, status};
    helper_answer(h->sock, id, (struct str){(const char *)&a, sizeof a});
}

/* Not the group 0 either: files of root may be group-writable. */
static int become(uid_t uid, gid_t gid)
{
    if (geteuid() != 0)
        return 0;
    if (uid == 0 || gid == 0) {
        errno = EPERM;
        return -1;
    }
    return setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0
               ? -1
               : 0;
}

static int set_stdio(const struct runner_order *o)
{
    int in = o->fds[0] >= 0 ? o->fds[0] : open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = o->fds[1] >= 0 ? o->fds[1] : open("/dev/null", O_WRONLY | O_CLOEXEC);

    return in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ? -1 : 0;
}

static void clear_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) != 0)
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

/* Only root may chroot; a request for it from anybody else fails here. */
static int change_root(const char *root)
{
    if (strcmp(root, "/") == 0)
        return 0;
    return chroot(root) < 0 || chdir("/") < 0 ? -1 : 0;
}

/* The child: never returns. report tells the helper what failed; exec closes it. */
static void __attribute__((noreturn)) runner_helper_run(const struct runner_order *o, int report)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    static const int changed[] = {SIGPIPE, SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++)
        signal(changed[i], SIG_DFL);
    setsid();
    if (set_stdio(o) == 0 && change_root(o->root) == 0 && become(o->ask->uid, o->ask->gid) == 0 &&
        (chdir(o->dir) == 0 || chdir("/") == 0)) {
        clear_nonblocking(0);
        clear_nonblocking(1);
        umask(077);
        environ = o->env;
        execvp(o->argv[0], o->argv);
    }
    int error = errno;
    ssize_t n = write(report, &error, sizeof error);
    (void)n;
    _exit(127);
}

static void runner_helper_start(struct commands *h, uint32_t id, const struct runner_order *o)
{
    int report[2], error = 0;

    if (pipe2(report, O_CLOEXEC) < 0) {
        answer(h, id, errno, 0);
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        runner_helper_run(o, report[1]);
    if (pid < 0)
        error = errno;
    close(report[1]);
    if (pid > 0 && read(report[0], &error, sizeof error) != sizeof error)
        error = 0;
    close(report[0]);
    if (error != 0) {
        if (pid > 0)
            waitpid(pid, NULL, 0);
        answer(h, id, error, 0);
        return;
    }
    struct command *c = mem_new(sizeof *c);
    c->id = id;
    c->pid = pid;
    list_add(&h->list, &c->link);
}

/* The answer comes when it has ended. */
static void kill_command(const struct commands *h, uint32_t id)
{
    bool found = false;

    LIST_EACH (&h->list, l) {
        struct command *c = LIST_OF(l, struct command, link);
        if (c->id != id)
            continue;
        found = true;
        kill(-c->pid, SIGKILL);
    }
    if (!found)
        answer(h, id, ESRCH, 0);
}

static void reap(struct commands *h)
{
    struct signalfd_siginfo info;
    ssize_t n = read(h->signals, &info, sizeof info);
    int status;
    pid_t pid;

    (void)n;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        LIST_EACH (&h->list, l) {
            struct command *c = LIST_OF(l, struct command, link);
            if (c->pid != pid)
                continue;
            answer(h, c->id, 0, status);
            list_drop(&c->link);
            free(c);
        }
}

/* What came along stands in order: input, if there is one, then output. */
static void place_fds(const struct helper_request *r, struct runner_order *o)
{
    int next = 0;

    for (unsigned i = 0; i < HELPER_FDS; i++)
        o->fds[i] = (o->ask->has & 1u << i) != 0 && next < HELPER_FDS ? r->fds[next++] : -1;
    for (; next < HELPER_FDS; next++)
        if (r->fds[next] >= 0)
            close(r->fds[next]);
}

/* False when the parent has gone. */
static bool take_message(struct commands *h)
{
    struct helper_request r;
    int got = helper_recv(h->sock, &r);

    if (got <= 0)
        return got == 0;
    struct runner_order o = {.ask = (const struct runner_ask *)(const void *)r.bytes,
                             .fds = {-1, -1}};
    if (r.n < sizeof *o.ask)
        return false;
    place_fds(&r, &o);
    if (o.ask->what == RUNNER_KILL)
        kill_command(h, r.id);
    else if (!runner_order_parse(&o, r.bytes, r.n))
        answer(h, r.id, EINVAL, 0);
    else if (!is_allowed(&o))
        answer(h, r.id, EPERM, 0);
    else
        runner_helper_start(h, r.id, &o);
    runner_order_free(&o);
    return true;
}

static int watch_children(void)
{
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

void runner_helper(int sock)
{
    struct commands h = {.sock = sock};

    helper_forget_daemon(sock, -1);
    signal(SIGTERM, SIG_IGN); /* of the process group: the parent decides */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    list_init(&h.list);
    h.signals = watch_children();
    struct pollfd fds[2] = {{sock, POLLIN, 0}, {h.signals, POLLIN, 0}};
    /* Without the signals no command would ever end: the daemon gets another helper. */
    for (bool alive = h.signals >= 0; alive;) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents != 0)
            reap(&h);
        if (fds[0].revents != 0)
            alive = take_message(&h);
    }
    LIST_EACH (&h.list, l)
        kill(-LIST_OF(l, struct command, link)->pid, SIGKILL);
}
