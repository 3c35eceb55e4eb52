/*
 * The SMTP client that speaks with the before-queue filter.
 */
#include "smtpd_proxy_talk.h"

#include "base/mem.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "mail/esmtp_ehlo.h"
#include "mail/esmtp_reply.h"
#include "net/dns.h"
#include "net/endpoint.h"
#include "service/jail.h"
#include "task/task.h"

enum { REPLY_MOST = 64 * 1024, COMMAND_MOST = 510 };

struct proxy_talk {
    struct stream *stream;
    struct esmtp_reply reply;
    struct esmtp_ehlo ehlo;
    bool failed;
};

static struct endpoint filter; /* smtpd_proxy_filter */

static const char failure[] = "Error: queue file write error";

bool proxy_talk_open(void)
{
    struct why why = WHY;

    if (conf.smtpd_proxy_filter[0] == 0)
        return false;
    if (endpoint_parse(str_trim(strz(conf.smtpd_proxy_filter)), true, &filter, &why) < 0)
        conf_fault("smtpd_proxy_filter", "%s: host:port, a port or unix:path is wanted",
                   why_text(&why));
    why_free(&why);
    return true;
}

void proxy_talk_paths(void)
{
    if (filter.host != NULL)
        jail_port(filter.port);
}

static int64_t deadline(void)
{
    return task_now() + conf.smtpd_proxy_timeout * 1000;
}

/* ---- replies ---- */

bool proxy_talk_failed(const struct proxy_talk *t)
{
    return t == NULL || t->failed;
}

int proxy_talk_code(const struct proxy_talk *t)
{
    return t == NULL || t->failed ? 451 : t->reply.code;
}

const char *proxy_talk_dsn(const struct proxy_talk *t)
{
    return t == NULL || t->failed ? "4.3.0" : t->reply.dsn;
}

struct str proxy_talk_text(const struct proxy_talk *t)
{
    return t == NULL || t->failed ? strz(failure) : buf_str(&t->reply.text);
}

void proxy_talk_print(const struct proxy_talk *t, struct buf *out)
{
    struct str text = proxy_talk_text(t);
    const char *dsn = proxy_talk_dsn(t);

    buf_addf(out, "%d %s%s", proxy_talk_code(t), dsn, dsn[0] ? " " : "");
    for (size_t i = 0; i < text.n; i++)
        buf_addc(out, text.p[i] == '\n' ? ' ' : text.p[i]);
}

static bool talk_failed(struct proxy_talk *t, const char *what)
{
    if (!t->failed && !task_is_cancelled()) /* else it is we who end */
        msg_warn_each("%s proxy %s", what, conf.smtpd_proxy_filter);
    t->failed = true;
    return false;
}

static bool lost(struct proxy_talk *t)
{
    bool late = stream_state(t->stream) == STREAM_TIMEOUT;

    return talk_failed(t, late ? "timeout talking to" : "lost connection with");
}

/* (waits) False: there was none. */
static bool read_reply(struct proxy_talk *t)
{
    enum esmtp_more more = ESMTP_MORE;
    struct buf line = BUF(REPLY_MOST); /* asked: the line's length */
    enum line end = LINE_CRLF;
    size_t size = 0;

    esmtp_reply_clear(&t->reply);
    stream_set_deadline(t->stream, deadline());
    while ((more == ESMTP_MORE || more == ESMTP_NOISE) && size < REPLY_MOST &&
           (end = stream_line_within(t->stream, &line)) != LINE_NONE && end != LINE_TOO_LONG) {
        more = esmtp_reply_line(&t->reply, buf_str(&line));
        size += line.n + 2;
        if (more == ESMTP_NOISE)
            msg_warn_each("received garbage from proxy %s: %.100s", conf.smtpd_proxy_filter,
                          line.p);
    }
    buf_free(&line);
    if (more == ESMTP_DONE)
        return true;
    return end == LINE_NONE ? lost(t) : talk_failed(t, "received garbage from");
}

static bool read_wanted(struct proxy_talk *t, int wanted, const char *command)
{
    struct buf text = BUF_TEXT(1000);

    if (!read_reply(t))
        return false;
    bool good = wanted == 0 ? t->reply.code / 100 != 3 : t->reply.code / 100 == wanted;
    if (!good && t->reply.code < 400) /* the client would think that its mail is taken */
        return talk_failed(t, "received garbage from");
    if (!good) {
        esmtp_reply_print(&t->reply, &text);
        msg_warn_each("proxy %s rejected \"%.600s\": \"%s\"", conf.smtpd_proxy_filter, command,
                      text.p);
    }
    buf_free(&text);
    return good;
}

bool proxy_talk_say(struct proxy_talk *t, int wanted, const char *command)
{
    if (t == NULL || t->failed)
        return false;
    stream_set_deadline(t->stream, deadline());
    stream_put(t->stream, strz(command));
    stream_putz(t->stream, "\r\n");
    return read_wanted(t, wanted, command);
}

