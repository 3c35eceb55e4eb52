#include "service/check_start.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "conf/conf_master.h"
#include "conf/conf_snapshot.h"
#include "service/check_missing.h"
#include "service/spawned.h"

enum { AT_A_TIME = 8, OUTPUT_MAX = 64 * 1024 };

struct trial {
    const struct conf_service *service;
    pid_t pid;
    int fd; /* what it says; -1: it has ended */
    struct buf said;
};

struct trials {
    VEC(const struct conf_service *) todo;
    size_t next;
    struct trial running[AT_A_TIME];
    size_t n;
    int64_t deadline; /* clock_ms */
    struct hash *told; /* the same complaint of several services is told once */
    bool good;
};

/* Everything to where the program expects it. Leaks nothing: exec follows. */
static void place_descriptors(int out)
{
    struct conf_snapshot snapshot = conf_snapshot_used();
    int null = open("/dev/null", O_RDWR), above = SPAWN_LISTEN_FD;

    int main_copy = snapshot.main < 0 ? -1 : fcntl(snapshot.main, F_DUPFD_CLOEXEC, above);
    int master_copy = snapshot.master < 0 ? -1 : fcntl(snapshot.master, F_DUPFD_CLOEXEC, above);
    out = fcntl(out, F_DUPFD_CLOEXEC, above);
    if (null < 0 || out < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
        (main_copy >= 0 && (dup2(main_copy, SPAWN_MAIN_FD) < 0)) ||
        (master_copy >= 0 && (dup2(master_copy, SPAWN_MASTER_FD) < 0)))
        _exit(1);
}

static void __attribute__((noreturn)) check_start_run(const struct conf_service *s, int out)
{
    VEC(const char *) argv = {0};
    struct buf path = BUF(4096);
    sigset_t none;

    const char *fixed[] = {s->command, "-T",    "-c", conf_dir(),
                           "-n",       s->name, "-t", conf_service_type_name(s->type)};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        *VEC_ADD(&argv) = fixed[i];
    if (conf_snapshot_used().main >= 0)
        *VEC_ADD(&argv) = "-f";
    for (size_t i = 1; i < s->argc; i++)
        *VEC_ADD(&argv) = s->argv[i];
    *VEC_ADD(&argv) = NULL;
    buf_addf(&path, "%s/%s", conf.daemon_directory, s->command);
    place_descriptors(out);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (buf_ok(&path))
        execv(path.p, (char *const *)(uintptr_t)argv.at);
    dprintf(2, "check: fatal: exec %s: %s\n", path.p, strerror(errno));
    _exit(1);
}

/* The start would fail. */
static void tell(struct trials *t, const struct conf_service *s, struct str text)
{
    if (hash_put(t->told, text, t) == NULL)
        msg_error("%s/master.cf, line %u: service %s: %.*s", conf_dir(), s->first_line, s->name,
                  (int)text.n, text.p);
    t->good = false;
}

/* It starts, but something is amiss. */
static void mention(struct trials *t, const struct conf_service *s, struct str text)
{
    /* Of tables that nobody has built, "pombal check" says how to build them. */
    bool is_unbuilt = str_starts(text, STR("open database ")) && str_search(text, STR(".db: ")) > 0;

    if (!is_unbuilt && hash_put(t->told, text, t) == NULL)
        msg_warn("%s/master.cf, line %u: service %s: %.*s", conf_dir(), s->first_line, s->name,
                 (int)text.n, text.p);
}

/* "smtpd: fatal: text" and the like are what the administrator needs to know; how many of those
 * were errors. */
static size_t tell_lines(struct trials *t, const struct trial *one, bool starts)
{
    static const char *const levels[] = {"warning: ", "fatal: ", "error: ", "panic: "};
    struct str rest = buf_str(&one->said), line;
    size_t count = 0;

    while (str_split(&rest, '\n', &line))
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
            ptrdiff_t at = str_search(line, strz(levels[i]));
            if (at < 0)
                continue;
            bool is_error = !starts && i > 0;
            (is_error ? tell : mention)(t, one->service,
                                        str_from(line, (size_t)at + strlen(levels[i])));
            count += is_error;
            break;
        }
    return count;
}

