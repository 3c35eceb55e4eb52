/*
 * NAME
 *   postlogd - writes the log file
 *
 * DESCRIPTION
 *   Where maillog_file names a file, postlogd is the process that has it open. Daemons send their
 *   lines to private/postlog, a socket that only root may open, before they give up their rights;
 *   sendmail and other tools send theirs to public/postlog. Postlogd adds time and host and appends
 *   the lines to the file. Master starts it before the other services and ends it after them.
 *
 *   The kernel tells the process and user that each datagram comes from. A line whose name or
 *   process id is not that of its sender is logged with the sender's own in front (the rules are in
 *   lib/service/log_line.h). A line is cut at 2,000 bytes and its control characters become "?".
 *
 * SECURITY
 *   Reads untrusted bytes and does nothing with them but that. It runs as the mail owner, with the
 *   log file open for appending; of other files it can read only the names of running programs, in
 *   /proc.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "conf/conf_master.h"
#include "service/jail.h"
#include "service/log_line.h"
#include "service/service.h"
#include "task/task.h"

enum { OUT_LIMIT = 1024 * 1024 }; /* far more than the lines of a datagram with all that is added */

enum { PROGRAMS = 1024, PROGRAM_ROOM = 20, REMEMBER_MS = 1000 };

/* What ran under a pid a moment ago: a number is not given to another process so soon. */
struct program {
    pid_t pid;
    int64_t until_ms;
    char name[PROGRAM_ROOM];
};

static struct {
    struct program programs[PROGRAMS]; /* by the pid's remainder */
    int proc; /* the directory; -1: there is none */
    VEC(char *) daemons; /* names of programs */
    struct buf out;
    struct buf line; /* a BUF_TEXT */
} state = {.proc = -1,
           .out = {buf_none, 0, 0, OUT_LIMIT, false, false},
           .line = {buf_none, 0, 0, 4096, false, true}};

static bool is_daemon(struct str program)
{
    VEC_EACH (&state.daemons, name)
        if (str_eqz(program, *name))
            return true;
    return str_eqz(program, "master");
}

static void postlogd_open_all(void)
{
    struct conf_master cf = {0};
    struct why why = WHY;

    state.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (conf_master_load(&cf, &why) < 0)
        msg_fatal("%s", why_text(&why));
    for (size_t i = 0; i < cf.n; i++)
        *VEC_ADD(&state.daemons) = strdup(cf.at[i].command);
    conf_master_free(&cf);
    why_free(&why);
}

static void postlogd_paths(void)
{
    jail_read("/proc");
}

/* The name of the program that runs under this pid, in room bytes; empty: none to be seen. */
static void find_program(pid_t pid, char *name, size_t room)
{
    struct buf path = BUF(40);

    name[0] = 0;
    buf_addf(&path, "%d/comm", (int)pid);
    int fd = state.proc >= 0 && pid > 0 && buf_ok(&path)
                 ? openat(state.proc, path.p, O_RDONLY | O_CLOEXEC)
                 : -1;
    buf_free(&path);
    if (fd < 0)
        return;
    ssize_t n = read(fd, name, room - 1);
    close(fd);
    name[n > 0 ? n : 0] = 0;
    name[strcspn(name, "\n")] = 0;
}

/* As find_program, but /proc is not asked for each line. */
static void find_remembered(pid_t pid, char *name, size_t room)
{
    struct program *p = &state.programs[(unsigned)pid % PROGRAMS];

    if (p->pid != pid || task_now() >= p->until_ms) {
        p->pid = pid;
        p->until_ms = task_now() + REMEMBER_MS;
        find_program(pid, p->name, sizeof p->name);
    }
    snprintf(name, room, "%s", p->name);
}

static void write_lines(void)
{
    msg_flush(); /* our own lines come before */
    if (state.out.n > 0 && msg_fd() >= 0 && file_write_all(msg_fd(), state.out.p, state.out.n) < 0)
        msg_warn("write to the log: %m");
    buf_clear(&state.out);
}

/* A line, or several that were written together. */
static void datagram(struct str bytes, const struct service_sender *sender)
{
    char program[PROGRAM_ROOM];
    struct log_sender from = {.pid = sender->pid,
                              .uid = sender->uid,
                              .is_private = sender->is_private,
                              .program = program};
    static const struct log_rules rules = {is_daemon, find_remembered};
    struct str line;

    find_remembered(sender->pid, program, sizeof program);
    if (state.out.n >= OUT_LIMIT / 2)
        write_lines();
    while (str_split(&bytes, '\n', &line)) {
        line = str_rtrim(line);
        if (line.n == 0)
            continue;
        buf_clear(&state.line);
        msg_stamp_host(&state.line);
        log_line_check(line, &from, &rules, &state.line);
        buf_add(&state.out, buf_str(&state.line));
        buf_addc(&state.out, '\n');
    }
    if (!buf_ok(&state.out))
        msg_warn("lines of process %d were too many at a time", (int)sender->pid);
}

int main(int argc, char **argv)
{
    static const struct service postlogd = {.name = "postlogd",
                                            .rights = RIGHT_READ,
                                            .alone = true,
                                            .in_queue = true,
                                            .writes_log = true,
                                            .open = postlogd_open_all,
                                            .paths = postlogd_paths,
                                            .datagram = datagram,
                                            .datagrams_end = write_lines};
    return service_main(&postlogd, argc, argv);
}
