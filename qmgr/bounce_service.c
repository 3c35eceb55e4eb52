/*
 * Who is told what: the sender, the postmaster, or nobody.
 */
#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/path.h"
#include "mail/verp.h"
#include "queue/report_words.h"

#include "bounce.h"

/* With $myorigin it is the sender of probes, and was that of our own reports before. */
static bool is_double_bounce(const char *sender)
{
    const char *const hosts[] = {conf.myhostname, conf.myorigin};
    struct buf address = BUF(1000);
    bool same = false;

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts && !same; i++) {
        buf_clear(&address);
        report_double_bounce(hosts[i], &address);
        same = buf_ok(&address) && str_ieq(buf_str(&address), strz(sender));
    }
    buf_free(&address);
    return same;
}

/* RFC 3461 5.2.6: only who asked for it, or asked for nothing. */
static bool wants(const struct bounce_record *r, unsigned bit)
{
    return r->dsn_notify == 0 ? bit != DSN_SUCCESS : (r->dsn_notify & bit) != 0;
}

static size_t select_records(const struct bounce_log *log, unsigned bit, struct bounce_record *out)
{
    size_t n = 0;

    for (size_t i = 0; i < log->n; i++)
        if (bit == 0 || wants(&log->at[i], bit))
            out[n++] = log->at[i];
    return n;
}

static int send_to_postmaster(struct notice n, const char *to, const char *what, struct why *why)
{
    struct buf from = BUF(1000);

    report_double_bounce(conf.myhostname, &from);
    n.from = from.p;
    n.to = to;
    n.to_postmaster = true;
    n.what = what;
    int result = buf_ok(&from) ? notice_send(&n, why)
                               : why_set(why, "4.3.5", "double_bounce_sender is too long");
    buf_free(&from);
    return result;
}

/* A copy of what the sender has been told. If it cannot be handed in nobody tries again: the sender
 * would be told the same each time. */
static void copy_to_postmaster(struct notice n, const char *to, const char *what)
{
    struct why why = WHY;

    if (send_to_postmaster(n, to, what, &why) < 0)
        msg_warn("%s: %s failed: %s", n.d->queue_id, what, why_text(&why));
    why_free(&why);
}

static bool is_told(const struct bounce_record *r, const char *whom)
{
    return strcmp(r->report_to, whom) == 0;
}

/* One report to the owner of a list, or with "" to the sender, about what is theirs of n. */
static int tell_owner(struct notice n, const char *owner, struct bounce_record *same,
                      struct why *why)
{
    struct delivery d = *n.d;
    const struct bounce_record *all = n.records;
    size_t found = 0;

    if (*owner != 0) {
        d.sender = owner;
        d.dsn_envid = "";
        d.dsn_ret = DSN_RET_NONE;
        n.d = &d;
        n.to = owner;
    }
    for (size_t i = 0; i < n.n; i++)
        if (is_told(&all[i], owner))
            same[found++] = all[i];
    n.records = same;
    n.n = found;
    return found > 0 ? notice_send(&n, why) : 0;
}

/* About one recipient, to the sender that his copy had. */
static int tell_verp(struct notice n, const struct bounce_record *r, struct why *why)
{
    struct buf rcpt = BUF(REC_MAX), to = BUF(2 * REC_MAX);
    const char *external = *r->original != 0 ? r->original : r->recipient;

    if (!path_unquote(strz(external), &rcpt))
        buf_setz(&rcpt, external);
    verp_sender(strz(n.d->sender), buf_str(&rcpt), n.d->verp, &to);
    n.records = r;
    n.n = 1;
    n.to = buf_ok(&rcpt) && buf_ok(&to) ? to.p : n.d->sender; /* as qmgr's */
    int result = notice_send(&n, why);
    buf_free(&rcpt);
    buf_free(&to);
    return result;
}

/* Is there a report for each recipient? */
static bool tells_one_by_one(const struct delivery *d)
{
    return *d->verp != 0 && !conf.disable_verp_bounces;
}

static int tell_sender(struct notice n, struct bounce_record *same, struct why *why)
{
    int result = 0;

    if (!tells_one_by_one(n.d))
        return tell_owner(n, "", same, why);
    for (size_t i = 0; i < n.n && result == 0; i++)
        if (is_told(&n.records[i], ""))
            result = tell_verp(n, &n.records[i], why);
    return result;
}

static int tell_all(struct notice n, struct why *why)
{
    struct arena *mem = arena_new(NULL);
    struct bounce_record *same = arena_array(mem, n.n + 1, sizeof *same);
    int result = tell_sender(n, same, why);

    for (size_t i = 0; i < n.n && result == 0; i++) {
        bool told = is_told(&n.records[i], "");
        for (size_t k = 0; k < i && !told; k++)
            told = is_told(&n.records[k], n.records[i].report_to);
        if (!told)
            result = tell_owner(n, n.records[i].report_to, same, why);
    }
    arena_free(&mem);
    return result;
}

