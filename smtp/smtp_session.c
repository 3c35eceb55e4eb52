/*
 * Commands and replies of one connection.
 */
#include <stdarg.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/stream.h"

#include "smtp.h"

enum { LINE_MOST = 16384, REPLY_MOST = 64 * 1024, SAID_MOST = 4096, BAD_LINE_SHOWN = 200 };

struct smtp_session *smtp_session_new(int fd, const char *host, const char *addr, in_port_t port)
{
    struct arena *mem = arena_new(NULL);
    struct smtp_session *s = arena_alloc(mem, sizeof *s);

    list_init(&s->idle);
    s->mem = mem;
    s->stream = stream_new(fd);
    s->host = arena_strz(mem, strz(host));
    s->namaddr = arena_printf(mem, "%s[%s]", host, addr);
    s->relay = port > 0 ? arena_printf(mem, "%s:%u", s->namaddr, port) : s->namaddr;
    s->ehlo = ESMTP_EHLO;
    s->reply = ESMTP_REPLY(REPLY_MOST);
    s->reply_text = BUF_TEXT(SAID_MOST);
    s->lmtp = smtp_is_lmtp();
    s->opened = task_now();
    return s;
}

void smtp_session_close(struct smtp_session **session)
{
    struct smtp_session *s = *session;
    struct arena *mem;

    if (s == NULL)
        return;
    *session = NULL;
    if (!s->broken && stream_state(s->stream) == STREAM_OK) {
        smtp_command(s, "sending QUIT", "QUIT");
        if (!conf.smtp_skip_quit_response)
            smtp_read_reply(s, conf.smtp_quit_timeout, NULL);
        stream_set_deadline(s->stream, task_now() + conf.smtp_quit_timeout * 1000);
        stream_free(&s->stream);
    }
    stream_abort(&s->stream);
    esmtp_ehlo_free(&s->ehlo);
    esmtp_reply_free(&s->reply);
    buf_free(&s->reply_text);
    mem = s->mem;
    arena_free(&mem);
}

void smtp_command(struct smtp_session *s, const char *doing, const char *fmt, ...)
{
    struct buf line = BUF(LINE_MOST);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&line, fmt, ap);
    va_end(ap);
    s->doing = doing;
    msg_debug("smtp", "> %s: %s", s->relay, line.p);
    buf_addz(&line, "\r\n");
    if (buf_ok(&line))
        stream_put(s->stream, buf_str(&line));
    else /* half a command is another command: the reply that is waited for will not come */
        shutdown(stream_fd(s->stream), SHUT_RDWR);
    buf_free(&line);
}

static int conversation_failed(struct smtp_session *s, struct why *why)
{
    bool timed_out = stream_state(s->stream) == STREAM_TIMEOUT;

    s->broken = true;
    if (timed_out)
        return why_set(why, "4.4.2", "conversation with %s timed out while %s", s->namaddr,
                       s->doing);
    return why_set(why, "4.4.2", "lost connection with %s while %s", s->namaddr, s->doing);
}

static int bad_reply(struct smtp_session *s, const char *what, struct str line, struct why *why)
{
    s->broken = true;
    return why_set(why, "4.5.0", "host %s sent %s reply while %s: %.*s", s->namaddr, what, s->doing,
                   (int)str_upto(line, BAD_LINE_SHOWN).n, line.p);
}

/* One more line. As Postfix, what is no line of a reply is passed over: servers exist that send an
 * empty line or a banner first. */
static enum esmtp_more take_line(struct smtp_session *s, struct str line)
{
    enum esmtp_more more = esmtp_reply_line(&s->reply, line);

    line = str_rtrim(line);
    buf_addf(&s->reply_text, "%s%.*s", s->reply_text.n > 0 ? " " : "",
             (int)str_upto(line, SAID_MOST).n, line.p);
    if (more != ESMTP_NOISE)
        return more;
    msg_warn("non-ESMTP response from %s: %.*s", s->namaddr, (int)str_upto(line, BAD_LINE_SHOWN).n,
             line.p);
    return ESMTP_MORE;
}

/* A reply longer than any honest one is not read to its end: it may have none. */
int smtp_read_reply(struct smtp_session *s, int64_t seconds, struct why *why)
{
    struct buf line = BUF(REPLY_MOST);
    enum esmtp_more more = ESMTP_MORE;
    enum line end = LINE_CRLF;
    size_t size = 0;

    esmtp_reply_clear(&s->reply);
    buf_clear(&s->reply_text);
    stream_set_deadline(s->stream, task_now() + seconds * 1000);
    while (more == ESMTP_MORE && (end = stream_line_within(s->stream, &line)) != LINE_NONE) {
        size += line.n + 2;
        if (end == LINE_TOO_LONG || size > REPLY_MOST)
            break;
        more = take_line(s, buf_str(&line));
    }
    if (more == ESMTP_BAD)
        bad_reply(s, "a malformed", buf_str(&line), why);
    else if (more == ESMTP_MORE && end != LINE_NONE)
        bad_reply(s, "an over-long", buf_str(&line), why);
    else if (more == ESMTP_MORE)
        conversation_failed(s, why);
    buf_free(&line);
    if (more != ESMTP_DONE)
        return -1;
    msg_debug("smtp", "< %s: %s", s->relay, s->reply_text.p);
    s->answered = true;
    if (s->reply.code == 421) /* RFC 5321 3.8: it is closing */
        s->broken = true;
    return 0;
}

bool smtp_is_silent(struct smtp_session *s)
{
    short events;

    return stream_ahead(s->stream) == 0 && stream_try_fill(s->stream, &events) == 0;
}

/* "250 ..." or the like; other lines are passed over when a reply is read. */
static bool has_reply(struct str text)
{
    struct str line;
    uint32_t code;

    while (str_split(&text, '\n', &line))
        if (line.n >= 3 && num_parse_u32(str_upto(line, 3), 0, 999, &code))
            return true;
    return false;
}

int smtp_check_turn(struct smtp_session *s, const char *doing, struct why *why)
{
    if (smtp_is_silent(s) || !has_reply(stream_ahead_str(s->stream)))
        return 0;
    s->doing = doing;
    return bad_reply(s, "an unasked", stream_ahead_str(s->stream), why);
}

int smtp_ask(struct smtp_session *s, int64_t seconds, const char *doing, const char *command,
             struct why *why)
{
    if (smtp_check_turn(s, doing, why) < 0)
        return -1;
    smtp_command(s, doing, "%s", command);
    return smtp_read_reply(s, seconds, why);
}
