/*
 * One report: made from records and the original's queue file, handed to cleanup. It takes several
 * messages if it is long: each stays below message_size_limit, with which other servers, and our
 * own mailboxes, measure it.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/path.h"
#include "queue/report_words.h"
#include "queue/submit.h"
#include "task/task.h"

#include "bounce.h"

enum {
    TEXT_MAX = 1 << 24, /* memory for one part of a message */
    RCPTS_MAX = 5 << 20, /* bytes about recipients in one message, if its size is not limited */
    OTHERS_ADD = 8192, /* bytes that are left for cleanup's header fields and MIME's lines */
    YIELD_EVERY = 64 /* recipients */
};

/* A message on its way. */
struct outgoing {
    struct submit *submit;
    int64_t size; /* bytes of its content so far, as message_size_limit counts them */
};

static void put_counted(struct outgoing *m, enum rec type, struct str body)
{
    submit_put(m->submit, type, body);
    m->size += (int64_t)body.n + 1;
}

static void put_lines(struct outgoing *m, struct buf *text)
{
    struct str rest = buf_str(text), line;

    while (str_split(&rest, '\n', &line))
        if (rest.p != NULL || line.n > 0) /* not what is behind the last line end */
            submit_line(m->submit, line);
    m->size += (int64_t)text->n;
    buf_clear(text);
}

/* What may follow it, perhaps less than nothing. */
static int64_t room_in(const struct outgoing *m)
{
    if (conf.message_size_limit == 0)
        return INT64_MAX;
    return conf.message_size_limit - OTHERS_ADD - m->size;
}

static size_t rcpts_max(void)
{
    int64_t half = conf.message_size_limit / 2;

    return conf.message_size_limit > 0 && half < RCPTS_MAX ? (size_t)half : RCPTS_MAX;
}

static struct dsn_rcpt rcpt_of(const struct bounce_record *r)
{
    return (struct dsn_rcpt){
        .address = r->recipient,
        .original = r->original,
        .orcpt = r->dsn_orcpt,
        .action = r->action,
        .status = r->status,
        .diag_type = r->diag_type,
        .diag_text = r->diag_text,
        .mta_type = r->mta_type,
        .mta_name = r->mta_name,
        .reason = r->reason,
    };
}

/* What is said of recipients, to people and to programs: of as many of the first as one message
 * takes, but of one at least. How many these are. (waits) */
static size_t describe_rcpts(const struct notice *n, const struct dsn_report *report,
                             struct buf *text, struct buf *fields)
{
    size_t i, max = rcpts_max();

    for (i = 0; i < n->n; i++) {
        struct dsn_rcpt rcpt = rcpt_of(&n->records[i]);
        size_t text_was = text->n, fields_was = fields->n;
        dsn_report_text(report, &rcpt, text);
        dsn_report_fields(report, &rcpt, fields);
        if (i > 0 && text->n + fields->n > max) {
            buf_cut(text, text_was);
            buf_cut(fields, fields_was);
            break;
        }
        if (i % YIELD_EVERY == YIELD_EVERY - 1)
            task_yield();
    }
    return i;
}

/* The content records as they are; of the header only, up to the first empty line; and no more than
 * there is room for. -1 and why, later: what the disk does not let us read now. What is damaged is
 * sent as far as it goes. */
static int put_records(struct outgoing *m, struct qfile *f, bool headers_only, struct why *why)
{
    struct str body;
    enum rec type;
    bool continued = false;

    while ((type = qfile_next(f, &body)) == REC_NORM || type == REC_CONT) {
        if (headers_only && type == REC_NORM && body.n == 0 && !continued)
            break;
        if ((int64_t)body.n >= room_in(m))
            break;
        put_counted(m, type, body);
        continued = type == REC_CONT;
    }
    if (type == REC_BAD)
        qfile_damaged(f, "queue file is damaged", why);
    if (type == REC_BAD && why_later(why))
        return -1;
    why_clear(why);
    return 0;
}

/* The report may be all that is left of the message: while the file is there, and may be read
 * another time, no report goes without. */