void proxy_talk_content(struct proxy_talk *t, struct str bytes)
{
    if (t == NULL || t->failed)
        return;
    stream_set_deadline(t->stream, 0); /* the idle time limits each wait; the client may be slow */
    stream_put(t->stream, bytes);
    if (!stream_writable(t->stream))
        lost(t);
}

/* ---- the beginning ---- */

static struct proxy_talk *talk_connect(void)
{
    struct why why = WHY;
    int fd = endpoint_connect(&filter, dns_families(conf.inet_protocols), deadline(), &why);

    if (fd < 0 && !task_is_cancelled())
        msg_warn_each("connect to proxy filter %s: %s", conf.smtpd_proxy_filter, why_text(&why));
    why_free(&why);
    if (fd < 0)
        return NULL;
    struct proxy_talk *t = mem_new(sizeof *t);
    t->stream = stream_new(fd);
    t->reply = ESMTP_REPLY(REPLY_MOST);
    t->ehlo = ESMTP_EHLO;
    stream_set_idle(t->stream, conf.smtpd_proxy_timeout * 1000);
    return t;
}

static void read_ehlo(struct proxy_talk *t)
{
    struct str rest = buf_str(&t->reply.text), line;

    esmtp_ehlo_clear(&t->ehlo);
    str_split(&rest, '\n', &line);
    while (str_split(&rest, '\n', &line))
        esmtp_ehlo_line(&t->ehlo, line);
}

static const char *forwarded_value(struct smtpd *s, enum esmtp_xattr attr, struct buf *space)
{
    const char *value = smtpd_origin(s, attr);

    buf_clear(space);
    if (attr == X_SOURCE)
        return smtpd_origin_is_local(s) ? "LOCAL" : "REMOTE";
    if (value == NULL || strcmp(value, "unknown") == 0)
        return NULL;
    if (attr == X_ADDR && strchr(value, ':') != NULL)
        buf_addz(space, "IPv6:");
    buf_addz(space, value);
    return space->p;
}

/* RFC 5321 4.5.3.1.4: what does not fit in one command is said in the next. */
static bool say_xforward(struct smtpd *s, struct proxy_talk *t)
{
    static const enum esmtp_xattr order[] = {X_NAME,  X_ADDR,  X_PORT,  X_HELO,
                                             X_IDENT, X_PROTO, X_SOURCE};
    struct buf line = BUF_TEXT(2000), one = BUF_TEXT(1000), space = BUF_TEXT(X_VALUE_MOST + 10);
    bool good = true;

    for (size_t i = 0; i < sizeof order / sizeof *order && good; i++) {
        if ((t->ehlo.xforward & X_BIT(order[i])) == 0)
            continue;
        buf_clear(&one);
        esmtp_xattr_put(order[i], forwarded_value(s, order[i], &space), &one);
        if (line.n > 0 && line.n + one.n > COMMAND_MOST) {
            good = proxy_talk_say(t, 2, line.p);
            buf_clear(&line);
        }
        if (line.n == 0)
            buf_addz(&line, "XFORWARD");
        buf_add(&line, buf_str(&one));
    }
    if (good && line.n > 0)
        good = proxy_talk_say(t, 2, line.p);
    buf_free(&line);
    buf_free(&one);
    buf_free(&space);
    return good;
}

struct proxy_talk *proxy_talk_start(struct smtpd *s)
{
    struct proxy_talk *t = talk_connect();
    struct buf ehlo = BUF_TEXT(COMMAND_MOST);

    if (t == NULL)
        return NULL;
    buf_addf(&ehlo, "EHLO %s", conf.smtpd_proxy_ehlo);
    bool good = read_wanted(t, 2, "connection request") && proxy_talk_say(t, 2, ehlo.p);
    if (good) {
        read_ehlo(t);
        good = say_xforward(s, t);
    }
    buf_free(&ehlo);
    if (!good)
        proxy_talk_end(&t);
    return t;
}

/* ---- the end ---- */

void proxy_talk_fail(struct proxy_talk **t, const char *why)
{
    if (*t != NULL)
        (*t)->failed = true;
    msg_warn_each("proxy %s: %s", conf.smtpd_proxy_filter, why);
}

void proxy_talk_break(struct proxy_talk *t)
{
    if (t != NULL)
        t->failed = true;
}

void proxy_talk_end(struct proxy_talk **t)
{
    struct proxy_talk *talk = *t;

    *t = NULL;
    if (talk == NULL)
        return;
    if (!talk->failed && stream_state(talk->stream) == STREAM_OK) {
        stream_putz(talk->stream, "QUIT\r\n");
        stream_flush(talk->stream);
    }
    stream_abort(&talk->stream);
    esmtp_reply_free(&talk->reply);
    esmtp_ehlo_free(&talk->ehlo);
    free(talk);
}
