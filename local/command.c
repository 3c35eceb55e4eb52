#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/dsn.h"
#include "service/runner.h"
#include "task/task.h"

#include "content.h"

enum { BLOCK = 64 * 1024 };

/* The message on its way into the file that is the command's input. */
struct input {
    const struct command *c;
    int fd;
    bool line_start;
    int error;
    struct buf out;
};

static void flush(struct input *in)
{
    if (in->error == 0 && file_write_all(in->fd, in->out.p, in->out.n) < 0)
        in->error = errno;
    buf_clear(&in->out);
}

static void put(struct input *in, struct str bytes)
{
    while (bytes.n > 0) {
        struct str part = str_upto(bytes, BLOCK);
        if (in->out.n + part.n > BLOCK)
            flush(in);
        buf_add(&in->out, part);
        bytes = str_from(bytes, part.n);
    }
}

static bool put_piece(void *arg, struct str bytes)
{
    struct input *in = arg;

    if (str_eqz(bytes, "\n")) {
        put(in, strz(in->c->eol));
        in->line_start = true;
    } else if (bytes.n > 0) {
        if (in->line_start && in->c->quote_from && str_starts(bytes, STR("From ")))
            put(in, STR(">"));
        if (in->line_start && in->c->quote_dot && bytes.p[0] == '.')
            put(in, STR("."));
        put(in, bytes);
        in->line_start = false;
    }
    return in->error == 0;
}

static void put_prepend(struct input *in)
{
    struct str rest = strz(in->c->prepend), line;

    while (rest.n > 0 && str_split(&rest, '\n', &line)) {
        put(in, line);
        put(in, strz(in->c->eol));
    }
}

/* A file without a name: the command may read as much as it likes, when it likes. */
static int make_input(struct job *job, const struct command *c, struct why *why)
{
    /* fits: put flushes before it would pass BLOCK */
    struct input in = {.c = c, .line_start = true, .out = BUF(2 * BLOCK)};
    int status;

    in.fd = memfd_create("message", MFD_CLOEXEC);
    if (in.fd < 0)
        return why_errno(why, "4.3.0", "input of a command");
    put_prepend(&in);
    status = content_copy(job, put_piece, &in, why);
    if (status == 0 && c->blank_at_end)
        put(&in, strz(c->eol));
    flush(&in);
    if (in.error != 0) {
        errno = in.error;
        status = why_errno(why, "4.3.0", "input of a command");
    }
    buf_free(&in.out);
    if (status == 0 && lseek(in.fd, 0, SEEK_SET) == 0)
        return in.fd;
    close(in.fd);
    return -1;
}

/* What the command says, read by a task of its own while it runs. */
struct output {
    int fd;
    struct buf text;
    struct task *reader, *waiter;
    bool ended;
};

/* One that speaks without end must neither keep the process for itself nor outlive the wait. */
static void read_output(void *arg)
{
    enum { READS_A_TURN = 16 };
    struct output *o = arg;
    char block[1024];

    for (unsigned reads = 1; !task_is_cancelled(); reads++) {
        ssize_t n = read(o->fd, block, sizeof block);
        if (n > 0) {
            size_t room = o->text.max - o->text.n;
            buf_add(&o->text, (struct str){block, (size_t)n < room ? (size_t)n : room});
            if (reads % READS_A_TURN == 0)
                task_yield();
        } else if (n == 0 || errno != EAGAIN || task_wait_fd(o->fd, POLLIN, 0) != WAIT_READY)
            break;
    }
    o->ended = true;
    if (o->waiter != NULL)
        task_wake(o->waiter);
}

/* What the command left running may hold the pipe open: nobody waits for that. */
static void finish_output(struct output *o)
{
    if (!o->ended) {
        o->waiter = task_self();
        task_park(task_now() + 50);
        if (!o->ended)
            task_cancel(o->reader);
        while (!o->ended)
            task_park_anyway(0);
    }
    task_close(o->fd);
}

static void clean(struct buf *text)
{
    while (text->n > 0 && strchr(" \t\r\n", text->p[text->n - 1]) != NULL)
        buf_cut(text, text->n - 1);
    for (size_t i = 0; i < text->n; i++)
        if (text->p[i] == '\n' || text->p[i] == '\r' || text->p[i] == '\t')
            text->p[i] = ' ';
}