static int put_original(struct outgoing *m, const struct delivery *d, bool headers_only,
                        struct why *why)
{
    struct qfile *f = qfile_open(d->queue, d->queue_id, QFILE_READ, why);
    int result = 0;

    if (f == NULL && errno != ENOENT)
        return -1;
    why_clear(why);
    if (f != NULL && d->data_offset > 0 && qfile_seek(f, d->data_offset, NULL) == 0)
        result = put_records(m, f, headers_only, why);
    qfile_close(&f);
    return result;
}

/* The Message-ID of the original, if it is on one line and whole: what replies refer to. */
static void find_message_id(const struct delivery *d, struct buf *id)
{
    struct qfile *f = qfile_open(d->queue, d->queue_id, QFILE_READ, NULL);
    struct str body, name, value;
    enum rec type;

    if (f != NULL && d->data_offset > 0 && qfile_seek(f, d->data_offset, NULL) == 0)
        while (((type = qfile_next(f, &body)) == REC_NORM && body.n > 0) || type == REC_CONT)
            if (header_split(body, &name, &value) && str_ieq(name, STR("Message-ID")) &&
                str_starts(value, STR("<")) && str_ends(value, STR(">")))
                buf_set(id, value);
    qfile_close(&f);
    if (!buf_ok(id))
        buf_clear(id);
}

/* RFC 6533 3: the report has what the message has. */
static bool needs_utf8(const struct notice *n)
{
    return (n->d->sendopts & SENDOPT_UTF8) != 0;
}

static bool asks_requiretls(const struct notice *n)
{
    return conf.requiretls_enable && (n->d->sendopts & SENDOPT_REQUIRETLS) != 0;
}

/* Bits of enum submit_flag. */
static unsigned submit_flags(const struct notice *n)
{
    bool wanted = str_ilisted(conf.internal_mail_filter_classes, STR("bounce"));

    return SUBMIT_MAP_OK | (wanted ? SUBMIT_FILTER | SUBMIT_LOCAL : 0u) |
           (needs_utf8(n) ? SUBMIT_UTF8 : 0u) |
           (asks_requiretls(n) && !conf.requiretls_redact_dsn ? SUBMIT_REQUIRETLS : 0u) |
           submit_class(n->to_postmaster ? "notify" : "bounce");
}

static void put_envelope(struct submit *s, const struct notice *n, int64_t now_us)
{
    struct buf date = BUF(100); /* fits: a date */

    submit_putf(s, REC_TIME, "%lld %lld", (long long)(now_us / 1000000),
                (long long)(now_us % 1000000));
    submit_putf(s, REC_ATTR, "log_message_origin=local");
    submit_putf(s, REC_ATTR, "rewrite_context=local");
    submit_putf(s, REC_ATTR, "received_before=by %s (%s)\n\t", conf.myhostname, conf.mail_name);
    date_format_local(now_us / 1000000, &date);
    submit_putf(s, REC_ATTR, "received_after=; %s", date.p);
    if (n->d->priority != 0) /* RFC 6710 4.5: as that of the message */
        submit_putf(s, REC_ATTR, "mt_priority=%d", n->d->priority);
    submit_put(s, REC_FROM, strz(n->from));
    submit_put(s, REC_RCPT, strz(n->to));
    submit_put(s, REC_MESG, STR(""));
    buf_free(&date);
}

/* RFC 3461 4.3: RET is obeyed; what is large comes without its body. */
static bool wants_whole(const struct notice *n, const struct outgoing *m)
{
    if (asks_requiretls(n) &&
        conf.requiretls_redact_dsn) /* RFC 8689 4.1: it may go on unencrypted */
        return false;
    return !n->headers_only && n->d->dsn_ret != DSN_RET_HDRS &&
           n->d->content_size <= conf.bounce_size_limit && n->d->content_size <= room_in(m);
}

