/*
 * Where lines of the log go.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syslog.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/msg_inside.h"

enum { HELD_LIMIT = 32 * 1024 }; /* also the largest datagram */

static const struct {
    const char *name; /* for msg_capture */
    const char *prefix; /* as Postfix writes it */
    int priority;
} levels[] = {
    [MSG_INFO] = {"info", "", LOG_INFO},
    [MSG_WARNING] = {"warning", "warning: ", LOG_WARNING},
    [MSG_ERROR] = {"error", "error: ", LOG_ERR},
    [MSG_FATAL] = {"fatal", "fatal: ", LOG_CRIT},
    [MSG_PANIC] = {"panic", "panic: ", LOG_CRIT},
};

const char msg_month[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct msg_out msg_out = {.name = "pombal",
                          .fd = -1,
                          .facility = LOG_MAIL,
                          .to_stderr = true,
                          .wait_ms = 1000,
                          .lines = {buf_none, 0, 0, HELD_LIMIT, false, false}};

const char *msg_host(void)
{
    static char name[65];
    if (name[0] == 0) {
        if (gethostname(name, sizeof name - 1) < 0 || name[0] == 0)
            snprintf(name, sizeof name, "localhost");
        name[strcspn(name, ".")] = 0;
    }
    return name;
}

/* Asked once in each process: it stands in every line. */
static struct {
    pid_t pid;
    bool watched;
} own;

static void forget_pid(void)
{
    own.pid = 0;
}

static pid_t own_pid(void)
{
    if (!own.watched)
        own.watched = pthread_atfork(NULL, NULL, forget_pid) == 0;
    if (own.pid == 0 || !own.watched)
        own.pid = getpid();
    return own.pid;
}

void msg_open(const char *name)
{
    snprintf(msg_out.name, sizeof msg_out.name, "%s", name);
    msg_host(); /* for msg_from_handler */
}

static void use(int fd, enum msg_where where)
{
    msg_out.fd = fd;
    msg_out.where = where;
    msg_out.to_stderr = false;
}

int msg_to_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    use(fd, MSG_TO_FILE);
    return 0;
}

void msg_to_fd(int fd)
{
    use(fd, MSG_TO_FILE);
}

void msg_to_postlogd(int fd)
{
    use(fd, MSG_TO_POSTLOGD);
}

void msg_wait(int ms)
{
    msg_out.wait_ms = ms;
    msg_out.no_wait_until = 0;
}

int msg_syslog_connect(int fd)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};

    return connect(fd, (struct sockaddr *)&to, sizeof to);
}

/* A new socket, connected if there is a daemon; -1 and errno. */
static int open_syslog(bool *connected)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *connected = fd >= 0 && msg_syslog_connect(fd) == 0;
    return fd;
}

int msg_syslog_open(void)
{
    bool connected;

    return open_syslog(&connected);
}

void msg_to_syslog_by(int fd)
{
    use(fd, MSG_TO_SYSLOG);
}

bool msg_to_syslog(void)
{
    bool connected;
    int fd = open_syslog(&connected);

    if (fd >= 0)
        use(fd, MSG_TO_SYSLOG);
    return connected;
}

