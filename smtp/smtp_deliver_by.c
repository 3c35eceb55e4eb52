/*
 * DELIVERBY: until when the message is to be delivered, as the next server is told it, and what
 * follows if that does not know it. RFC 2852 4.1.4. LMTP is for the last server, which puts the
 * message into the mailbox: there is nothing to be passed on, so it need not know it.
 */
#include "base/clock.h"

#include "smtp.h"

static int64_t left_s(const struct smtp_job *job)
{
    return job->d->by.s - clock_wall();
}

static bool knows(const struct smtp_session *s)
{
    return (s->ehlo.ext & ESMTP_DELIVERBY) != 0;
}

/* RFC 2852 7: not that one of its other servers may know it. So it is no reason to try them. */
bool smtp_lacks_deliver_by(const struct smtp_job *job, const struct smtp_session *s,
                           struct why *why)
{
    const struct deliver_by *by = &job->d->by;

    if (by->s == 0 || !by->returns || (s->lmtp && !knows(s)))
        return false;
    if (!knows(s))
        why_set(why, "5.3.3", "DELIVERBY is required, but was not offered by host %s", s->namaddr);
    else if (left_s(job) <= 0)
        why_set(why, DELIVER_BY_OVER, "%s", deliver_by_over);
    else if (left_s(job) < s->ehlo.min_by)
        why_set(why, DELIVER_BY_OVER,
                "host %s does not promise delivery within less than %lu seconds", s->namaddr,
                (unsigned long)s->ehlo.min_by);
    else
        return false;
    return true;
}

void smtp_put_deliver_by(const struct smtp_job *job, const struct smtp_session *s, struct buf *args)
{
    struct deliver_by by = job->d->by;

    if (by.s == 0 || !knows(s))
        return;
    by.s = left_s(job);
    if (by.returns && by.s < 1) /* the clock has moved since smtp_lacks_deliver_by */
        by.s = 1;
    if (by.s < -DELIVER_BY_MOST)
        by.s = -DELIVER_BY_MOST;
    buf_addz(args, " BY=");
    deliver_by_format(&by, args);
}

/* A server that does not know it gets the message in time: the sender learns that from here on
 * nobody looks at the clock. */
static bool ends_here(const struct smtp_job *job, const struct smtp_session *s)
{
    return !s->lmtp && !knows(s) && job->d->by.s > 0 && left_s(job) > 0;
}

bool smtp_tells_relay(const struct smtp_job *job, const struct smtp_session *s)
{
    return ends_here(job, s) || (!s->lmtp && job->d->by.s > 0 && job->d->by.traced);
}

unsigned smtp_notify_for(const struct smtp_job *job, const struct smtp_session *s,
                         const struct rcpt *r)
{
    if (!ends_here(job, s) || (r->dsn_notify & DSN_NEVER) != 0)
        return r->dsn_notify;
    return r->dsn_notify == 0 ? DSN_FAILURE | DSN_DELAY : r->dsn_notify | DSN_DELAY;
}
