/*
 * One transaction: MAIL, RCPT of each waiting recipient, DATA, the content. RFC 5321 3.3; RFC 2920:
 * commands go out together where the server allows it; RFC 2033 4.2: LMTP answers the content once
 * per recipient.
 */
#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "mail/esmtp_cmd.h"
#include "mail/path.h"
#include "net/stream.h"

#include "smtp.h"

/* What may be on its way without reading replies: RFC 2920 3.1, both sides must not wait. */
enum { AHEAD_MOST = 4000, ADDRESS_MOST = 4096, ORCPT_MOST = 1500, ENVID_MOST = 500 };

enum step {
    STEP_RSET,
    STEP_XFORWARD_CLIENT,
    STEP_XFORWARD_SESSION,
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_END
};
struct place {
    enum step step;
    size_t rcpt; /* STEP_RCPT: which of the list */
};

struct transaction {
    struct smtp_job *job;
    struct smtp_session *s;
    size_t *list; /* the recipients of this transaction, as indices */
    size_t n;
    struct place send, recv;
    size_t ahead; /* bytes of commands that are not answered yet */
    const char *xforward_client, *xforward_session; /* commands; null: not to be sent */
    bool mail_ok, data_ok, data_sent;
    size_t taken;
};

static void next_place(const struct transaction *t, struct place *p)
{
    if (p->step != STEP_RCPT)
        p->step++;
    else if (++p->rcpt == t->n)
        p->step = STEP_DATA;
    if (p->step == STEP_XFORWARD_CLIENT && t->xforward_client == NULL)
        p->step++;
    if (p->step == STEP_XFORWARD_SESSION && t->xforward_session == NULL)
        p->step++;
}

/* As it stands between < and >. Null: too long to be said (RFC 5321 4.5.3.1.3 wants 256 bytes at
 * most; more are sent, but no server takes a line without end). */
static const char *quoted(struct smtp_job *job, const char *address)
{
    struct buf text = BUF(ADDRESS_MOST);

    if (conf.smtp_quote_rfc821_envelope)
        path_quote(strz(address), &text);
    else
        buf_addz(&text, address);
    const char *out = buf_ok(&text) ? arena_strz(job->mem, buf_str(&text)) : NULL;
    buf_free(&text);
    return out;
}

/* An address that cannot be said must not become another one. */
static bool sender_too_long(struct smtp_job *job, struct smtp_session *s, struct why *why)
{
    if (quoted(job, job->d->sender) != NULL)
        return false;
    why_set(why, "5.1.7", "the sender address is too long");
    smtp_rcpts_failed(job, s, "w", why, false);
    return true;
}

static bool rcpt_too_long(struct smtp_job *job, struct smtp_session *s, size_t i)
{
    struct why why = WHY;

    if (quoted(job, job->d->rcpts[i].address) != NULL)
        return false;
    why_set(&why, "5.1.3", "the recipient address is too long");
    smtp_rcpt_failed(job, s, i, &why, false);
    why_free(&why);
    return true;
}

static void list_rcpts(struct transaction *t)
{
    struct smtp_job *job = t->job;
    size_t most = t->s->ehlo.rcpt_max > 0 ? t->s->ehlo.rcpt_max : job->d->nrcpts; /* RFC 9422 */

    t->list = arena_array(job->mem, job->d->nrcpts + 1, sizeof *t->list);
    for (; job->next < job->d->nrcpts && t->n < most; job->next++)
        if (job->rcpts[job->next] == SMTP_RCPT_WAITS && !rcpt_too_long(job, t->s, job->next))
            t->list[t->n++] = job->next;
}

/* RFC 3461 4.4: at most 100 characters. Left out if it is too long, as ORCPT. */
static void put_envid(const struct delivery *d, struct buf *args)
{
    struct buf text = BUF(ENVID_MOST);

    buf_addz(&text, " ENVID=");
    xtext_encode(strz(d->dsn_envid), &text);
    if (d->dsn_envid[0] != 0 && buf_ok(&text))
        buf_add(args, buf_str(&text));
    buf_free(&text);
}

