#include "base/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syslog.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

enum {
    LINE_LIMIT = 2000,
    HELD_LIMIT = 32 * 1024, /* also the largest datagram */
    THROTTLE = 32,
    THROTTLE_MS = 10000,
};

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

/* What is at the other end. */
enum where { TO_FILE, TO_SYSLOG, TO_POSTLOGD };

static struct {
    char name[100];
    int fd;
    enum where where;
    bool to_stderr, held, utf8;
    struct buf lines; /* held; not for syslog */
    int wait_ms; /* for a receiver that is busy */
    int64_t no_wait_until; /* clock_ms: it was waited for in vain */
    uint64_t dropped; /* lines that no receiver took, and nobody was told yet */
    int utc_offset; /* minutes; as of the last line */
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
         .wait_ms = 1000,
         .lines = {buf_none, 0, 0, HELD_LIMIT, false, false}};

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
    snprintf(msg.name, sizeof msg.name, "%s", name);
    host(); /* for msg_from_handler */
}

static void use(int fd, enum where where)
{
    msg.fd = fd;
    msg.where = where;
    msg.to_stderr = false;
}

int msg_to_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    use(fd, TO_FILE);
    return 0;
}

void msg_to_fd(int fd)
{
    use(fd, TO_FILE);
}

void msg_to_postlogd(int fd)
{
    use(fd, TO_POSTLOGD);
}

void msg_wait(int ms)
{
    msg.wait_ms = ms;
    msg.no_wait_until = 0;
}

void msg_utf8(bool on)
{
    msg.utf8 = on;
}

