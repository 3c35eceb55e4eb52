/*
 * Starting processes, and what becomes of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "service/become.h"
#include "service/metrics.h"
#include "service/openlog.h"
#include "service/spawned.h"

#include "master.h"

enum {
    PAGES = 4096, /* processes at a time that are counted */
    FIRST_BACKOFF_MS = 1000,
};

void spawn_metrics_open(void)
{
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(4096);

    buf_addf(&path, "%s/metrics", conf.data_directory);
    /* Not as its owner: the directory is not root's. An old file may have readers. */
    unlink(path.p);
    master.metrics_fd = open(path.p, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (master.metrics_fd < 0) {
        msg_warn("open %s: %m -- the counters are not to be seen", path.p);
        master.metrics_fd = memfd_create("metrics", MFD_CLOEXEC);
    }
    if (master.metrics_fd < 0)
        msg_fatal("memfd_create: %m");
    buf_free(&path);
}

/* Writing to a mapped page for which the disk has no room kills the process, so the room is
 * allocated first. A process without a page counts in memory of its own. */
static bool add_page(void)
{
    static const char advice[] = "new processes are left out of \"pombal status\"";

    if (master.pages.n >= PAGES)
        return false;
    int error =
        posix_fallocate(master.metrics_fd, (off_t)master.pages.n * METRICS_PAGE, METRICS_PAGE);
    if (error != 0 && !master.metrics_full)
        msg_warn("%s/metrics: %s -- %s", conf.data_directory, strerror(error), advice);
    master.metrics_full = error != 0;
    if (error == 0)
        *VEC_ADD(&master.pages) = true;
    return error == 0;
}

static int take_page(void)
{
    for (size_t i = 0; i < master.pages.n; i++)
        if (!master.pages.at[i]) {
            master.pages.at[i] = true;
            return (int)i;
        }
    return add_page() ? (int)master.pages.n - 1 : -1;
}

static void give_page(int page)
{
    uint32_t none = 0;
    off_t at = (off_t)page * METRICS_PAGE + (off_t)offsetof(struct metrics_page, version);

    if (page < 0)
        return;
    if (pwrite(master.metrics_fd, &none, sizeof none, at) < 0)
        msg_warn("metrics: %m");
    master.pages.at[page] = false;
}

static bool is_free(const struct svc *s, int part)
{
    LIST_EACH (&((struct svc *)(uintptr_t)s)->children, l)
        if (LIST_OF(l, struct child, link)->part == part)
            return false;
    return true;
}

static bool write_clients(const struct svc *s, off_t at, uint32_t value)
{
    bool done = pwrite(s->clients_fd, &value, sizeof value, at) == sizeof value;

    if (!done)
        msg_warn("memory with the clients: %m");
    return done;
}

/* The clients of a former process are no longer there. */
static int take_part(const struct svc *s, int limit)
{
    int part = 0;

    while (part < SPAWN_PARTS && !is_free(s, part))
        part++;
    if (part == SPAWN_PARTS ||
        !write_clients(s, SPAWN_PARTS_AT + (off_t)part * SPAWN_PART_SIZE, 0) ||
        !write_clients(s, (off_t)part * (off_t)sizeof(uint32_t), (uint32_t)limit))
        return -1;
    return part;
}

static void give_part(const struct svc *s, int part)
{
    if (part >= 0)
        write_clients(s, (off_t)part * (off_t)sizeof(uint32_t), SPAWN_PART_ENDED);
}

/* Everything to where the process expects it; the numbers in between may be in use. */
static void place_fds(const struct svc *s, const struct child *c, int status)
{
    VEC(int) fds = {0};
    int above = SPAWN_LISTEN_FD + (int)s->endpoints.n;

    *VEC_ADD(&fds) = fcntl(status, F_DUPFD_CLOEXEC, above);
    *VEC_ADD(&fds) = fcntl(master.metrics_fd, F_DUPFD_CLOEXEC, above);
    *VEC_ADD(&fds) = fcntl(s->shared_fd, F_DUPFD_CLOEXEC, above);
    *VEC_ADD(&fds) = fcntl(s->clients_fd, F_DUPFD_CLOEXEC, above);
    *VEC_ADD(&fds) = fcntl(master.accepted.main, F_DUPFD_CLOEXEC, above);
    *VEC_ADD(&fds) = fcntl(master.accepted.master, F_DUPFD_CLOEXEC, above);
    *VEC_ADD(&fds) = fcntl(c->log, F_DUPFD_CLOEXEC, above);
    for (size_t i = 0; i < s->endpoints.n; i++)
        *VEC_ADD(&fds) = fcntl(s->endpoints.at[i]->watch.fd, F_DUPFD_CLOEXEC, above);
    for (size_t i = 0; i < fds.n; i++)
        if (fds.at[i] < 0 || dup2(fds.at[i], SPAWN_STATUS_FD + (int)i) < 0)
            msg_fatal("descriptor for %s: %m", s->conf.command);
    VEC_FREE(&fds);
}

static char *number(int64_t n)
{
    /* fits: a number */
    struct buf b = BUF(30);
    buf_addf(&b, "%lld", (long long)n);
    return buf_take(&b);
}

/* Of its sockets the one that keeps the fewest: the kernel's setting may be another one by now. */
static int datagrams_kept(const struct svc *s)
{
    int least = 0;

    for (size_t i = 0; i < s->endpoints.n; i++) {
        int kept = s->endpoints.at[i]->datagrams_kept;
        if (least == 0 || kept < least)
            least = kept;
    }
    return least;
}

/* Leaks nothing: exec follows, or the end. */
static void __attribute__((noreturn))
master_spawn_run(const struct svc *s, const struct child *c, int status)
{
    VEC(const char *) argv = {0};
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(4096);
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != master.pid)
        _exit(1);
    place_fds(s, c, status);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    const char *fixed[] = {s->conf.argv[0],
                           "-f",
                           "-c",
                           conf_dir(),
                           "-n",
                           s->conf.name,
                           "-t",
                           conf_service_type_name(s->conf.type),
                           "-s",
                           number((int64_t)s->endpoints.n),
                           "-m",
                           number(c->limit)};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        *VEC_ADD(&argv) = fixed[i];
    if (c->page >= 0) {
        *VEC_ADD(&argv) = "-k";
        *VEC_ADD(&argv) = number(c->page);
    }
    if (c->part >= 0) {
        *VEC_ADD(&argv) = "-i";
        *VEC_ADD(&argv) = number(c->part);
    }
    if (s->conf.type == SERVICE_UNIX_DGRAM) {
        *VEC_ADD(&argv) = "-q";
        *VEC_ADD(&argv) = number(datagrams_kept(s));
    }
    if (ids_of_suite()->base != 0) {
        *VEC_ADD(&argv) = "-G";
        *VEC_ADD(&argv) = number(ids_of_suite()->base);
        *VEC_ADD(&argv) = "-N";
        *VEC_ADD(&argv) = number(ids_of_suite()->network);
    }
    if (s->conf.chroot)
        *VEC_ADD(&argv) = "-C";
    if (s->conf.unprivileged)
        *VEC_ADD(&argv) = "-U";
    for (size_t i = 1; i < s->conf.argc; i++)
        *VEC_ADD(&argv) = s->conf.argv[i];
    *VEC_ADD(&argv) = NULL;
    buf_addf(&path, "%s/%s", conf.daemon_directory, s->conf.command);
    execv(path.p, (char *const *)(uintptr_t)argv.at);
    int error = errno;
    service_open_log("master", LOG_WRITES,
                     false); /* the descriptor of the log may be the process's now */
    errno = error;
    msg_fatal("exec %s: %m", path.p);
}

