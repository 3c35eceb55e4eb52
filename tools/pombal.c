/*
 * NAME
 *   pombal - control of the mail system
 *
 * SYNOPSIS
 *   pombal [-c config_dir] [-v] start | start-fg | stop | abort | reload | flush | check | status |
 *   version
 *
 * DESCRIPTION
 *   Installed also as postfix, whose commands these are.
 *
 *   start      checks, then starts the mail system in the background; returns when it takes mail.
 *              postsuper(1) mends the queue before that
 *   start-fg   the same in the foreground, for containers and service managers
 *   stop       stops it in an orderly way; returns when all its processes have gone
 *   abort      stops it at once; no accepted mail is lost by that
 *   reload     new processes read the new configuration, the present ones finish their clients;
 *              mends the queue, whose directories may be hashed in another way
 *   flush      tries all deferred mail now
 *   check      makes missing directories, mends the queue, and says what else is wrong and how to
 *              mend it
 *   status     is it running; with -v also the counters of each process
 *   version    of this program, and of Postfix, whose behaviour it has
 *
 *   Exit status 0: done; 1: not, and a line says why.
 *
 * SEE ALSO
 *   master(8), postconf(1), postqueue(1)
 */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_snapshot.h"
#include "service/openlog.h"

#include "pombal_check.h"
#include "pombal_status.h"
#include "running.h"

enum {
    STOP_WAIT_MS = 15000, /* master itself takes at most ten seconds */
    RELOAD_WAIT_MS = 10000,
    LOOK_MS = 20,
};

static struct {
    const char *name; /* as it was called: pombal or postfix */
    const char *dir;
    bool verbose;
    char checked[30]; /* the number of the configuration that was checked, for master */
} self;

static pid_t running(void)
{
    pid_t pid = running_master();

    if (pid < 0)
        msg_fatal("look at master's pid file: %m");
    return pid;
}

static void need_running(pid_t pid)
{
    if (pid == 0)
        msg_fatal("the Postfix mail system is not running");
}

static void program_path(struct buf *path, const char *dir, const char *name)
{
    buf_addf(path, "%s/%s", dir, name);
}

static void __attribute__((noreturn)) become(const char *dir, const char *const *argv)
{
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(4096);

    program_path(&path, dir, argv[0]);
    msg_flush();
    execv(path.p, (char *const *)(uintptr_t)argv);
    msg_fatal("exec %s: %m", path.p);
}