/* As many as there are reports. */
static void copy_bounces(struct notice all)
{
    const char *what = "postmaster non-delivery notification";
    size_t n = all.n;

    if (tells_one_by_one(all.d))
        for (all.n = 1; n > 1; n--, all.records++)
            copy_to_postmaster(all, conf.bounce_notice_recipient, what);
    copy_to_postmaster(all, conf.bounce_notice_recipient, what);
}

/* As Postfix: who wants copies of bounces wants those that come back, too. */
static bool wants_double_bounces(void)
{
    return str_listed(conf.notify_classes, "2bounce") || str_listed(conf.notify_classes, "bounce");
}

static int bounce_service_failed(struct notice n, const struct bounce_log *log, struct why *why)
{
    struct notice all = n;

    all.records = log->at;
    all.n = log->n;
    if (is_double_bounce(n.d->sender)) {
        msg_warn("%s: undeliverable postmaster notification discarded", n.d->queue_id);
        return 0;
    }
    if (*n.d->sender == 0) {
        /* RFC 5321 6.1: no report about a report, except to the administrator. */
        if (!wants_double_bounces())
            return 0;
        return send_to_postmaster(all, conf._2bounce_notice_recipient,
                                  "postmaster non-delivery notification", why);
    }
    if (tell_all(n, why) < 0)
        return -1;
    all.headers_only = true;
    if (str_listed(conf.notify_classes, "bounce"))
        copy_bounces(all);
    return 0;
}

static int trace(struct notice n, const struct bounce_log *log, struct why *why)
{
    if (*n.d->sender == 0)
        return 0;
    if (n.d->flags & (DELIVERY_TRACE_ONLY | DELIVERY_REPORT)) {
        n.kind = DSN_REPORT_STATUS;
        n.records = log->at;
        n.n = log->n;
    }
    n.headers_only = true;
    n.what = "sender delivery status notification";
    return n.n > 0 ? notice_send(&n, why) : 0;
}

/* RFC 2852 4.1.4: that it was passed on, with by-trace, or to a server that does not know until
 * when it is to be delivered, is told to everybody who has not forbidden it. */
static size_t select_passed_on(const struct delivery *d, const struct bounce_log *log,
                               unsigned also, struct bounce_record *out)
{
    size_t n = 0;

    for (size_t i = 0; i < log->n; i++) {
        const struct bounce_record *r = &log->at[i];
        bool passed_on = d->by.s > 0 && strcmp(r->action, "relayed") == 0;
        if (passed_on ? (r->dsn_notify & DSN_NEVER) == 0 : wants(r, also))
            out[n++] = *r;
    }
    return n;
}

static struct notice for_sender(const struct delivery *d, enum dsn_kind kind, const char *what)
{
    return (struct notice){.kind = kind, .d = d, .from = "", .to = d->sender, .what = what};
}

int bounce_flush(enum queue log, const struct delivery *d, const struct bounce_log *records,
                 struct why *why)
{
    struct arena *mem = arena_new(NULL);
    struct bounce_record *chosen = arena_array(mem, records->n + 1, sizeof *chosen);
    struct notice n;
    int result;

    if (log == Q_TRACE) {
        n = for_sender(d, DSN_REPORT_SUCCESS, NULL);
        bool cleared = conf.confirm_delay_cleared && (d->flags & DELIVERY_DELAY_SAID) != 0;
        n.n = select_passed_on(d, records, cleared ? DSN_SUCCESS | DSN_DELAY : DSN_SUCCESS, chosen);
        n.records = chosen;
        result = trace(n, records, why);
    } else {
        n = for_sender(d, DSN_REPORT_FAILED, "sender non-delivery notification");
        n.n = select_records(records, DSN_FAILURE, chosen);
        n.records = chosen;
        result = bounce_service_failed(n, records, why);
    }
    arena_free(&mem);
    return result;
}

/* RFC 2852 4.1.3: not why it could not be delivered yet is the news, but that its time is over. */
static void say_time_is_over(const struct delivery *d, const struct bounce_log *records)
{
    bool over = d->by.s > 0 && d->by.s <= clock_wall();

    for (size_t i = 0; i < records->n && over; i++)
        records->at[i].status = DELIVER_BY_DELAYED;
}

int bounce_warn(enum queue log, const struct delivery *d, const struct bounce_log *records,
                struct why *why)
{
    struct arena *mem = arena_new(NULL);
    struct bounce_record *chosen = arena_array(mem, records->n + 1, sizeof *chosen);
    struct notice n = for_sender(d, DSN_REPORT_DELAYED, "sender delay notification");
    int result = 0;

    (void)log;
    say_time_is_over(d, records);
    n.headers_only = true;
    n.records = chosen;
    n.n = select_records(records, DSN_DELAY, chosen);
    if (*d->sender != 0 && !is_double_bounce(d->sender)) {
        if (n.n > 0)
            result = notice_send(&n, why);
        n.records = records->at;
        n.n = records->n;
        if (result == 0 && str_listed(conf.notify_classes, "delay"))
            copy_to_postmaster(n, conf.delay_notice_recipient, "postmaster delay notification");
    }
    arena_free(&mem);
    return result;
}
