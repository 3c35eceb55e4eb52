/*
 * NAME
 *   master - starts and restarts the programs of the mail system
 *
 * SYNOPSIS
 *   master [-Ddistvw] [-c config_dir] [-C number]
 *
 * DESCRIPTION
 *   Master reads main.cf and master.cf, makes all listening sockets, and starts a process of a
 *   service when a client comes and all its processes are full. Processes that end with an error
 *   are started again, at growing intervals up to service_throttle_time.
 *
 *   On reload the sockets stay; the present processes finish their clients and end, new ones read
 *   the new configuration. No client is refused. Until then, and if the reload is refused, all
 *   processes read main.cf and master.cf as they were when they were accepted.
 *
 *   -c config_dir  the directory of main.cf and master.cf
 *   -C number      pombal(1) says so: the configuration of that number has been checked
 *   -d, -s         stay in the foreground; the log may be /dev/stdout
 *   -i             as process 1 of a container: -s
 *   -t             test: exit 0 if no master runs on this queue directory, else 1
 *   -w             return only when all sockets are open; exit 1 if that failed
 *   -v             debug lines
 *   -D             ignored
 *
 * SECURITY
 *   Master runs as root to open ports below 1024 and to let its processes begin as root, before
 *   they give that up. It talks to no network and reads no mail; what it reads are single bytes of
 *   its processes. Started by a plain user it does all but that.
 *
 * SIGNALS
 *   SIGHUP   reload
 *   SIGTERM  stop: processes may say good-bye for some seconds
 *   SIGQUIT  abort: at once
 *
 * FILES
 *   pid/master.pid in the queue directory, master.lock and metrics in the data directory
 *
 * SEE ALSO
 *   pombal(1), master(5), postconf(5)
 */
#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "service/conf_check.h"
#include "service/jail.h"
#include "service/openlog.h"

enum {
    STOP_MS = 5000, /* processes give their tasks a second less */
    ABORT_MS = 5000,
    ORPHAN_MS = 50, /* between two looks at them */
    IDLE_MS = 3600 * 1000, /* the longest sleep */
};

struct master master = {.services = {&master.services, &master.services},
                        .metrics_fd = -1,
                        .accepted = CONF_NO_SNAPSHOT};

static struct {
    char *dir;
    bool test, wait, debug;
    int ready; /* -w: a byte here says that all is well */
    struct watch signals;
    bool reload;
    unsigned tried; /* number of the configuration whose services have tried their start already */
    int stop; /* the signal that ends all */
} self = {.ready = -1};

static unsigned number_of(const char *text)
{
    uint32_t n;
    return num_parse_u32(strz(text), 0, UINT32_MAX, &n) ? n : 0;
}

static void parse_options(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "c:C:Ddistvw")) != -1)
        switch (option) {
        case 'c':
            free(self.dir);
            self.dir = mem_dupz(optarg);
            break;
        case 'C':
            self.tried = number_of(optarg);
            break;
        case 'd':
        case 'i':
        case 's':
            master.foreground = true;
            break;
        case 't':
            self.test = true;
            break;
        case 'v':
            self.debug = true;
            break;
        case 'w':
            self.wait = true;
            break;
        case 'D':
            break;
        default:
            msg_fatal("usage: master [-Ddistvw] [-c config_dir]");
        }
}

static void load_conf(void)
{
    struct why why = WHY;

    if (conf_load(self.dir, "master", NULL, &why) < 0)
        msg_fatal("%s", why_text(&why));
    why_free(&why);
    free(self.dir);
    self.dir = mem_dupz(conf_dir()); /* absolute */
    if (chdir(conf.queue_directory) < 0)
        msg_fatal("queue_directory: chdir %s: %m", conf.queue_directory);
}

/* The parent of -w: exits as the daemon's start went. */
static void __attribute__((noreturn)) wait_until_ready(int fd)
{
    char byte;
    _exit(read(fd, &byte, 1) == 1 ? 0 : 1);
}

static void become_daemon(void)
{
    int ends[2] = {-1, -1};

    if (self.wait && pipe2(ends, O_CLOEXEC) < 0)
        msg_fatal("pipe: %m");
    msg_flush();
    pid_t pid = fork();
    if (pid < 0)
        msg_fatal("fork: %m");
    if (pid > 0) {
        if (!self.wait)
            _exit(0);
        close(ends[1]);
        wait_until_ready(ends[0]);
    }
    if (self.wait) {
        close(ends[0]);
        self.ready = ends[1];
    }
    setsid();
}

/* Standard error is where libraries and sanitizers write: into the log file, if there is one. */
static void set_stdio(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = conf.maillog_file[0] != 0 && msg_fd() > 2 ? msg_fd() : null;

    if (null < 0)
        msg_fatal("open /dev/null: %m");
    dup2(null, STDIN_FILENO);
    if (!master.foreground)
        dup2(null, STDOUT_FILENO);
    if (!master.foreground || log != null)
        dup2(log, STDERR_FILENO);
    if (null > 2)
        close(null);
}

