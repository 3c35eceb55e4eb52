/*
 * The end of a recipient: logged, recorded for reports, marked.
 */
#include "queue/outcome.h"

#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/path.h"
#include "queue/bounce_log.h"
#include "queue/verify_client.h"
#include "task/task.h"

/*
 * Small delays keep two digits that mean something, at most delay_logging_resolution_limit behind
 * the point; zeros at the end are left out.
 */
/* Of what stands behind begin: "1.200000" is 1.2, "3.000000" is 3. */
static void cut_zeros(struct buf *out, size_t begin)
{
    size_t n = out->n;

    if (!buf_ok(out))
        return;
    while (n > begin && out->p[n - 1] == '0')
        n--;
    if (n > begin && out->p[n - 1] == '.')
        n--;
    buf_cut(out, n);
}

void outcome_put_delay(struct buf *out, int64_t us)
{
    int digits = (int)conf.delay_logging_resolution_limit;
    int64_t unit = 1000000;

    if (us < 0)
        us = 0;
    if (us >= 100 * unit || digits <= 0) {
        buf_addf(out, "%lld", (long long)(us / unit));
        return;
    }
    /* 12.34 is 12, 1.234 is 1.2, 0.123 is 0.12, 0.0123 is 0.01. */
    int places = us >= 10 * unit ? 0 : us >= unit ? 1 : 2;
    for (int64_t u = unit / 10; u > 0 && us < u; u /= 10)
        places++;
    if (places > digits)
        places = digits;
    int64_t step = unit;
    for (int i = 0; i < places; i++)
        step /= 10;
    us = (us + step / 2) / step * step;
    size_t begin = out->n;
    buf_addf(out, "%lld.%06lld", (long long)(us / unit), (long long)(us % unit));
    cut_zeros(out, begin);
}

/* a: before the queue manager, b: in it, c: connecting, d: the transfer. */
static void put_delays(const struct outcome *o, struct buf *out)
{
    const struct delivery *d = o->d;
    int64_t now = clock_wall_us();
    int64_t ready = o->conn_us == 0 ? o->begin_us : o->data_us > 0 ? o->data_us : now;

    buf_addz(out, "delay=");
    outcome_put_delay(out, now - d->arrival_us);
    buf_addz(out, ", delays=");
    outcome_put_delay(out, (d->active_us > 0 ? d->active_us : o->begin_us) - d->arrival_us);
    buf_addc(out, '/');
    outcome_put_delay(out, d->active_us > 0 ? o->begin_us - d->active_us : 0);
    buf_addc(out, '/');
    outcome_put_delay(out, ready - o->begin_us);
    buf_addc(out, '/');
    outcome_put_delay(out, now - ready);
}

/* Cut, so that a log line has room for what became of the recipient. */
enum { ADDRESS_SHOWN = 500, MTA_SHOWN = 1000, REPLY_SHOWN = 4000 };

static void put_address(struct buf *line, const char *name, const char *address)
{
    struct buf text = BUF_TEXT(ADDRESS_SHOWN);

    path_quote(strz(address), &text);
    buf_addf(line, "%s=<%s>, ", name, text.p);
    buf_free(&text);
}

void outcome_log(const struct outcome *o, const struct rcpt *r, const char *dsn, const char *status,
                 const char *text)
{
    struct buf line = BUF_TEXT(8192);

    buf_addf(&line, "%s: ", o->d->queue_id);
    put_address(&line, "to", r->address);
    if (*r->original != 0 && !str_ieq(strz(r->original), strz(r->address)))
        put_address(&line, "orig_to", r->original);
    buf_addf(&line, "relay=%s, ", o->relay);
    if (o->conn_use > 1)
        buf_addf(&line, "conn_use=%u, ", o->conn_use);
    put_delays(o, &line);
    msg_info("%s, dsn=%s, status=%s (%s)", line.p, dsn, status, text);
    buf_free(&line);
}

/* "dns; host" in two, both ended by a zero byte in copy. */
static void split_type(const char *both, struct buf *copy, const char **type, const char **value)
{
    *type = *value = "";
    if (both == NULL || *both == 0)
        return;
    buf_setz(copy, both);
    char *at = strchr(copy->p, ';');
    if (at == NULL)
        return;
    *at++ = 0;
    while (*at == ' ')
        at++;
    *type = copy->p;
    *value = at;
}