static int limit_of_new(const struct svc *s)
{
    int64_t room = status_room(s);

    return (int)(s->sessions < room ? s->sessions : room);
}

static void throttle(struct svc *s)
{
    int64_t most = conf.service_throttle_time * 1000;

    s->backoff_ms = s->backoff_ms == 0 ? FIRST_BACKOFF_MS : s->backoff_ms * 2;
    if (s->backoff_ms > most)
        s->backoff_ms = most;
    s->throttled_until = master.now + s->backoff_ms;
}

void spawn_child(struct svc *s)
{
    int ends[2], log = msg_syslog_open();

    if (log < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        msg_warn("socket: %m -- throttling");
        if (log >= 0)
            close(log);
        throttle(s);
        return;
    }
    struct child *c = mem_new(sizeof *c);
    c->svc = s;
    c->log = log;
    c->started = master.now;
    c->limit = limit_of_new(s);
    c->page = take_page();
    c->part = take_part(s, c->limit);
    msg_flush();
    c->pid = fork();
    if (c->pid == 0)
        master_spawn_run(s, c, ends[1]);
    close(ends[1]);
    if (c->pid < 0) {
        msg_warn("fork: %m -- throttling");
        close(ends[0]);
        close(log);
        give_page(c->page);
        give_part(s, c->part);
        free(c);
        throttle(s);
        return;
    }
    status_watch(c, ends[0]);
    list_add(&s->children, &c->link);
    s->nchildren++;
}

