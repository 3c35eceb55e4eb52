/*
 * How long a client may take. smtpd_timeout limits each wait for a packet; with
 * smtpd_per_request_deadline it limits a whole command or reply, so that nobody holds a session by
 * sending a byte a second. Content may then take longer, if it comes at smtpd_min_data_rate. The
 * parameters may follow stress: they are looked at before each wait, and when stress begins or ends
 * during one, for which the service wakes each session.
 */
#include "conf/conf.h"
#include "task/task.h"

#include "smtpd.h"

static int64_t timeout_ms(void)
{
    return conf.smtpd_timeout * 1000;
}

/* For the wait that follows, or is under way. */
static void set_limits(struct smtpd *s)
{
    bool handshake = s->awaited == AWAIT_HANDSHAKE;
    int64_t whole = handshake ? conf.smtpd_starttls_timeout * 1000 : timeout_ms();
    int64_t until = s->awaited_since + whole;

    if (s->awaited == AWAIT_CONTENT) {
        if (s->content_until > task_now() + whole)
            s->content_until = task_now() + whole;
        until = s->content_until;
    }
    stream_set_idle(s->stream, handshake ? 0 : whole);
    stream_set_deadline(s->stream, handshake || conf.smtpd_per_request_deadline ? until : 0);
}

static void stress_changed(void *arg)
{
    set_limits(arg);
}

static void await_client(struct smtpd *s, enum awaited what)
{
    s->awaited = what;
    s->awaited_since = task_now();
    set_limits(s);
}

void smtpd_time_begins(struct smtpd *s)
{
    stream_on_wake(s->stream, stress_changed, s);
    await_client(s, AWAIT_LINE);
}

void smtpd_time_ends(struct smtpd *s)
{
    stream_on_wake(s->stream, NULL, NULL);
}

enum line smtpd_line(struct smtpd *s, struct buf *line)
{
    await_client(s, AWAIT_LINE);
    for (;;) {
        struct str ahead = stream_ahead_str(s->stream);
        if (ahead.n > line->max || memchr(ahead.p, '\n', ahead.n) != NULL ||
            stream_peek_n(s->stream, ahead.n + 1).n <= ahead.n)
            break;
    }
    return stream_line(s->stream, line);
}

void smtpd_content_begins(struct smtpd *s)
{
    s->content_until = task_now() + timeout_ms();
    await_client(s, AWAIT_CONTENT);
}

void smtpd_content_came(struct smtpd *s, size_t bytes)
{
    s->content_until += (int64_t)bytes * 1000 / conf.smtpd_min_data_rate;
    set_limits(s);
}

void smtpd_handshake_begins(struct smtpd *s)
{
    await_client(s, AWAIT_HANDSHAKE);
}

void smtpd_handshake_ends(struct smtpd *s)
{
    await_client(s, AWAIT_LINE);
}