static int append(const struct outcome *o, enum queue log, const struct rcpt *r, const char *status,
                  const char *action, const char *reason)
{
    struct buf mta = BUF_TEXT(MTA_SHOWN), reply = BUF_TEXT(REPLY_SHOWN);
    struct buf address = BUF(2 * REC_MAX), original = BUF(2 * REC_MAX); /* quoted */
    struct why why = WHY;

    path_quote(strz(r->address), &address);
    path_quote(strz(r->original), &original);
    struct bounce_record record = {
        .recipient = address.p,
        .original = original.p,
        .dsn_orcpt = r->dsn_orcpt,
        .dsn_notify = r->dsn_notify,
        .at = r->at,
        .status = status,
        .action = action,
        .reason = reason,
        .report_to = o->report_to,
    };

    split_type(o->mta, &mta, &record.mta_type, &record.mta_name);
    split_type(o->reply, &reply, &record.diag_type, &record.diag_text);
    bool fits = buf_ok(&address) && buf_ok(&original);
    int result = fits ? bounce_append(log, o->d->queue_id, &record, o->file, &why)
                      : why_set(&why, "4.3.0", "the record is too long");
    if (result < 0)
        msg_warn("%s: %s service failure: %s", o->d->queue_id, queue_name(log), why_text(&why));
    buf_free(&mta);
    buf_free(&reply);
    buf_free(&address);
    buf_free(&original);
    why_free(&why);
    return result;
}

/* Whom the warning reached, RFC 3461 4.1, is told that the delay is over. */
static bool is_delay_cleared(const struct outcome *o, const struct rcpt *rcpt)
{
    return conf.confirm_delay_cleared && (o->d->flags & DELIVERY_DELAY_SAID) != 0 &&
           (rcpt->dsn_notify == 0 || (rcpt->dsn_notify & DSN_DELAY) != 0);
}

/*
 * The process is being stopped: whatever failed, failed because of that. Nothing is said and
 * nothing recorded; the message is still in the queue and is tried after the next start.
 */
static bool is_stopping(void)
{
    return task_self() != NULL && task_is_cancelled();
}

/*
 * When a record cannot be written (there is a warning then) the recipient is still open in the
 * queue file: mailq does not show why, but it is tried again, and the report of a message that has
 * expired names it from there (queue/report_source.h).
 */
static enum rcpt_status put_off(struct outcome *o, const struct rcpt *rcpt, const char *dsn,
                                const char *status, const char *text)
{
    if (is_stopping())
        return RCPT_DEFERRED;
    outcome_log(o, rcpt, dsn, status, text);
    append(o, Q_DEFER, rcpt, dsn, "delayed", text);
    if (o->d->flags & DELIVERY_REPORT)
        append(o, Q_TRACE, rcpt, dsn, "delayed", text);
    return RCPT_DEFERRED;
}

/* A message that only asks whether its recipient exists never waits in the queue: verify sends
 * another one when somebody asks again. Others may be told of the address that aliases led to, too:
 * if it is good. */
static enum rcpt_status tell_verify(const struct outcome *o, const struct rcpt *r,
                                    enum verify_verdict verdict, const char *text)
{
    const char *asked = *r->original != 0 ? r->original : r->address;
    struct why why = WHY;
    int result = verify_tell(o->d->queue_id, asked, verdict, text, o->file, &why);

    if (result == 0 && verdict == VERIFY_OK && strcmp(asked, r->address) != 0)
        result = verify_tell(o->d->queue_id, r->address, verdict, text, o->file, &why);
    if (result < 0)
        msg_warn("%s: %s service failure: %s", o->d->queue_id, conf.address_verify_service_name,
                 why_text(&why));
    why_free(&why);
    return RCPT_DELIVERED;
}