static int pombal_run(const char *dir, const char *const *argv)
{
    int status;

    pid_t pid = fork();
    if (pid == 0)
        become(dir, argv);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        msg_fatal("start %s: %m", argv[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Files under a wrong name, for example of a queue that was copied, and those that a writer which
 * died has left unfinished. */
static bool mend_queue(void)
{
    const char *argv[] = {"postsuper", "-c", conf_dir(), NULL};

    return pombal_run(conf.command_directory, argv) == 0;
}

static void tell_error(void *arg, struct why *why)
{
    (void)arg;
    msg_error("%s", why_text(why));
}

static void load(const char *dir)
{
    if (conf_load_telling(dir, NULL, NULL, tell_error, NULL) < 0)
        msg_fatal("the configuration cannot be used: see the errors above");
}

/* What is checked is a copy of the files: an edit meanwhile is not taken for checked. */
static bool check(void)
{
    struct conf_snapshot copy;
    struct why why = WHY;

    if (conf_snapshot_take(conf_dir(), &copy, &why) < 0)
        msg_fatal("%s", why_text(&why));
    conf_snapshot_use(copy);
    load(conf_dir());
    snprintf(self.checked, sizeof self.checked, "%u", conf_snapshot_number(copy));
    why_free(&why);
    return pombal_check();
}

static void prepare_start(void)
{
    pid_t pid = running();

    if (pid != 0)
        msg_fatal("the Postfix mail system is already running: PID: %d", (int)pid);
    if (!check() || !mend_queue())
        msg_fatal("the Postfix mail system cannot start: see the errors above");
    msg_info("starting the Postfix mail system");
}

static int cmd_start(void)
{
    const char *argv[] = {"master", "-c", conf_dir(), "-w", "-C", self.checked, NULL};

    prepare_start();
    argv[2] = conf_dir();
    if (pombal_run(conf.daemon_directory, argv) != 0)
        msg_fatal("mail system startup failed: see the log%s%s",
                  conf.maillog_file[0] != 0 ? " in " : "", conf.maillog_file);
    return 0;
}

static int cmd_start_fg(void)
{
    prepare_start();
    become(conf.daemon_directory,
           (const char *const[]){"master", "-c", conf_dir(), getpid() == 1 ? "-i" : "-s", "-C",
                                 self.checked, NULL});
}

static bool ended(int64_t deadline)
{
    while (running() != 0) {
        if (clock_ms() > deadline)
            return false;
        usleep(LOOK_MS * 1000);
    }
    return true;
}

static int end_with(int signo)
{
    pid_t pid = running();

    need_running(pid);
    msg_info("%s the Postfix mail system", signo == SIGQUIT ? "aborting" : "stopping");
    if (kill(pid, signo) < 0)
        msg_fatal("signal process %d: %m", (int)pid);
    if (ended(clock_ms() + STOP_WAIT_MS))
        return 0;
    msg_warn("process %d does not end; it is killed, and its processes with it", (int)pid);
    kill(pid, SIGKILL);
    return ended(clock_ms() + STOP_WAIT_MS) ? 0 : 1;
}

static int cmd_stop(void)
{
    return end_with(SIGTERM);
}

static int cmd_abort(void)
{
    return end_with(SIGQUIT);
}

/* When master started or last came to the end of a reload. */
static int64_t master_time_ns(void)
{
    struct buf path = BUF(4096); /* asked: by running_path */
    struct stat st = {0};

    running_path(&path);
    if (stat(path.p, &st) < 0 && errno != ENOENT)
        msg_warn("look at %s: %m", path.p);
    buf_free(&path);
    return clock_ns(&st.st_mtim);
}

/* Until it has told its processes, they put files where the settings of before say. */
static void wait_reloaded(int64_t before_ns)
{
    int64_t until = clock_ms() + RELOAD_WAIT_MS;

    while (master_time_ns() == before_ns && clock_ms() < until)
        usleep(LOOK_MS * 1000);
}

static int cmd_reload(void)
{
    pid_t pid = running();
    int64_t before_ns = master_time_ns();

    need_running(pid);
    if (!check())
        msg_fatal("the Postfix mail system keeps its old configuration: see the errors above");
    msg_info("refreshing the Postfix mail system");
    union sigval checked = {.sival_int = (int)conf_snapshot_number(conf_snapshot_used())};
    if (sigqueue(pid, SIGHUP, checked) < 0)
        msg_fatal("signal process %d: %m", (int)pid);
    wait_reloaded(before_ns);
    /* hash_queue_depth may be another one, for example: under the old names nothing is found. */
    if (!mend_queue())
        msg_warn("some files of the queue are not in their places: see the errors above");
    return 0;
}

static int cmd_flush(void)
{
    need_running(running());
    become(conf.command_directory,
           (const char *const[]){"postqueue", "-c", conf_dir(), "-f", NULL});
}

static int cmd_check(void)
{
    return check() && mend_queue() ? 0 : 1;
}

static int cmd_status(void)
{
    pid_t pid = running();

    need_running(pid);
    msg_info("the Postfix mail system is running: PID: %d", (int)pid);
    pombal_status_print(self.verbose);
    return 0;
}

static int cmd_version(void)
{
    printf("Pombal %s, with the behaviour of Postfix %s\n", POMBAL_VERSION, conf.mail_version);
    return 0;
}

static const struct command {
    const char *name;
    int (*fn)(void);
    bool may_anybody; /* and is not logged */
} commands[] = {
    {"start", cmd_start, false}, {"start-fg", cmd_start_fg, false}, {"stop", cmd_stop, false},
    {"abort", cmd_abort, false}, {"reload", cmd_reload, false},     {"flush", cmd_flush, false},
    {"check", cmd_check, false}, {"status", cmd_status, true},      {"version", cmd_version, true},
};

static void __attribute__((noreturn)) usage(void)
{
    fprintf(stderr,
            "usage: %s [-c config_dir] [-v] "
            "start|start-fg|stop|abort|reload|flush|check|status|version\n",
            self.name);
    exit(1);
}

static const struct command *pombal_find(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    usage();
}

static const struct command *parse_arguments(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    int option;

    self.name = slash != NULL ? slash + 1 : argv[0];
    msg_open(self.name);
    while ((option = getopt(argc, argv, "c:vD")) != -1)
        switch (option) {
        case 'c':
            self.dir = optarg;
            break;
        case 'v':
            self.verbose = true;
            break;
        case 'D':
            break;
        default:
            usage();
        }
    if (optind != argc - 1)
        usage();
    return pombal_find(argv[optind]);
}

int main(int argc, char **argv)
{
    const struct command *command = parse_arguments(argc, argv);

    load(self.dir);
    if (!command->may_anybody)
        service_open_log("postfix-script", LOG_TOOL, true);
    return command->fn();
}