static int judge(const struct command *c, int status, struct buf *said, struct why *why)
{
    char code[10];
    bool listed;

    clean(said);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFSIGNALED(status))
        return why_set(why, "4.3.0", "Command died with signal %d: \"%s\"%s%s", WTERMSIG(status),
                       c->shown, said->n > 0 ? ". Command output: " : "", said->p);
    size_t n = dsn_prefix(buf_str(said), code);
    if (n > 0) /* Postfix's rule, whatever the status is; a class of success is no reason to fail */
        return why_set(why, code[0] != '2' ? code : "5.0.0", "%s",
                       said->p + n + strspn(said->p + n, " "));
    const char *text = dsn_of_exit(WEXITSTATUS(status), code, &listed);
    if (!listed)
        return why_set(why, "5.3.0", "Command died with status %d: \"%s\"%s%s", WEXITSTATUS(status),
                       c->shown, said->n > 0 ? ". Command output: " : "", said->p);
    return why_set(why, code, "%s%s%s", text, said->n > 0 ? ". Command output: " : "", said->p);
}

static int command_execute(const struct command *c, int in, int out_read, int out_write,
                           struct why *why)
{
    /* fits: read_output adds what there is room for */
    struct output o = {.fd = out_read, .text = BUF((size_t)conf.command_output_limit)};
    struct run r = {
        .uid = c->uid,
        .gid = c->gid,
        .argv = c->argv,
        .env = c->env,
        .root = c->root,
        .dir = *c->dir != 0 ? c->dir : "/",
        .in = in,
        .out = out_write,
        .deadline_ms = task_now() + c->time_limit_s * 1000,
    };
    int wait_status = 0;

    o.reader = task_start("command", read_output, &o);
    int status = runner_run(&r, &wait_status, why);
    close(out_write);
    finish_output(&o);
    if (status == 0)
        status = judge(c, wait_status, &o.text, why);
    else if (why != NULL && str_starts(buf_str(&why->text), STR("Command time limit exceeded")))
        /* Later, where Postfix bounces: a filter that hangs today may not tomorrow. */
        why_set(why, "4.3.0", "Command time limit exceeded: \"%s\"", c->shown);
    buf_free(&o.text);
    return status;
}

int command_run(struct job *job, const struct command *c, struct why *why)
{
    int pipes[2];
    int in = make_input(job, c, why);

    if (in < 0)
        return -1;
    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0) {
        close(in);
        return why_errno(why, "4.3.0", "pipe");
    }
    int status = command_execute(c, in, pipes[0], pipes[1], why);
    close(in);
    return status;
}

const char **command_words(struct arena *mem, const char *line)
{
    /* What a shell would do something with, and what only a shell knows. */
    static const char *const builtins[] = {
        "cd",    "exec", "exit", "eval", "export", "if",    "for",   "case",   "test", "while",
        "umask", "trap", "set",  "read", "wait",   "until", "unset", "ulimit", "shift"};
    struct str rest = strz(line), word;
    const char **argv = arena_array(mem, strlen(line) / 2 + 2, sizeof *argv);
    size_t n = 0;

    if (strpbrk(line, "\"'`$&*(){}[]|\\;<>?~#\n=") != NULL)
        return NULL;
    while (str_word(&rest, " \t", &word))
        argv[n++] = arena_strz(mem, word);
    for (size_t i = 0; n > 0 && i < sizeof builtins / sizeof *builtins; i++)
        if (strcmp(argv[0], builtins[i]) == 0)
            return NULL;
    return n > 0 ? argv : NULL;
}

const char *const *command_argv(struct arena *mem, const char *line, const char *shell)
{
    const char **argv = *shell == 0 ? command_words(mem, line) : NULL;
    struct str rest = strz(shell), word;
    size_t n = 0;

    if (argv != NULL)
        return argv;
    argv = arena_array(mem, strlen(shell) / 2 + 5, sizeof *argv);
    while (str_word(&rest, " \t", &word))
        argv[n++] = arena_strz(mem, word);
    if (n == 0) {
        argv[n++] = "/bin/sh";
        argv[n++] = "-c";
    }
    argv[n] = line;
    return argv;
}

void command_env_put(struct command_env *e, const char *name, const char *value, const char *filter)
{
    if (e->n + 1 >= sizeof e->at / sizeof *e->at)
        return;
    char *text = arena_printf(e->mem, "%s=%s", name, value);
    for (char *p = strchr(text, '=') + 1; filter != NULL && *p != 0; p++)
        if (strchr(filter, *p) == NULL)
            *p = '_';
    e->at[e->n++] = text;
}

void command_env_export(struct command_env *e)
{
    struct str rest = strz(conf.export_environment), word;

    while (str_word(&rest, ", \t", &word)) {
        ptrdiff_t equals = str_find(word, '=');
        const char *name = arena_strz(e->mem, str_upto(word, equals < 0 ? word.n : (size_t)equals));
        const char *value =
            equals < 0 ? getenv(name) : arena_strz(e->mem, str_from(word, (size_t)equals + 1));
        if (value != NULL)
            command_env_put(e, name, value, NULL);
    }
}