/* That of the processes we start, until they have one of their own: they must not have the log
 * file, so it is lines of theirs. */
static void stderr_to_postlogd(void)
{
    if (msg_fd() > 2 && conf.maillog_file[0] != 0)
        service_stderr_to_postlogd();
}

/* Nothing that came from the caller's shell but the three. */
static void close_inherited(void)
{
    struct rlimit most = {.rlim_cur = 1024};

    getrlimit(RLIMIT_NOFILE, &most); /* Valgrind has its own behind the limit */
    close_range(3, (unsigned)most.rlim_cur - 1, 0);
}

/* As many descriptors as may be had, in reason: commands of users inherit it, and some of them go
 * through all. */
static void raise_limit(void)
{
    enum { PLENTY = 65536 };
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= PLENTY)
        return;
    files.rlim_cur = files.rlim_max < PLENTY ? files.rlim_max : PLENTY;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        msg_warn("setrlimit RLIMIT_NOFILE: %m");
}

static void on_signal(struct watch *w)
{
    struct signalfd_siginfo info;

    while (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info)
        switch (info.ssi_signo) {
        case SIGCHLD:
            spawn_reap();
            break;
        case SIGHUP:
            self.reload = true;
            self.tried = (unsigned)info.ssi_int;
            break;
        default:
            if (self.stop != SIGQUIT)
                self.stop = (int)info.ssi_signo;
        }
}

static void take_signals(void)
{
    static const int signals[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGQUIT};
    sigset_t set;

    sigemptyset(&set);
    /* Whoever started us may ignore some (nohup does). A process that we start inherits that, and
     * would not hear of a reload before it takes signals itself. */
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        signal(signals[i], SIG_DFL);
        sigaddset(&set, signals[i]);
    }
    sigprocmask(SIG_SETMASK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    self.signals = (struct watch){
        .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN, .fn = on_signal};
    if (self.signals.fd < 0)
        msg_fatal("signalfd: %m");
    loop_add(&self.signals);
}

static void say_limits(void)
{
    if (geteuid() != 0)
        msg_info("not started as root: no process changes its uid or root directory");
    if (jail_landlock_version() < 2)
        msg_warn("this kernel has no Landlock: processes are not confined to their paths");
}

static void say_ready(void)
{
    /* fits: a number */
    struct buf state = BUF(200);

    buf_addf(&state, "READY=1\nMAINPID=%d", (int)master.pid);
    control_notify(state.p);
    buf_free(&state);
    if (self.ready >= 0) {
        ssize_t n = write(self.ready, "", 1);
        (void)n;
        close(self.ready);
        self.ready = -1;
    }
}

/* The files as they are now, from which all that follows is read: the check, the load, and the
 * processes, if it is accepted. -1: they cannot be read. */
static int take_snapshot(struct why *why)
{
    struct conf_snapshot now;

    if (conf_snapshot_take(self.dir, &now, why) < 0)
        return -1;
    conf_snapshot_use(now);
    return 0;
}

/* Pombal(1) has let the services try their start and says so, with the number of the files. */
static bool check_snapshot(void)
{
    return conf_check(self.dir, self.tried != conf_snapshot_number(conf_snapshot_used()));
}

static void accept_snapshot(void)
{
    conf_snapshot_close(&master.accepted);
    master.accepted = conf_snapshot_used();
}

static void refuse_snapshot(void)
{
    struct conf_snapshot refused = conf_snapshot_used();

    conf_snapshot_use(master.accepted);
    conf_snapshot_close(&refused);
}

static void master_start(void)
{
    struct why why = WHY;

    master.pid = getpid();
    master.now = clock_ms();
    umask(077);
    control_lock();
    control_find_manager();
    conf_clean_environment();
    setenv("MAIL_CONFIG", conf_dir(), 1);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    take_signals();
    ids_choose();
    spawn_metrics_open();
    if (take_snapshot(&why) < 0)
        msg_fatal("%s", why_text(&why));
    if (!check_snapshot())
        msg_fatal("mail system configuration error: see the errors above");
    accept_snapshot();
    load_conf();
    if (services_load(&why) < 0)
        msg_fatal("%s", why_text(&why));
    why_free(&why);
    stderr_to_postlogd();
    spawn_log();
    conf_warn_ignored();
    msg_info("daemon started -- version %s, configuration %s", conf.mail_version, conf_dir());
    say_limits();
    say_ready();
}