static void send_mail(struct smtp_job *job, struct smtp_session *s)
{
    const struct delivery *d = job->d;
    unsigned ext = s->ehlo.ext;
    /* fits: ENVID_MOST and six words */
    struct buf args = BUF(1000);

    if (ext & ESMTP_SIZE) /* RFC 1870 */
        buf_addf(&args, " SIZE=%lld", (long long)d->content_size);
    if ((ext & ESMTP_8BITMIME) && strcmp(d->encoding, "8bit") == 0) /* RFC 6152 */
        buf_addz(&args, " BODY=8BITMIME");
    if ((ext & ESMTP_SMTPUTF8) && (d->sendopts & SENDOPT_UTF8)) /* RFC 6531 3.4 */
        buf_addz(&args, " SMTPUTF8");
    if (smtp_says_requiretls(job, s)) /* RFC 8689 2 */
        buf_addz(&args, " REQUIRETLS");
    if ((ext & ESMTP_MT_PRIORITY) && d->priority != 0) /* RFC 6710 4.1 */
        buf_addf(&args, " MT-PRIORITY=%d", d->priority);
    smtp_put_deliver_by(job, s, &args);
    if (ext & ESMTP_DSN) { /* RFC 3461 4.3, 4.4 */
        put_envid(d, &args);
        if (d->dsn_ret != DSN_RET_NONE)
            buf_addz(&args, d->dsn_ret == DSN_RET_FULL ? " RET=FULL" : " RET=HDRS");
    }
    smtp_command(s, "sending MAIL FROM", "MAIL FROM:<%s>%s", quoted(job, d->sender), args.p);
    buf_free(&args);
}

/* RFC 3461 4.2: an atom, so that nothing else stands in the command. */
static bool is_address_type(struct str type)
{
    for (size_t i = 0; i < type.n; i++)
        if (type.p[i] <= ' ' || type.p[i] > '~' || strchr("()<>@,;:\\\".[]=", type.p[i]) != NULL)
            return false;
    return type.n > 0;
}

/* RFC 3461 4.2. Left out if it is too long: the mail is more than its report. */
static void put_orcpt(const struct rcpt *r, struct buf *args)
{
    struct buf text = BUF(ORCPT_MOST);
    ptrdiff_t type = str_find(strz(r->dsn_orcpt), ';');

    if (type > 0 && is_address_type(str_upto(strz(r->dsn_orcpt), (size_t)type))) {
        buf_addf(&text, " ORCPT=%.*s;", (int)type, r->dsn_orcpt);
        if (str_istarts(strz(r->dsn_orcpt), STR("utf-8;"))) /* RFC 6533 3 */
            uxtext_encode(strz(r->dsn_orcpt + type + 1), &text);
        else
            xtext_encode(strz(r->dsn_orcpt + type + 1), &text);
        if (buf_ok(&text))
            buf_add(args, buf_str(&text));
    }
    buf_free(&text);
}

static void send_rcpt(struct smtp_job *job, struct smtp_session *s, const struct rcpt *r)
{
    /* fits: ORCPT_MOST and the words of NOTIFY */
    struct buf args = BUF(ORCPT_MOST + 100);

    if (s->ehlo.ext & ESMTP_DSN) { /* RFC 3461 4.1 */
        unsigned notify = smtp_notify_for(job, s, r);
        if (notify != 0) {
            buf_addz(&args, " NOTIFY=");
            dsn_notify_format(notify, &args);
        }
        put_orcpt(r, &args);
    }
    smtp_command(s, "sending RCPT TO", "RCPT TO:<%s>%s", quoted(job, r->address), args.p);
    buf_free(&args);
}

static const char *doing(enum step step)
{
    static const char *const texts[] = {"sending RSET",
                                        "sending XFORWARD name/address",
                                        "sending XFORWARD helo/protocol",
                                        "sending MAIL FROM",
                                        "sending RCPT TO",
                                        "sending DATA command"};
    return texts[step];
}

static void send_one(struct transaction *t)
{
    size_t before = stream_pending(t->s->stream);

    switch (t->send.step) {
    case STEP_RSET:
        smtp_command(t->s, doing(STEP_RSET), "RSET");
        break;
    case STEP_XFORWARD_CLIENT:
        smtp_command(t->s, doing(STEP_XFORWARD_CLIENT), "%s", t->xforward_client);
        break;
    case STEP_XFORWARD_SESSION:
        smtp_command(t->s, doing(STEP_XFORWARD_SESSION), "%s", t->xforward_session);
        break;
    case STEP_MAIL:
        send_mail(t->job, t->s);
        break;
    case STEP_RCPT:
        send_rcpt(t->job, t->s, &t->job->d->rcpts[t->list[t->send.rcpt]]);
        break;
    default:
        smtp_command(t->s, "sending DATA command", "DATA");
        t->data_sent = true;
    }
    size_t after = stream_pending(t->s->stream);
    t->ahead += after > before ? after - before : after;
    next_place(t, &t->send);
}

/* Only the log of the next host misses something. Also after a 421: see rcpt_reply. */
static void xforward_reply(struct transaction *t, const char *what)
{
    if (t->s->reply.code / 100 != 2)
        msg_warn("host %s said: %s (in reply to XFORWARD %s command)", t->s->namaddr,
                 t->s->reply_text.p, what);
    t->s->broken = false;
}