static void describe_end(const struct child *c, int status)
{
    const char *dir = conf.daemon_directory, *command = c->svc->conf.command;

    if (WIFSIGNALED(status))
        msg_warn("process %s/%s pid %d killed by signal %d", dir, command, (int)c->pid,
                 WTERMSIG(status));
    else
        msg_warn("process %s/%s pid %d exit status %d", dir, command, (int)c->pid,
                 WEXITSTATUS(status));
}

static void child_gone(struct child *c, int status)
{
    struct svc *s = c->svc;

    status_read(c); /* its last words */
    give_page(c->page);
    give_part(s, c->part);
    listen_again(s, c->pid);
    /* A process that was told to end may be interrupted while it starts. */
    bool expected = status == 0 || (c->draining && WIFSIGNALED(status) &&
                                    (WTERMSIG(status) == SIGHUP || WTERMSIG(status) == SIGTERM));
    if (!expected && !master.stopping) {
        describe_end(c, status);
        if (!c->served) {
            msg_warn("%s/%s: bad command startup -- throttling", conf.daemon_directory,
                     s->conf.command);
            throttle(s);
        }
    }
    if (c->served)
        s->backoff_ms = 0;
    /* What is woken regularly looks for work when it starts, and this one may have left some. */
    if (s->next_wakeup != 0 && (!expected || s->alone))
        s->next_wakeup = master.now;
    loop_drop(&c->status);
    close(c->status.fd);
    close(c->log);
    list_drop(&c->link);
    s->nchildren--;
    free(c);
    status_balance(s);
    if (services_is_log(s) && !master.stopping && s->throttled_until == 0)
        spawn_log();
}

static struct child *find_child(pid_t pid)
{
    LIST_EACH (&master.services, l) {
        struct svc *s = LIST_OF(l, struct svc, link);
        LIST_EACH (&s->children, k) {
            struct child *c = LIST_OF(k, struct child, link);
            if (c->pid == pid)
                return c;
        }
    }
    return NULL;
}

bool spawn_has(pid_t pid)
{
    return find_child(pid) != NULL;
}

/* Master is the reaper of its children's children, too; about those it says nothing. */
void spawn_reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct child *c = find_child(pid);
        if (c != NULL)
            child_gone(c, status);
    }
}

int spawn_count(bool of_log)
{
    int n = 0;

    LIST_EACH (&master.services, l) {
        const struct svc *s = LIST_OF(l, struct svc, link);
        if (services_is_log(s) == of_log)
            n += s->nchildren;
    }
    return n;
}

void spawn_signal(int signo, bool to_log)
{
    LIST_EACH (&master.services, l) {
        struct svc *s = LIST_OF(l, struct svc, link);
        LIST_EACH (&s->children, k)
            if (services_is_log(s) == to_log)
                kill(LIST_OF(k, struct child, link)->pid, signo);
    }
}

void spawn_log(void)
{
    LIST_EACH (&master.services, l) {
        struct svc *s = LIST_OF(l, struct svc, link);
        if (!services_is_log(s) || s->retired || s->nchildren > 0)
            continue;
        spawn_child(s);
        status_balance(s);
    }
}
