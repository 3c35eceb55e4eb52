#include "base/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syslog.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

enum { LINE_LIMIT = 2000, HELD_LIMIT = 64 * 1024, THROTTLE = 32, THROTTLE_MS = 10000 };

struct level {
    const char *name; /* for msg_capture */
    const char *prefix; /* as Postfix writes it */
    int priority;
};
static const struct level info = {"info", "", LOG_INFO};
static const struct level warning = {"warning", "warning: ", LOG_WARNING};
static const struct level error = {"error", "error: ", LOG_ERR};
static const struct level fatal = {"fatal", "fatal: ", LOG_CRIT};
static const struct level panic = {"panic", "panic: ", LOG_CRIT};

static struct {
    char name[100];
    int fd;
    bool syslog, to_stderr, held;
    struct buf lines; /* held, for a file */
    msg_sink *sink;
    int fatal_status;
    char topics[200];
    struct {
        unsigned hash;
        int64_t at;
    } said[THROTTLE];
} msg = {.name = "pombal",
         .fd = -1,
         .to_stderr = true,
         .fatal_status = 1,
         .lines = {buf_none, 0, 0, HELD_LIMIT, false}};

void msg_open(const char *name)
{
    snprintf(msg.name, sizeof msg.name, "%s", name);
}

static void use(int fd, bool is_syslog)
{
    msg.fd = fd;
    msg.syslog = is_syslog;
    msg.to_stderr = false;
}

int msg_to_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    use(fd, false);
    return 0;
}

void msg_to_fd(int fd)
{
    use(fd, false);
}

void msg_to_syslog(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        use(fd, true);
    else if (fd >= 0)
        close(fd);
}

void msg_to_stderr(bool on)
{
    msg.to_stderr = on;
}

int msg_fd(void)
{
    return msg.fd;
}

void msg_hold(void)
{
    msg.held = true;
}

void msg_flush(void)
{
    if (msg.lines.n == 0)
        return;
    ssize_t n = write(msg.fd, msg.lines.p, msg.lines.n);
    (void)n; /* a full disk must not stop the mail */
    buf_clear(&msg.lines);
}

static void stamp(struct buf *line)
{
    static const char month[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static struct { /* a cache of pure text: localtime_r once a second */
        int64_t second;
        char text[20];
    } last;
    int64_t now = clock_wall();

    if (now != last.second) {
        struct tm tm;
        clock_local(now, &tm, NULL);
        snprintf(last.text, sizeof last.text, "%s %2d %02d:%02d:%02d", month[tm.tm_mon % 12],
                 tm.tm_mday % 100, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
        last.second = now;
    }
    buf_addz(line, last.text);
}

static const char *host(void)
{
    static char name[65];
    if (name[0] == 0) {
        if (gethostname(name, sizeof name - 1) < 0 || name[0] == 0)
            snprintf(name, sizeof name, "localhost");
        name[strcspn(name, ".")] = 0;
    }
    return name;
}

/* who: "name[pid]", null: this process */
static void emit(const struct level *l, const char *who, const char *text)
{
    struct buf line = BUF(LINE_LIMIT + 200);

    if (msg.sink != NULL) {
        msg.sink(l->name, text);
        return;
    }
    if (msg.to_stderr) {
        /* People know which suite they are talking to: "postsuper: ...", without "postfix/". */
        const char *slash = strrchr(msg.name, '/');
        dprintf(STDERR_FILENO, "%s: %s%s\n", slash != NULL ? slash + 1 : msg.name, l->prefix, text);
    }
    if (msg.fd < 0)
        return;
    if (msg.syslog)
        buf_addf(&line, "<%d>", LOG_MAIL | l->priority);
    stamp(&line);
    if (!msg.syslog)
        buf_addf(&line, " %s", host());
    buf_addc(&line, ' ');
    if (who != NULL)
        buf_addz(&line, who);
    else
        msg_who(&line);
    buf_addf(&line, ": %s%s", l->prefix, text);
    if (msg.syslog) {
        send(msg.fd, line.p, line.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
        buf_addc(&line, '\n');
        if (line.n > msg.lines.max - msg.lines.n)
            msg_flush();
        buf_add(&msg.lines, buf_str(&line));
        if (!msg.held || l != &info)
            msg_flush();
    }
    buf_free(&line);
}

static void say(const struct level *l, const char *who, const char *fmt, va_list ap)
{
    struct buf text = BUF(16 * LINE_LIMIT);
    int saved = errno;

    buf_addv(&text, fmt, ap);
    buf_cut(&text, LINE_LIMIT);
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 127)
            text.p[i] = '?';
    emit(l, who, text.p);
    buf_free(&text);
    errno = saved;
}

/* The same text within ten seconds: once is enough. */
static bool said_lately(const char *fmt, va_list ap)
{
    char text[256];
    unsigned hash = 5381;
    int64_t now = clock_ms();

    vsnprintf(text, sizeof text, fmt, ap);
    for (const char *p = text; *p; p++)
        hash = hash * 33 ^ (unsigned char)*p;
    for (size_t i = 0; i < THROTTLE; i++)
        if (msg.said[i].hash == hash && msg.said[i].at > 0 && now - msg.said[i].at < THROTTLE_MS)
            return true;
    msg.said[hash % THROTTLE].hash = hash;
    msg.said[hash % THROTTLE].at = now > 0 ? now : 1;
    return false;
}

void msg_info(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(&info, NULL, fmt, ap);
    va_end(ap);
}

void msg_who(struct buf *out)
{
    buf_addf(out, "%s[%d]", msg.name, (int)getpid());
}

void msg_info_as(const char *who, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(&info, who, fmt, ap);
    va_end(ap);
}

void msg_warn(const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    if (!said_lately(fmt, again))
        say(&warning, NULL, fmt, ap);
    va_end(again);
    va_end(ap);
}

void msg_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(&error, NULL, fmt, ap);
    va_end(ap);
}

void msg_fatal(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(&fatal, NULL, fmt, ap);
    va_end(ap);
    msg_flush();
    exit(msg.fatal_status);
}

void msg_fatal_status(int status)
{
    msg.fatal_status = status;
}

void msg_panic(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(&panic, NULL, fmt, ap);
    va_end(ap);
    msg_flush();
    abort();
}

void msg_debug_topics(const char *topics)
{
    snprintf(msg.topics, sizeof msg.topics, "%s", topics);
}

static bool listed(const char *list, const char *word, size_t n)
{
    static const char between[] = ", \t";
    while (*(list += strspn(list, between)) != 0) {
        size_t len = strcspn(list, between);
        if (len == n && memcmp(list, word, n) == 0)
            return true;
        list += len;
    }
    return false;
}

bool msg_debugging(const char *topic)
{
    return msg.topics[0] != 0 &&
           (listed(msg.topics, "all", 3) || listed(msg.topics, topic, strlen(topic)));
}

void msg_debug(const char *topic, const char *fmt, ...)
{
    va_list ap;
    if (!msg_debugging(topic))
        return;
    va_start(ap, fmt);
    say(&info, NULL, fmt, ap);
    va_end(ap);
}

void msg_capture(msg_sink *sink)
{
    msg.sink = sink;
}