static void mail_reply(struct transaction *t, struct why *why)
{
    t->mail_ok = t->s->reply.code / 100 == 2;
    if (t->mail_ok) {
        t->s->needs_rset = true;
        return;
    }
    smtp_why_reply(t->s, "MAIL FROM", why);
    smtp_rcpts_failed(t->job, t->s, "w", why, true);
}

/* A probe is a message that nobody gets. */
static bool is_probe(const struct smtp_job *job)
{
    return (job->d->flags & DELIVERY_TRACE_ONLY) != 0;
}

static bool ends_behind_rcpt(const struct smtp_job *job)
{
    return is_probe(job) && strcmp(conf.smtp_address_verify_target, "data") != 0;
}

static void rcpt_reply(struct transaction *t, struct why *why)
{
    size_t i = t->list[t->recv.rcpt];

    if (t->s->reply.code / 100 == 2) {
        if (ends_behind_rcpt(t->job)) {
            smtp_rcpt_sent(t->job, t->s, i);
        } else {
            t->job->rcpts[i] = SMTP_RCPT_TAKEN;
            t->taken++;
        }
        return;
    }
    smtp_why_reply(t->s, "RCPT TO", why);
    smtp_rcpt_failed(t->job, t->s, i, why, true);
    /* By RFC 5321 3.8 a server that says 421 closes. Some mean this recipient and go on: the others
     * must not fail with each attempt because of that one. */
    t->s->broken = false;
}

/* smtp_address_verify_target = data: no message may come of it, so the connection is closed. */
static void end_probe(struct transaction *t)
{
    struct smtp_job *job = t->job;

    for (size_t i = 0; i < job->d->nrcpts; i++)
        if (job->rcpts[i] == SMTP_RCPT_TAKEN)
            smtp_rcpt_sent(job, t->s, i);
    t->taken = 0;
    t->data_ok = false; /* nothing follows */
    t->s->broken = true;
}

static void data_reply(struct transaction *t, struct why *why)
{
    t->data_ok = t->s->reply.code / 100 == 3;
    if (t->data_ok && is_probe(t->job))
        end_probe(t);
    if (t->data_ok || t->taken == 0)
        return;
    smtp_why_reply(t->s, "DATA", why);
    smtp_rcpts_failed(t->job, t->s, "t", why, true);
    t->taken = 0;
}

static int64_t limit_of(enum step step)
{
    return step == STEP_RSET   ? conf.smtp_rset_timeout
           : step < STEP_MAIL  ? conf.smtp_xforward_timeout
           : step == STEP_MAIL ? conf.smtp_mail_timeout
           : step == STEP_RCPT ? conf.smtp_rcpt_timeout
                               : conf.smtp_data_init_timeout;
}

/* One reply, and what follows from it. -1: the connection has failed. */
static int receive_one(struct transaction *t, struct why *why)
{
    struct place at = t->recv;

    t->s->doing = doing(at.step);
    if (smtp_read_reply(t->s, limit_of(at.step), why) < 0)
        return -1;
    if (at.step == STEP_XFORWARD_CLIENT)
        xforward_reply(t, "name/address");
    else if (at.step == STEP_XFORWARD_SESSION)
        xforward_reply(t, "helo/protocol");
    else if (at.step == STEP_MAIL)
        mail_reply(t, why);
    else if (at.step == STEP_RCPT && t->mail_ok)
        rcpt_reply(t, why);
    else if (at.step == STEP_DATA)
        data_reply(t, why);
    next_place(t, &t->recv);
    return 0;
}

static bool caught_up(const struct transaction *t)
{
    return t->recv.step == t->send.step && t->recv.rcpt == t->send.rcpt;
}

/* Is there a sense in going on sending? Only asked when all that was sent is answered. */
static bool goes_on(const struct transaction *t)
{
    if (t->send.step == STEP_END)
        return false;
    if (t->send.step > STEP_MAIL && !t->mail_ok)
        return false;
    return t->send.step != STEP_DATA || t->taken > 0;
}

static int commands(struct transaction *t, struct why *why)
{
    bool pipelining = (t->s->ehlo.ext & ESMTP_PIPELINING) != 0;
    bool no_data = ends_behind_rcpt(t->job);

    while (goes_on(t) && !t->s->broken) {
        t->ahead = 0;
        do
            send_one(t);
        while (pipelining && t->send.step != STEP_END && t->ahead < AHEAD_MOST &&
               !(no_data && t->send.step == STEP_DATA));
        while (!caught_up(t))
            if (receive_one(t, why) < 0)
                return -1;
    }
    return 0;
}