enum rcpt_status outcome_say_sent(struct outcome *o, const struct rcpt *rcpt, const char *dsn,
                                  const char *text)
{
    const char *action = o->action != NULL ? o->action : "delivered";

    if (o->d->flags & DELIVERY_TRACE_ONLY) {
        outcome_log(o, rcpt, dsn, "deliverable", text);
        if (o->d->flags & DELIVERY_PROBE)
            return tell_verify(o, rcpt, VERIFY_OK, text);
        return append(o, Q_TRACE, rcpt, dsn, "deliverable", text) < 0 ? RCPT_DEFERRED : RCPT_TRACED;
    }
    bool relayed = o->tells_relay && (rcpt->dsn_notify & DSN_NEVER) == 0;
    bool wanted = relayed || ((rcpt->dsn_notify & DSN_SUCCESS) != 0 && *action != 0);
    bool noted = wanted || (o->d->flags & DELIVERY_REPORT) || is_delay_cleared(o, rcpt);
    if (*action == 0)
        action = "relayed";
    if (noted && append(o, Q_TRACE, rcpt, dsn, action, text) < 0)
        return put_off(o, rcpt, "4.3.0", "deferred", "trace service failed");
    outcome_log(o, rcpt, dsn, "sent", text);
    return noted ? RCPT_TRACED : RCPT_DELIVERED;
}

enum rcpt_status outcome_say_failed(struct outcome *o, const struct rcpt *rcpt,
                                    const struct why *why)
{
    bool later = why_later(why) || why->code[0] == 0;
    const char *text = why_text(why);
    char code[sizeof why->code];

    if (is_stopping())
        return RCPT_DEFERRED;
    snprintf(code, sizeof code, "%s", why->code[0] != 0 ? why->code : "4.3.0");
    if (o->d->flags & DELIVERY_TRACE_ONLY) {
        outcome_log(o, rcpt, code, "undeliverable", text);
        if (o->d->flags & DELIVERY_PROBE)
            return tell_verify(o, rcpt, later ? VERIFY_LATER : VERIFY_NEVER, text);
        return append(o, Q_TRACE, rcpt, code, "undeliverable", text) < 0 ? RCPT_DEFERRED
                                                                         : RCPT_TRACED;
    }
    if (!later && conf.soft_bounce) {
        code[0] = '4';
        return put_off(o, rcpt, code, "SOFTBOUNCE", text);
    }
    if (later)
        return put_off(o, rcpt, code, "deferred", text);
    if (append(o, Q_BOUNCE, rcpt, code, "failed", text) < 0) {
        code[0] = '4';
        return put_off(o, rcpt, code, "deferred", "bounce failed");
    }
    outcome_log(o, rcpt, code, "bounced", text);
    if (o->d->flags & DELIVERY_REPORT)
        append(o, Q_TRACE, rcpt, code, "failed", text);
    return RCPT_BOUNCED;
}

enum rcpt_status outcome_join(enum rcpt_status a, enum rcpt_status b)
{
    static const char order[] = {RCPT_DEFERRED, RCPT_BOUNCED, RCPT_TRACED, RCPT_DELIVERED};

    for (size_t i = 0; i < sizeof order; i++)
        if ((char)a == order[i] || (char)b == order[i])
            return (enum rcpt_status)order[i];
    return RCPT_DEFERRED;
}

void outcome_finish(struct outcome *o, size_t rcpt, enum rcpt_status status)
{
    const struct rcpt *r = &o->d->rcpts[rcpt];
    bool marks = status != RCPT_DEFERRED && r->at > 0 && (o->d->flags & DELIVERY_PART) == 0;
    struct why why = WHY;

    /* Not marked means delivered once more after a restart: not lost, so the mail goes on. */
    if (o->file == NULL)
        why_set(&why, "4.3.0", "the queue file is not open");
    if (marks && (o->file == NULL || qfile_mark_done(o->file, r->at, &why) < 0))
        msg_warn("%s: cannot mark <%s> as done: %s", o->d->queue_id, r->address, why_text(&why));
    o->result->statuses.p[rcpt] = (char)status;
    why_free(&why);
}

void outcome_sent(struct outcome *o, size_t rcpt, const char *dsn, const char *text)
{
    outcome_finish(o, rcpt, outcome_say_sent(o, &o->d->rcpts[rcpt], dsn, text));
}

void outcome_failed(struct outcome *o, size_t rcpt, const struct why *why)
{
    outcome_finish(o, rcpt, outcome_say_failed(o, &o->d->rcpts[rcpt], why));
}

void outcome_no_file(struct outcome *o, const struct why *why)
{
    msg_warn("%s: %s", o->d->queue_id, why_text(why));
    for (size_t i = 0; i < o->d->nrcpts; i++) {
        outcome_log(o, &o->d->rcpts[i], "4.3.0", "deferred", why_text(why));
        o->result->statuses.p[i] = RCPT_DEFERRED;
    }
}