static void judge(struct trials *t, const struct trial *one, int status)
{
    struct buf text = BUF_TEXT(200);

    if (tell_lines(t, one, status == 0) == 0 && status != 0) {
        buf_addf(&text, "%s does not start: %s %d%s%s", one->service->command,
                 WIFSIGNALED(status) ? "signal" : "exit status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                 WIFSIGNALED(status) ? ""
                                     : "; does daemon_directory hold Pombal's programs? It is ",
                 WIFSIGNALED(status) ? "" : conf.daemon_directory);
        tell(t, one->service, buf_str(&text));
    }
    buf_free(&text);
}

static void start_next(struct trials *t)
{
    struct trial *one = &t->running[t->n];
    int ends[2];

    *one = (struct trial){.service = t->todo.at[t->next++], .fd = -1, .said = BUF_TEXT(OUTPUT_MAX)};
    if (pipe2(ends, O_CLOEXEC) < 0) {
        tell(t, one->service, STR("its start cannot be tried: no more descriptors"));
        return;
    }
    msg_flush();
    one->pid = fork();
    if (one->pid == 0)
        check_start_run(one->service, ends[1]);
    close(ends[1]);
    one->fd = ends[0];
    if (one->pid < 0) {
        tell(t, one->service, STR("its start cannot be tried: no more processes"));
        close(ends[0]);
        return;
    }
    t->n++;
}

static void end_trial(struct trials *t, size_t i, bool in_time)
{
    struct trial *one = &t->running[i];
    int status = 0;

    close(one->fd);
    if (!in_time) {
        kill(one->pid, SIGKILL);
        tell(t, one->service, STR("it did not try its start within service_check_timeout"));
    }
    while (waitpid(one->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (in_time)
        judge(t, one, status);
    buf_free(&one->said);
    t->running[i] = t->running[--t->n];
}

/* One look at what the running ones say; false: the time is over. */
static bool look(struct trials *t)
{
    struct pollfd fds[AT_A_TIME];
    int64_t left = t->deadline - clock_ms();
    char chunk[1024];

    for (size_t i = 0; i < t->n; i++)
        fds[i] = (struct pollfd){.fd = t->running[i].fd, .events = POLLIN};
    if (left <= 0 || (poll(fds, t->n, (int)left) == 0))
        return false;
    for (size_t i = t->n; i-- > 0;) {
        ssize_t n = fds[i].revents == 0 ? 1 : read(fds[i].fd, chunk, sizeof chunk);
        if (n > 0 && fds[i].revents != 0)
            buf_add(&t->running[i].said, (struct str){chunk, (size_t)n});
        else if (n == 0 || (n < 0 && errno != EINTR))
            end_trial(t, i, true);
    }
    return true;
}

static bool same_start(const struct conf_service *a, const struct conf_service *b)
{
    if (a->argc != b->argc)
        return false;
    for (size_t i = 0; i < a->argc; i++)
        if (strcmp(a->argv[i], b->argv[i]) != 0)
            return false;
    return true;
}

/* Services of one program with the same arguments open the same. */
static bool is_tried(const struct trials *t, const struct conf_service *s)
{
    for (size_t i = 0; i < t->todo.n; i++)
        if (same_start(t->todo.at[i], s))
            return true;
    return false;
}

bool check_starts(const struct conf_master *cf)
{
    struct trials t = {.deadline = clock_ms() + conf.service_check_timeout * 1000,
                       .told = hash_new(),
                       .good = true};

    for (size_t i = 0; i < cf->n; i++) {
        const struct conf_service *s = &cf->at[i];
        if (!conf_master_disabled(s) && !conf_master_again(cf, s) && !service_left_out(s) &&
            !is_tried(&t, s))
            *VEC_ADD(&t.todo) = s;
    }
    while (t.next < t.todo.n || t.n > 0) {
        while (t.next < t.todo.n && t.n < AT_A_TIME)
            start_next(&t);
        if (t.n > 0 && !look(&t)) {
            t.next = t.todo.n;
            while (t.n > 0)
                end_trial(&t, t.n - 1, false);
        }
    }
    VEC_FREE(&t.todo);
    hash_free(&t.told, NULL);
    return t.good;
}