/* RFC 2033 4.2: in the order of the recipients that were taken. */
static int lmtp_replies(struct transaction *t, struct why *why)
{
    struct smtp_job *job = t->job;

    for (size_t i = 0; i < job->d->nrcpts; i++) {
        if (job->rcpts[i] != SMTP_RCPT_TAKEN)
            continue;
        if (smtp_read_reply(t->s, conf.smtp_data_done_timeout, why) < 0)
            return -1;
        if (t->s->reply.code / 100 == 2) {
            smtp_rcpt_sent(job, t->s, i);
        } else {
            smtp_why_reply(t->s, "end of DATA", why);
            smtp_rcpt_failed(job, t->s, i, why, true);
        }
    }
    return 0;
}

static int end_reply(struct transaction *t, struct why *why)
{
    struct smtp_job *job = t->job;

    if (t->s->lmtp && t->taken > 0)
        return lmtp_replies(t, why);
    if (smtp_read_reply(t->s, conf.smtp_data_done_timeout, why) < 0)
        return -1;
    if (t->s->reply.code / 100 != 2) {
        smtp_why_reply(t->s, "end of DATA", why);
        smtp_rcpts_failed(job, t->s, "t", why, true);
        return 0;
    }
    for (size_t i = 0; i < job->d->nrcpts; i++)
        if (job->rcpts[i] == SMTP_RCPT_TAKEN)
            smtp_rcpt_sent(job, t->s, i);
    return 0;
}

static int content(struct transaction *t, struct why *why)
{
    if (t->taken == 0) { /* RFC 2920 3.1: DATA was accepted without a recipient */
        if (t->s->lmtp) {
            t->s->broken = true;
            return 0;
        }
        t->s->doing = "sending end of data";
        stream_put(t->s->stream, STR(".\r\n"));
        return smtp_read_reply(t->s, conf.smtp_data_done_timeout, why);
    }
    if (smtp_send_body(t->job, t->s, why) < 0) {
        t->s->broken = true; /* no dot: the server must throw away what it got */
        return -1;
    }
    return end_reply(t, why);
}

/* As Postfix: only who asked for it is refused because of it. */
static bool needs_utf8(const struct delivery *d)
{
    bool needs = (d->sendopts & (SENDOPT_UTF8_HEADER | SENDOPT_UTF8_SENDER)) != 0;

    for (size_t i = 0; i < d->nrcpts && !needs; i++)
        needs = !utf8_is_ascii(strz(d->rcpts[i].address));
    return needs && (d->sendopts & SENDOPT_UTF8) != 0;
}

/* RFC 1870 6.1, RFC 2852 4.1.4.1, RFC 6531 3.5: what this server cannot take is not offered. */
static bool too_much_for(struct smtp_job *job, struct smtp_session *s, struct why *why)
{
    const struct delivery *d = job->d;
    bool utf8 = needs_utf8(d);

    if (s->ehlo.size > 0 && d->content_size > 0 && (uint64_t)d->content_size > s->ehlo.size)
        why_set(why, "5.3.4", "message size %lld exceeds size limit %llu of server %s",
                (long long)d->content_size, (unsigned long long)s->ehlo.size, s->namaddr);
    else if (utf8 && (s->ehlo.ext & ESMTP_SMTPUTF8) == 0)
        why_set(why, "5.6.7", "SMTPUTF8 is required, but was not offered by host %s", s->namaddr);
    else if (!smtp_lacks_requiretls(job, s, why) && !smtp_lacks_deliver_by(job, s, why))
        return false;
    smtp_rcpts_failed(job, s, "w", why, false);
    return true;
}

void smtp_transfer(struct smtp_job *job, struct smtp_session *s)
{
    struct transaction t = {.job = job, .s = s};
    struct why why = WHY;
    int failed;

    if (too_much_for(job, s, &why) || sender_too_long(job, s, &why)) {
        job->next = job->d->nrcpts;
        why_free(&why);
        return;
    }
    list_rcpts(&t);
    if (t.n == 0)
        return;
    t.xforward_client = smtp_xforward_client(job, s);
    t.xforward_session = smtp_xforward_session(job, s);
    t.send.step = STEP_RSET;
    if (!s->needs_rset)
        next_place(&t, &t.send);
    t.recv = t.send;
    job->outcome.data_us = clock_wall_us();
    failed = smtp_check_turn(s, doing(t.send.step), &why);
    if (failed == 0)
        failed = commands(&t, &why);
    if (failed == 0 && t.data_ok) {
        failed = content(&t, &why);
        s->needs_rset = false;
    }
    /* An idle connection that had died: nothing is said of it, a new one is made. */
    if (failed < 0 && (s->answered || s->uses == 0))
        smtp_rcpts_failed(job, s, "wt", &why, false);
    s->uses++;
    for (size_t i = 0; i < job->d->nrcpts; i++)
        if (job->rcpts[i] == SMTP_RCPT_TAKEN)
            job->rcpts[i] = SMTP_RCPT_WAITS;
    if (s->answered)
        job->site_answered = true;
    why_free(&why);
}