/* *n_told: the recipients that this message tells of. */
static int put_content(struct outgoing *m, const struct notice *n, struct dsn_report *r,
                       size_t *n_told, struct why *why)
{
    struct buf words = BUF_TEXT(TEXT_MAX), text = BUF_TEXT(TEXT_MAX), fields = BUF_TEXT(TEXT_MAX);
    struct why unread = WHY;
    int result = 0;

    *n_told = describe_rcpts(n, r, &text, &fields);
    dsn_report_begin(r, &words);
    put_lines(m, &words);
    put_lines(m, &text);
    dsn_report_status(r, &words);
    put_lines(m, &words);
    put_lines(m, &fields);
    r->whole_original = wants_whole(n, m);
    dsn_report_original(r, &words);
    put_lines(m, &words);
    if (put_original(m, n->d, !r->whole_original, &unread) < 0 && r->now < r->retry_until) {
        why_copy(why, &unread);
        result = -1;
    }
    dsn_report_end(r, &words);
    put_lines(m, &words);
    submit_put(m->submit, REC_XTRA, STR(""));
    submit_put(m->submit, REC_END, STR(""));
    buf_free(&words);
    buf_free(&text);
    buf_free(&fields);
    why_free(&unread);
    return result;
}

static int64_t retry_until(const struct notice *n)
{
    int64_t lifetime =
        *n->d->sender == 0 ? conf.bounce_queue_lifetime : conf.maximal_queue_lifetime;
    return n->d->created_s > 0 ? delivery_begins_s(n->d) + lifetime : 0;
}

/* One message of it. */
static int send_message(const struct notice *n, size_t *n_told, struct why *why)
{
    struct buf boundary = BUF(300); /* fits: an id, a time, the start of a host name */
    struct buf id = BUF(100);
    /* fits: records, all of them quoted */
    struct buf sender = BUF(2 * REC_MAX + 2), to = BUF(2 * REC_MAX + 2);
    struct buf text = BUF_TEXT(TEXT_MAX);
    struct buf message_id = BUF(998); /* asked: by find_message_id. RFC 5322 2.1.1 */
    int64_t now_us = clock_wall_us();
    struct outgoing m = {.submit = submit_begin(submit_flags(n), why)};

    if (m.submit == NULL)
        return -1;
    buf_addf(&boundary, "%s.%lld/%.200s", n->d->queue_id, (long long)(now_us / 1000000),
             conf.myhostname);
    path_quote(strz(n->d->sender), &sender);
    path_quote(strz(n->to), &to);
    if (conf.enable_threaded_bounces)
        find_message_id(n->d, &message_id);
    report_words_expand(bounce_words(n->kind)->text, &text);
    struct dsn_report report = {
        .kind = n->kind,
        .words = bounce_words(n->kind),
        .text = text.p,
        .references = message_id.p,
        .to_postmaster = n->to_postmaster,
        .utf8 = needs_utf8(n),
        .tls_not_required = (n->d->sendopts & SENDOPT_TLS_NOT_REQUIRED) != 0 && !asks_requiretls(n),
        .utf8_names = conf.smtputf8_enable,
        .host = conf.myhostname,
        .product = conf.mail_name,
        .queue_id = n->d->queue_id,
        .sender = sender.p,
        .to = to.p,
        .envid = n->d->dsn_envid,
        .release_request = n->d->release_request,
        .boundary = boundary.p,
        .now = now_us / 1000000,
        .arrival = n->d->arrival_us / 1000000,
        .deliver_by = n->d->by.s,
        .retry_until = retry_until(n),
    };
    put_envelope(m.submit, n, now_us);
    int result = put_content(&m, n, &report, n_told, why);
    if (result == 0)
        result = submit_commit(&m.submit, &id, why);
    submit_abort(&m.submit);
    if (result == 0)
        msg_info("%s: %s: %s", n->d->queue_id, n->what, id.p);
    buf_free(&boundary);
    buf_free(&id);
    buf_free(&sender);
    buf_free(&to);
    buf_free(&text);
    buf_free(&message_id);
    return result;
}

int notice_send(const struct notice *n, struct why *why)
{
    struct notice left = *n;
    size_t told;

    do {
        if (send_message(&left, &told, why) < 0)
            return -1;
        left.records += told;
        left.n -= told;
    } while (left.n > 0);
    return 0;
}
