/*
 * What a failure means: for one recipient, for a message, for a server, for a site. A temporary
 * failure is final only when there is no other server to ask.
 */
#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "task/task.h"

#include "smtp.h"

void smtp_why_reply(const struct smtp_session *s, const char *in_reply_to, struct why *why)
{
    char code[10];

    if (s->reply.dsn[0] != 0)
        snprintf(code, sizeof code, "%s", s->reply.dsn);
    else
        dsn_of_code(s->reply.code, code);
    /* Neither 4 nor 5: a reply that makes no sense here may make some later. */
    if (s->reply.code < 400)
        snprintf(code, sizeof code, "4.5.0");
    if (in_reply_to != NULL)
        why_set(why, code, "host %s said: %s (in reply to %s command)", s->namaddr, s->reply_text.p,
                in_reply_to);
    else
        why_set(why, code, "host %s refused to talk to me: %s", s->namaddr, s->reply_text.p);
}

/* For the report: who said it and what. */
static void set_remote(struct smtp_job *job, const struct smtp_session *s, bool from_reply)
{
    job->outcome.relay = arena_strz(job->mem, strz(s->relay));
    job->outcome.conn_use = s->uses + 1;
    job->outcome.mta = arena_printf(job->mem, "dns; %s", s->host);
    job->outcome.reply = from_reply ? arena_printf(job->mem, "smtp; %s", s->reply_text.p) : "";
}

static void end_rcpt(struct smtp_job *job, size_t rcpt)
{
    job->rcpts[rcpt] = SMTP_RCPT_ENDED;
    job->left--;
}

void smtp_rcpt_sent(struct smtp_job *job, struct smtp_session *s, size_t rcpt)
{
    struct buf text = BUF_TEXT(4096);
    const char *dsn = s->reply.dsn[0] == '2' ? s->reply.dsn : "2.0.0";
    bool tells = (s->ehlo.ext & ESMTP_DSN) != 0;

    set_remote(job, s, true);
    if (job->d->flags & DELIVERY_TRACE_ONLY)
        buf_addf(&text, "delivery via %s: ", s->relay);
    buf_add(&text, buf_str(&s->reply_text));
    job->outcome.action = tells ? "" : "relayed"; /* RFC 3461 5.2.2: who passed it on reports */
    job->outcome.tells_relay = smtp_tells_relay(job, s);
    outcome_sent(&job->outcome, rcpt, dsn, text.p);
    end_rcpt(job, rcpt);
    buf_free(&text);
}

static void keep_why(struct smtp_job *job, const struct why *why)
{
    why_copy(&job->why, why);
    if (why_later(why) && strcmp(why->code, SMTP_LACKS_REQUIRETLS) != 0)
        job->try_again = true;
}

void smtp_rcpt_failed(struct smtp_job *job, struct smtp_session *s, size_t rcpt,
                      const struct why *why, bool from_reply)
{
    if (why_later(why) && !job->last_server) {
        msg_info("%s: %s", job->d->queue_id, why_text(why));
        job->rcpts[rcpt] = SMTP_RCPT_WAITS;
        keep_why(job, why);
        return;
    }
    set_remote(job, s, from_reply);
    outcome_failed(&job->outcome, rcpt, why);
    end_rcpt(job, rcpt);
}

void smtp_rcpts_failed(struct smtp_job *job, struct smtp_session *s, const char *states,
                       const struct why *why, bool from_reply)
{
    bool keep = why_later(why) && !job->last_server;

    if (keep && task_is_cancelled())
        return; /* the process is being stopped: no news */
    if (keep) { /* one line for all */
        msg_info("%s: %s", job->d->queue_id, why_text(why));
        keep_why(job, why);
    }
    for (size_t i = 0; i < job->d->nrcpts; i++) {
        if (strchr(states, job->rcpts[i]) == NULL)
            continue;
        if (keep)
            job->rcpts[i] = SMTP_RCPT_WAITS;
        else
            smtp_rcpt_failed(job, s, i, why, from_reply);
    }
}

void smtp_server_failed(struct smtp_job *job, const struct why *why)
{
    keep_why(job, why);
}

void smtp_give_up(struct smtp_job *job)
{
    if (job->left == 0)
        return;
    if (job->why.code[0] == 0)
        why_set(&job->why, "4.4.4", "no server for %s could be tried", job->d->nexthop);
    if (!job->site_answered) {
        job->outcome.relay = "none";
        job->outcome.mta = job->outcome.reply = "";
        if (why_later(&job->why))
            delivery_site_failed(&job->result, &job->why);
    }
    for (size_t i = 0; i < job->d->nrcpts; i++)
        if (job->rcpts[i] != SMTP_RCPT_ENDED) {
            outcome_failed(&job->outcome, i, &job->why);
            end_rcpt(job, i);
        }
}
