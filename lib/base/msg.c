/*
 * What is said in the log.
 */
#include "base/msg.h"

#include <errno.h>

#include "base/clock.h"
#include "base/msg_inside.h"
#include "base/str.h"

enum { THROTTLE = 32, THROTTLE_MS = 10000 };

static struct {
    bool utf8;
    int fatal_status;
    char topics[200];
    struct {
        unsigned hash;
        int64_t at_ms;
    } said[THROTTLE];
} msg = {.fatal_status = 1};

void msg_utf8(bool on)
{
    msg.utf8 = on;
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

static void msg_say(enum msg_level level, const char *who, const char *fmt, va_list ap)
{
    struct buf text = BUF_TEXT(16 * MSG_LINE_LIMIT);
    int saved = errno;

    buf_addv(&text, fmt, ap);
    buf_cut(&text, MSG_LINE_LIMIT);
    msg_clean(text.p, text.n);
    msg_put(level, who, text.p);
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
        if (msg.said[i].hash == hash && msg.said[i].at_ms > 0 &&
            now - msg.said[i].at_ms < THROTTLE_MS)
            return true;
    msg.said[hash % THROTTLE].hash = hash;
    msg.said[hash % THROTTLE].at_ms = now > 0 ? now : 1;
    return false;
}

void msg_info(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    msg_say(MSG_INFO, NULL, fmt, ap);
    va_end(ap);
}

void msg_info_as(const char *who, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    msg_say(MSG_INFO, who, fmt, ap);
    va_end(ap);
}

void msg_warn(const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    if (!said_lately(fmt, again))
        msg_say(MSG_WARNING, NULL, fmt, ap);
    va_end(again);
    va_end(ap);
}

void msg_warn_each(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    msg_say(MSG_WARNING, NULL, fmt, ap);
    va_end(ap);
}

void msg_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    msg_say(MSG_ERROR, NULL, fmt, ap);
    va_end(ap);
}

void msg_fatal(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    msg_say(MSG_FATAL, NULL, fmt, ap);
    va_end(ap);
    msg_last_flush();
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
    msg_say(MSG_PANIC, NULL, fmt, ap);
    va_end(ap);
    msg_last_flush();
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
    msg_say(MSG_INFO, NULL, fmt, ap);
    va_end(ap);
}