void msg_facility(const char *name)
{
    static const struct {
        const char *name;
        int facility;
    } known[] = {{"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},
                 {"daemon", LOG_DAEMON}, {"kern", LOG_KERN},         {"lpr", LOG_LPR},
                 {"mail", LOG_MAIL},     {"news", LOG_NEWS},         {"security", LOG_AUTH},
                 {"syslog", LOG_SYSLOG}, {"user", LOG_USER},         {"uucp", LOG_UUCP},
                 {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},     {"local2", LOG_LOCAL2},
                 {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},     {"local5", LOG_LOCAL5},
                 {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}};

    msg_out.facility = LOG_MAIL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            msg_out.facility = known[i].facility;
}

void msg_to_stderr(bool on)
{
    msg_out.to_stderr = on;
}

int msg_fd(void)
{
    return msg_out.fd;
}

void msg_hold(void)
{
    msg_out.held = true;
}

/* One datagram. A receiver whose queue is full (net.unix.max_dgram_qlen may be 10) is waited for,
 * but not again and again: mail comes first. */
static bool send_datagram(const char *p, size_t n)
{
    int64_t now = clock_ms(), until = now + (now >= msg_out.no_wait_until ? msg_out.wait_ms : 0);

    for (;;) {
        if (send(msg_out.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return true;
        if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
            return false;
        now = clock_ms();
        if (now >= until)
            break;
        struct pollfd room = {.fd = msg_out.fd, .events = POLLOUT};
        poll(&room, 1, (int)(until - now));
    }
    if (now >= msg_out.no_wait_until)
        msg_out.no_wait_until = now + 10 * (int64_t)msg_out.wait_ms;
    return false;
}

static void say_dropped(void);

/* Lines that postlogd did not take are kept while there is room. */
static void flush_to_postlogd(void)
{
    if (!send_datagram(msg_out.lines.p, msg_out.lines.n))
        return;
    buf_clear(&msg_out.lines);
    msg_out.no_wait_until = 0;
    say_dropped();
}

void msg_flush(void)
{
    if (msg_out.lines.n == 0)
        return;
    if (msg_out.where == MSG_TO_POSTLOGD) {
        flush_to_postlogd();
        return;
    }
    ssize_t n = write(msg_out.fd, msg_out.lines.p, msg_out.lines.n);
    (void)n; /* a full disk must not stop the mail */
    buf_clear(&msg_out.lines);
}

size_t msg_held(void)
{
    return msg_out.lines.n;
}

static void stamp(struct buf *line)
{
    static struct { /* a cache of pure text: localtime_r once a second */
        int64_t second;
        char text[20];
    } last;
    int64_t now = clock_wall();

    if (now != last.second) {
        struct tm tm;
        clock_local(now, &tm, &msg_out.utc_offset);
        snprintf(last.text, sizeof last.text, "%s %2d %02d:%02d:%02d", msg_month[tm.tm_mon % 12],
                 tm.tm_mday % 100, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
        last.second = now;
    }
    buf_addz(line, last.text);
}

void msg_stamp_host(struct buf *line)
{
    stamp(line);
    buf_addc(line, ' ');
    buf_addz(line, msg_host());
    buf_addc(line, ' ');
}

void msg_who(struct buf *out)
{
    buf_addf(out, "%s[%d]", msg_out.name, (int)own_pid());
}

static void put_who(struct buf *line, const char *who)
{
    if (who != NULL)
        buf_addz(line, who);
    else
        msg_who(line);
}

static void emit_to_syslog(enum msg_level level, const char *who, const char *text)
{
    struct buf line = BUF_TEXT(MSG_LINE_LIMIT + 200);

    buf_addf(&line, "<%d>", msg_out.facility | levels[level].priority);
    stamp(&line);
    buf_addc(&line, ' ');
    put_who(&line, who);
    buf_addf(&line, ": %s%s", levels[level].prefix, text);
    if (send_datagram(line.p, line.n))
        say_dropped();
    else
        msg_out.dropped++;
    buf_free(&line);
}

/* To the file with time and host; postlogd adds these itself. */
static void emit_line(enum msg_level level, const char *who, const char *text)
{
    struct buf line = BUF_TEXT(MSG_LINE_LIMIT + 200);

    if (msg_out.where == MSG_TO_FILE)
        msg_stamp_host(&line);
    put_who(&line, who);
    buf_addf(&line, ": %s%s", levels[level].prefix, text);
    if (line.n + 1 > msg_out.lines.max - msg_out.lines.n)
        msg_flush();
    if (line.n + 1 <= msg_out.lines.max - msg_out.lines.n) {
        buf_add(&msg_out.lines, buf_str(&line));
        buf_addc(&msg_out.lines, '\n');
    } else {
        msg_out.dropped++;
    }
    buf_free(&line);
    if (!msg_out.held || level != MSG_INFO)
        msg_flush();
}

void msg_put(enum msg_level level, const char *who, const char *text)
{
    if (msg_out.sink != NULL) {
        msg_out.sink(levels[level].name, text);
        return;
    }
    if (msg_out.to_stderr) {
        /* People know which suite they are talking to: "postsuper: ...", without "postfix/". */
        const char *slash = strrchr(msg_out.name, '/');
        dprintf(STDERR_FILENO, "%s: %s%s\n", slash != NULL ? slash + 1 : msg_out.name,
                levels[level].prefix, text);
    }
    if (msg_out.fd < 0)
        return;
    if (msg_out.where == MSG_TO_SYSLOG)
        emit_to_syslog(level, who, text);
    else
        emit_line(level, who, text);
}

static void say_dropped(void)
{
    char text[100];
    uint64_t n = msg_out.dropped;

    if (n == 0)
        return;
    msg_out.dropped = 0;
    snprintf(text, sizeof text, "%llu lines of the log were dropped: %s", (unsigned long long)n,
             msg_out.where == MSG_TO_SYSLOG ? "the syslog daemon was away, or busy"
                                            : "it was not read fast enough");
    msg_put(MSG_WARNING, NULL, text);
}

/* Worth one more wait. */
void msg_last_flush(void)
{
    msg_out.no_wait_until = 0;
    msg_flush();
}

void msg_capture(msg_sink *sink)
{
    msg_out.sink = sink;
}
