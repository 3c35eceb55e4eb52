/*
 * How long a client may take. smtpd_timeout limits each wait for a packet; with
 * smtpd_per_request_deadline it limits a whole command or reply, so that nobody holds a session by
 * sending a byte a second. Content may then take longer, if it comes at smtpd_min_data_rate. Both
 * parameters may follow stress: they are looked at again before each wait.
 */
#include "conf/conf.h"
#include "task/task.h"

#include "smtpd.h"

static int64_t timeout_ms(void)
{
    return conf.smtpd_timeout * 1000;
}

/* For the next wait; until: the deadline of the whole, if there is one. */
static void set_limits(struct smtpd *s, int64_t until)
{
    stream_set_idle(s->stream, timeout_ms());
    stream_set_deadline(s->stream, conf.smtpd_per_request_deadline ? until : 0);
}

/* (waits) for the first byte. Stress may begin or end meanwhile: we are woken, and what time is
 * left is another. */
static void await_first(struct smtpd *s, int64_t since)
{
    enum wait ended = WAIT_WOKEN;

    set_limits(s, since + timeout_ms());
    while (ended == WAIT_WOKEN && stream_ahead(s->stream) == 0)
        ended = stream_wait(s->stream, since + timeout_ms());
    if (ended == WAIT_TIMEOUT)
        stream_set_idle(s->stream, 1); /* the read that follows says so */
}

enum line smtpd_line(struct smtpd *s, struct buf *line)
{
    int64_t since = task_now();

    await_first(s, since);
    for (;;) {
        struct str ahead = stream_ahead_str(s->stream);
        if (ahead.n == 0 || ahead.n > line->max || memchr(ahead.p, '\n', ahead.n) != NULL)
            break;
        set_limits(s, since + timeout_ms());
        if (stream_peek_n(s->stream, ahead.n + 1).n <= ahead.n)
            break;
    }
    return stream_line(s->stream, line);
}

void smtpd_content_begins(struct smtpd *s)
{
    s->content_until = task_now() + timeout_ms();
    set_limits(s, s->content_until);
}

void smtpd_content_came(struct smtpd *s, size_t bytes)
{
    int64_t most = task_now() + timeout_ms();

    s->content_until += (int64_t)bytes * 1000 / conf.smtpd_min_data_rate;
    if (s->content_until > most)
        s->content_until = most;
    set_limits(s, s->content_until);
}