void msg_to_syslog(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        use(fd, TO_SYSLOG);
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

/* One datagram. A receiver whose queue is full (net.unix.max_dgram_qlen may be 10) is waited for,
 * but not again and again: mail comes first. */
static bool send_datagram(const char *p, size_t n)
{
    int64_t now = clock_ms(), until = now + (now >= msg.no_wait_until ? msg.wait_ms : 0);

    for (;;) {
        if (send(msg.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return true;
        if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
            return false;
        now = clock_ms();
        if (now >= until)
            break;
        struct pollfd room = {.fd = msg.fd, .events = POLLOUT};
        poll(&room, 1, (int)(until - now));
    }
    if (now >= msg.no_wait_until)
        msg.no_wait_until = now + 10 * (int64_t)msg.wait_ms;
    return false;
}

static void say_dropped(void);

/* Lines that postlogd did not take are kept while there is room. */
static void flush_to_postlogd(void)
{
    if (!send_datagram(msg.lines.p, msg.lines.n))
        return;
    buf_clear(&msg.lines);
    msg.no_wait_until = 0;
    say_dropped();
}

void msg_flush(void)
{
    if (msg.lines.n == 0)
        return;
    if (msg.where == TO_POSTLOGD) {
        flush_to_postlogd();
        return;
    }
    ssize_t n = write(msg.fd, msg.lines.p, msg.lines.n);
    (void)n; /* a full disk must not stop the mail */
    buf_clear(&msg.lines);
}

size_t msg_held(void)
{
    return msg.lines.n;
}

static const char month[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static void stamp(struct buf *line)
{
    static struct { /* a cache of pure text: localtime_r once a second */
        int64_t second;
        char text[20];
    } last;
    int64_t now = clock_wall();

    if (now != last.second) {
        struct tm tm;
        clock_local(now, &tm, &msg.utc_offset);
        snprintf(last.text, sizeof last.text, "%s %2d %02d:%02d:%02d", month[tm.tm_mon % 12],
                 tm.tm_mday % 100, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
        last.second = now;
    }
    buf_addz(line, last.text);
}

void msg_stamp_host(struct buf *line)
{
    stamp(line);
    buf_addc(line, ' ');
    buf_addz(line, host());
    buf_addc(line, ' ');
}

static void put_who(struct buf *line, const char *who)
{
    if (who != NULL)
        buf_addz(line, who);
    else
        msg_who(line);
}

static void emit_to_syslog(const struct level *l, const char *who, const char *text)
{
    struct buf line = BUF_TEXT(LINE_LIMIT + 200);

    buf_addf(&line, "<%d>", LOG_MAIL | l->priority);
    stamp(&line);
    buf_addc(&line, ' ');
    put_who(&line, who);
    buf_addf(&line, ": %s%s", l->prefix, text);
    if (send_datagram(line.p, line.n))
        say_dropped();
    else
        msg.dropped++;
    buf_free(&line);
}

/* To the file with time and host; postlogd adds these itself. */
static void emit_line(const struct level *l, const char *who, const char *text)
{
    struct buf line = BUF_TEXT(LINE_LIMIT + 200);

    if (msg.where == TO_FILE)
        msg_stamp_host(&line);
    put_who(&line, who);
    buf_addf(&line, ": %s%s", l->prefix, text);
    if (line.n + 1 > msg.lines.max - msg.lines.n)
        msg_flush();
    if (line.n + 1 <= msg.lines.max - msg.lines.n) {
        buf_add(&msg.lines, buf_str(&line));
        buf_addc(&msg.lines, '\n');
    } else {
        msg.dropped++;
    }
    buf_free(&line);
    if (!msg.held || l != &info)
        msg_flush();
}

/* who: "name[pid]", null: this process */
static void emit(const struct level *l, const char *who, const char *text)
{
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
    if (msg.where == TO_SYSLOG)
        emit_to_syslog(l, who, text);
    else
        emit_line(l, who, text);
}

static void say_dropped(void)
{
    char text[100];
    uint64_t n = msg.dropped;

    if (n == 0)
        return;
    msg.dropped = 0;
    snprintf(text, sizeof text, "%llu lines of the log were dropped: it was not read fast enough",
             (unsigned long long)n);
    emit(&warning, NULL, text);
}

void msg_clean(char *text, size_t n)
{
    for (size_t i = 0; (i += str_printable((struct str){text + i, n - i})) < n; i++) {
        unsigned char c = (unsigned char)text[i];
        size_t more = 0;
        while (msg.utf8 && i + 1 + more < n && c >= 194 && c <= 254 &&
               ((unsigned char)text[i + 1 + more] & 0xc0) == 0x80)
            more++;
        if (more == 0 && (c < ' ' || c > '~'))
            text[i] = '?';
        i += more;
    }
}

static void msg_say(const struct level *l, const char *who, const char *fmt, va_list ap)
{
    struct buf text = BUF_TEXT(16 * LINE_LIMIT);
    int saved = errno;

    buf_addv(&text, fmt, ap);
    buf_cut(&text, LINE_LIMIT);
    msg_clean(text.p, text.n);
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
    msg_say(&info, NULL, fmt, ap);
    va_end(ap);
}

void msg_who(struct buf *out)
{
    buf_addf(out, "%s[%d]", msg.name, (int)own_pid());
}

void msg_info_as(const char *who, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    msg_say(&info, who, fmt, ap);
    va_end(ap);
}

void msg_warn(const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    if (!said_lately(fmt, again))
        msg_say(&warning, NULL, fmt, ap);
    va_end(again);
    va_end(ap);
}

void msg_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    msg_say(&error, NULL, fmt, ap);
    va_end(ap);
}

/* Worth one more wait. */
static void last_flush(void)
{
    msg.no_wait_until = 0;
    msg_flush();
}

void msg_fatal(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    msg_say(&fatal, NULL, fmt, ap);
    va_end(ap);
    last_flush();
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
    msg_say(&panic, NULL, fmt, ap);
    va_end(ap);
    last_flush();
    abort();
}

/* ---- for signal handlers: arithmetic, getpid and send, nothing else */

struct raw {
    char at[300];
    size_t n;
};

static void raw_text(struct raw *r, const char *text)
{
    while (*text != 0 && r->n < sizeof r->at - 1)
        r->at[r->n++] = *text++;
}

/* At least so many digits. */
static void raw_number(struct raw *r, int64_t n, int digits)
{
    char text[24];
    size_t at = sizeof text;

    text[--at] = 0;
    for (; (n > 0 || digits > 0) && at > 0; n /= 10, digits--)
        text[--at] = (char)('0' + n % 10);
    raw_text(r, text + at);
}

/* Month and day of a day since 1970, by Howard Hinnant's arithmetic on years that begin in March.
 */
static void raw_date(struct raw *r, int64_t days)
{
    int64_t day_of_era = (days + 719468) % 146097;
    int64_t year =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    int64_t from_march = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * from_march + 2) / 5 + 1;

    raw_text(r, month[(from_march + 2) % 12]);
    raw_text(r, day < 10 ? "  " : " ");
    raw_number(r, day, 1);
}

static void raw_stamp(struct raw *r)
{
    int64_t now = time(NULL) + (int64_t)msg.utc_offset * 60, second = now % 86400;

    raw_date(r, now / 86400);
    raw_text(r, " ");
    raw_number(r, second / 3600, 2);
    raw_text(r, ":");
    raw_number(r, second / 60 % 60, 2);
    raw_text(r, ":");
    raw_number(r, second % 60, 2);
    raw_text(r, " ");
}

void msg_from_handler(const char *what, const char *name, int64_t seconds)
{
    struct raw r = {.n = 0};

    if (msg.fd < 0)
        return;
    if (msg.where == TO_SYSLOG)
        raw_text(&r, "<20>"); /* LOG_MAIL | LOG_WARNING */
    if (msg.where != TO_POSTLOGD)
        raw_stamp(&r);
    if (msg.where == TO_FILE) {
        raw_text(&r, host()); /* known since the first line */
        raw_text(&r, " ");
    }
    raw_text(&r, msg.name);
    raw_text(&r, "[");
    raw_number(&r, getpid(), 1);
    raw_text(&r, "]: ");
    raw_text(&r, what);
    raw_text(&r, " ");
    raw_text(&r, name);
    raw_text(&r, ": ");
    raw_number(&r, seconds, 1);
    raw_text(&r, " s");
    if (msg.where != TO_SYSLOG)
        raw_text(&r, "\n");
    ssize_t n = write(msg.fd, r.at, r.n);
    (void)n;
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
    msg_say(&info, NULL, fmt, ap);
    va_end(ap);
}

void msg_capture(msg_sink *sink)
{
    msg.sink = sink;
}