static void reload(void)
{
    struct why why = WHY;
    /* fits: a number */
    struct buf state = BUF(100);

    self.reload = false;
    if (take_snapshot(&why) < 0) {
        msg_error("reload: the old configuration stays in force: %s", why_text(&why));
        why_free(&why);
        return;
    }
    if (!check_snapshot()) {
        refuse_snapshot();
        msg_error("reload: the old configuration stays in force");
        return;
    }
    accept_snapshot();
    buf_addf(&state, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_ms() * 1000);
    control_notify(state.p);
    buf_free(&state);
    load_conf();
    service_open_log("master", LOG_WRITES, master.foreground);
    set_stdio();
    msg_info("reload -- version %s, configuration %s", conf.mail_version, conf_dir());
    status_drain_all();
    if (services_load(&why) < 0)
        msg_error("%s", why_text(&why));
    why_free(&why);
    stderr_to_postlogd();
    control_notify("READY=1");
}

static int64_t earlier(int64_t a, int64_t b)
{
    return b != 0 && b < a ? b : a;
}

/* What is due, and when something will be next. */
static int64_t run_timers(void)
{
    int64_t next = earlier(master.now + IDLE_MS, log_look());

    LIST_EACH (&master.services, l) {
        struct svc *s = LIST_OF(l, struct svc, link);
        if (s->throttled_until != 0 && master.now >= s->throttled_until) {
            s->throttled_until = 0;
            status_balance(s);
        }
        if (s->stressed && master.now >= s->stressed_until)
            status_calm(s);
        wakeup_due(s);
        next = earlier(next, s->throttled_until);
        next = earlier(next, s->next_wakeup);
        next = earlier(next, s->stressed ? s->stressed_until : 0);
    }
    return next;
}

/* Is it a process of the suite? What a user's command has left running is none of our business. */
static bool is_ours(const char *pid)
{
    struct buf path = BUF(100);
    char exe[2048];
    char *dir = realpath(conf.daemon_directory, NULL);
    size_t len = dir != NULL ? strlen(dir) : 0;

    buf_addf(&path, "/proc/%s/exe", pid);
    ssize_t n = buf_ok(&path) ? readlink(path.p, exe, sizeof exe) : -1;
    bool ours = len > 0 && n > (ssize_t)len && memcmp(exe, dir, len) == 0 && exe[len] == '/';
    buf_free(&path);
    free(dir);
    return ours;
}

/* Sessions and helpers whose parent has ended are our children: prctl(PR_SET_CHILD_SUBREAPER).
 * How many were found. The log's writer is none of them. */
static size_t kill_orphans(void)
{
    struct buf path = BUF(100);
    char text[30];
    size_t found = 0;

    buf_addf(&path, "/proc/self/task/%d/children", (int)master.pid);
    FILE *f = buf_ok(&path) ? fopen(path.p, "re") : NULL;
    while (f != NULL && fscanf(f, "%20s", text) == 1) {
        int64_t pid;
        if (num_parse(strz(text), 2, INT32_MAX, &pid) && !spawn_has((pid_t)pid) && is_ours(text)) {
            kill((pid_t)pid, SIGKILL);
            found++;
        }
    }
    if (f != NULL)
        fclose(f);
    buf_free(&path);
    return found;
}

/* A process that hangs in the kernel must not keep us. */
static void end_orphans(void)
{
    int64_t until = clock_ms() + ABORT_MS;

    while (kill_orphans() > 0 && clock_ms() < until) {
        loop_turn(clock_ms() + ORPHAN_MS);
        spawn_reap();
    }
}

static void wait_for_children(bool of_log, int64_t until)
{
    while (spawn_count(of_log) > 0 && (master.now = clock_ms()) < until)
        loop_turn(until);
}

static void end_children(bool of_log, bool politely)
{
    if (politely) {
        spawn_signal(SIGTERM, of_log);
        wait_for_children(of_log, clock_ms() + STOP_MS);
    }
    spawn_signal(SIGKILL, of_log);
    wait_for_children(of_log, clock_ms() + ABORT_MS);
}

static void stop(void)
{
    int signo = self.stop;

    msg_info("terminating on signal %d", signo);
    control_notify("STOPPING=1");
    master.stopping = true;
    services_close();
    end_children(false, signo != SIGQUIT);
    end_orphans();
    end_children(true, true);
    control_unlock();
    services_free();
}

static void master_run(void)
{
    int64_t next = clock_ms();

    while (self.stop == 0) {
        loop_turn(next);
        master.now = clock_ms();
        if (self.reload) {
            reload();
            control_reloaded();
        }
        next = run_timers();
    }
    stop();
}

int main(int argc, char **argv)
{
    msg_open("postfix/master");
    close_inherited();
    parse_options(argc, argv);
    load_conf();
    if (self.test)
        return control_is_locked() ? 1 : 0;
    raise_limit();
    service_open_log("master", LOG_WRITES, master.foreground);
    if (self.debug)
        msg_debug_topics("all");
    if (!master.foreground)
        become_daemon();
    set_stdio();
    master_start();
    master_run();
    return 0;
}
