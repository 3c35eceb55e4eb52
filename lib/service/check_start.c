#include "service/check_start.h"

#include <ctype.h>
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
#include "conf/conf_missing.h"
#include "conf/conf_snapshot.h"
#include "service/check_missing.h"
#include "service/spawned.h"

enum { AT_A_TIME = 8, OUTPUT_MAX = 64 * 1024 };

struct complaint {
    const struct conf_service *service;
    char *text;
    bool is_error;
    bool of_service; /* about this service, and no other */
};

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
    VEC(struct complaint) complaints;
    struct hash *blamed; /* parameters of which the administrator knows */
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

/* Behind the place in main.cf, if that is there. */
static struct str without_place(struct str text)
{
    static const char place[] = "/main.cf, line ";
    ptrdiff_t at = str_search(text, STR(place));
    ptrdiff_t end = at < 0 ? -1 : str_search(str_from(text, (size_t)at + strlen(place)), STR(": "));

    if (text.n == 0 || text.p[0] != '/' || end < 0)
        return text;
    return str_from(text, (size_t)at + strlen(place) + (size_t)end + 2);
}

bool check_start_parameter(struct buf *name, struct str complaint)
{
    struct str text = without_place(complaint);
    size_t n = 0;

    if (str_starts(text, STR("-o ")))
        text = str_from(text, strlen("-o "));
    while (n < text.n && (isalnum((unsigned char)text.p[n]) || text.p[n] == '_'))
        n++;
    buf_set(name, str_upto(text, n));
    return n > 0 && buf_ok(name) && conf_find_raw(buf_str(name), NULL) != NULL;
}

static bool is_option(const struct conf_service *s, const char *name)
{
    for (size_t i = 0; i < s->noptions; i++)
        if (strcmp(s->options[i].name, name) == 0)
            return true;
    return false;
}

/* The line in main.cf, where the program has not said it, or -o. */
static void add_place(struct buf *out, const struct conf_service *s, struct str text)
{
    struct buf name = BUF(PARAMETER_MAX); /* asked: by check_start_parameter */

    if (check_start_parameter(&name, text) && without_place(text).n == text.n) {
        if (is_option(s, name.p))
            buf_addz(out, "-o ");
        else if (conf_line(name.p) > 0)
            buf_addf(out, "%s/main.cf, line %u: ", conf_dir(), conf_line(name.p));
    }
    buf_free(&name);
}

/* What is behind "name = value: ", if the value is that of main.cf. */
static struct str reason_of(struct str text)
{
    struct buf name = BUF(PARAMETER_MAX), place = BUF(OUTPUT_MAX); /* asked: name, by the next */

    text = without_place(text);
    if (check_start_parameter(&name, text))
        buf_addf(&place, "%s = %s: ", name.p, conf_find_raw(buf_str(&name), NULL));
    if (buf_ok(&place) && str_starts(text, buf_str(&place)))
        text = str_from(text, place.n);
    buf_free(&name);
    buf_free(&place);
    return text;
}

static bool is_blamed(const struct trials *t, struct str text)
{
    struct buf name = BUF(PARAMETER_MAX); /* asked: by check_start_parameter */
    bool blamed =
        check_start_parameter(&name, text) && hash_find(t->blamed, buf_str(&name)) != NULL;

    buf_free(&name);
    return blamed;
}

static void complain(struct trials *t, const struct conf_service *s, struct str text, bool is_error)
{
    struct buf whole = BUF_TEXT(OUTPUT_MAX);

    add_place(&whole, s, text);
    buf_add(&whole, text);
    *VEC_ADD(&t->complaints) = (struct complaint){s, buf_take(&whole), is_error, false};
    t->good = t->good && !is_error;
}

/* The start would fail. */
static void tell(struct trials *t, const struct conf_service *s, struct str text)
{
    complain(t, s, text, true);
}

/* The start failed, or was not tried at all, and nobody but us says so. */
static void tell_ourselves(struct trials *t, const struct conf_service *s, struct str text)
{
    complain(t, s, text, true);
    t->complaints.at[t->complaints.n - 1].of_service = true;
}

/* It starts, but something is amiss. */
static void mention(struct trials *t, const struct conf_service *s, struct str text)
{
    static const char unsupported[] = "unsupported dictionary type: ";
    /* Of tables that nobody has built, "pombal check" says how to build them. */
    bool is_unbuilt = str_starts(text, STR("open database ")) && str_search(text, STR(".db: ")) > 0;
    /* check_missing.h has said what this means for mail. */
    bool is_missing = str_starts(text, STR(unsupported)) &&
                      conf_missing_find(MISSING_TABLE, str_from(text, strlen(unsupported))) != NULL;

    if (!is_unbuilt && !is_missing)
        complain(t, s, text, false);
}

/* The same fault is seen by several services, and once more where a parameter refers to the one
 * that has it: it is told once, with its line in main.cf if that is known. */
static bool is_told(const struct trials *t, size_t i)
{
    struct str text = strz(t->complaints.at[i].text), reason = reason_of(text);
    bool has_line = without_place(text).n < text.n, bare = reason.n == text.n;

    for (size_t j = 0; j < t->complaints.n && !t->complaints.at[i].of_service; j++) {
        struct str other = strz(t->complaints.at[j].text);
        bool better = !has_line && without_place(other).n < other.n;
        if (j < i && (str_eq(other, text) || (!has_line && str_eq(reason_of(other), reason))))
            return true;
        if (j != i && str_ends(other, reason) && (better || (bare && other.n > text.n)))
            return true;
    }
    return is_blamed(t, text);
}

static void tell_all(struct trials *t)
{
    VEC_EACH (&t->todo, s)
        for (size_t i = 0; i < t->complaints.n; i++) {
            const struct complaint *c = &t->complaints.at[i];
            if (c->service == *s && !is_told(t, i))
                (c->is_error ? msg_error : msg_warn)("%s/master.cf, line %u: service %s: %s",
                                                     conf_dir(), (*s)->first_line, (*s)->name,
                                                     c->text);
        }
    VEC_EACH (&t->complaints, c)
        free(c->text);
    VEC_FREE(&t->complaints);
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
        tell_ourselves(t, one->service, STR("its start cannot be tried: no more descriptors"));
        return;
    }
    msg_flush();
    one->pid = fork();
    if (one->pid == 0)
        check_start_run(one->service, ends[1]);
    close(ends[1]);
    one->fd = ends[0];
    if (one->pid < 0) {
        tell_ourselves(t, one->service, STR("its start cannot be tried: no more processes"));
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
        tell_ourselves(t, one->service,
                       STR("it did not try its start within service_check_timeout"));
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

bool check_starts(const struct conf_master *cf, struct hash *blamed)
{
    struct trials t = {
        .deadline = clock_ms() + conf.service_check_timeout * 1000, .blamed = blamed, .good = true};

    for (size_t i = 0; i < cf->n; i++) {
        const struct conf_service *s = &cf->at[i];
        if (!conf_master_disabled(s) && !conf_master_again(cf, s) &&
            service_has_program(s->command) && !is_tried(&t, s))
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
    tell_all(&t);
    VEC_FREE(&t.todo);
    return t.good;
}
