/*
 * The DATA command: content from the client to cleanup, as queue file records. RFC 5321 4.1.1.4
 *
 * A small message waits here until its end has come and goes to cleanup in one piece, envelope and
 * all; a large one is passed on as it comes. The content is touched once: lines are found in the
 * stream's buffer and copied behind their record heads.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "dict/match.h"
#include "mail/domain.h"
#include "mail/esmtp_data.h"
#include "mail/header.h"
#include "mail/path.h"
#include "mail/received.h"
#include "milter/milter.h"
#include "net/tls.h"
#include "queue/submit.h"
#include "task/task.h"

#include "smtpd.h"
#include "smtpd_check.h"
#include "smtpd_milter.h"
#include "smtpd_proxy.h"

enum { PASS_ON = 48 * 1024, RECORDS_LIMIT = 128 * 1024, LINE_MOST = 32 * 1024, RECORD_HEAD = 8 };

static struct {
    struct match *bare_lf_exceptions;
} data;

/* Results of actions in access tables: a part of struct smtpd_mail, as it was. */
struct smtpd_orders {
    unsigned submit_flags;
    const char *filter, *redirect;
    size_t bcc; /* how many */
};

/* The message on its way. */
struct transfer {
    struct smtpd *s;
    struct smtpd_mail *m;
    struct buf records; /* not passed on yet */
    struct submit *submit; /* null until something was */
    bool milters; /* that want the content: it has begun at DATA */
    struct why why;
    struct smtpd_orders ordered; /* what cleanup was told at the beginning */
    bool too_big, broken;
    bool header_begun; /* a line came that is no mailbox separator */
    struct buf line; /* one that was changed */
};

void smtpd_open_data(void)
{
    submit_open_overrides();
    data.bare_lf_exceptions = match_open_hosts("smtpd_forbid_bare_newline_exclusions",
                                               conf.smtpd_forbid_bare_newline_exclusions);
}

/* Of submit.h, as far as is known by now. */
static unsigned flags_of(const struct smtpd_mail *m)
{
    return m->submit_flags | (m->filter_discards ? SUBMIT_DISCARD : 0);
}

static void pass_on(struct transfer *t)
{
    if (t->why.code[0] == 0 && t->submit == NULL)
        t->submit = submit_begin(submit_external() | t->ordered.submit_flags, &t->why);
    if (t->submit != NULL)
        submit_raw(t->submit, buf_str(&t->records));
    buf_clear(&t->records);
}

/* One record on its way to cleanup; many small ones go there in one piece. */
static void put(struct transfer *t, enum rec type, struct str body)
{
    if (t->records.n + body.n + RECORD_HEAD > RECORDS_LIMIT)
        pass_on(t);
    qrec_put(&t->records, type, body);
    if ((!buf_ok(&t->records) || body.n > SUBMIT_RECORD_MAX) && t->why.code[0] == 0)
        why_set(&t->why, "5.3.4", "a record of %zu bytes is too long", body.n);
    if (t->records.n >= PASS_ON)
        pass_on(t);
}

/* And frees it. */
static void put_body(struct transfer *t, enum rec type, struct buf *body)
{
    if (buf_ok(body))
        put(t, type, buf_str(body));
    else if (t->why.code[0] == 0)
        why_set(&t->why, "5.3.4", "a record of the envelope is too long");
    buf_free(body);
}

static void putf(struct transfer *t, enum rec type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void putf(struct transfer *t, enum rec type, const char *fmt, ...)
{
    struct buf body = BUF(RECORDS_LIMIT / 2); /* asked: by put_body */
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&body, fmt, ap);
    va_end(ap);
    put_body(t, type, &body);
}

static void attr(struct transfer *t, const char *name, const char *value)
{
    struct buf body = BUF(RECORDS_LIMIT / 2); /* asked: by put_body */

    if (value == NULL)
        return;
    buf_addz(&body, name);
    buf_addc(&body, '=');
    buf_addz(&body, value);
    put_body(t, REC_ATTR, &body);
}

/* What the Received field says of this client: RFC 5321 4.4, RFC 3848 (with ESMTPSA). */
static void make_trace(struct transfer *t, struct buf *before, struct buf *after)
{
    struct smtpd *s = t->s;
    struct buf rcpt = BUF(RECORDS_LIMIT / 8);
    struct buf protocol = BUF(20); /* fits: UTF8SMTPSA */
    struct received r = {.helo = s->helo != NULL ? s->helo : s->peer.name,
                         .client_name = s->peer.name,
                         .client_addr = s->peer.addr_text,
                         .host = conf.myhostname,
                         .mail_name = conf.mail_name,
                         .hidden = conf.smtpd_hide_client_session,
                         .wall = clock_wall()};

    buf_addf(&protocol, "%s%s%s", smtpd_protocol(s), s->esmtp && s->tls != NULL ? "S" : "",
             s->esmtp && s->sasl_username != NULL ? "A" : "");
    r.protocol = protocol.p;
    if (conf.smtpd_tls_received_header && s->tls != NULL)
        r.tls = s->tls->summary;
    if (conf.smtpd_sasl_authenticated_header)
        r.login = s->sasl_username;
    if (t->m->rcpts.n == 1) { /* more would tell one of the other */
        path_quote(strz(t->m->rcpts.at[0].address), &rcpt);
        r.rcpt = rcpt.p;
    }
    received_before(&r, before);
    received_after(&r, after);
    if (!buf_ok(before) || !buf_ok(after) || !buf_ok(&rcpt))
        why_set(&t->why, "5.3.4", "the trace field is too long");
    buf_free(&rcpt);
    buf_free(&protocol);
}

static void put_trace(struct transfer *t)
{
    /* asked: by make_trace */
    struct buf before = BUF(RECORDS_LIMIT / 4), after = BUF(RECORDS_LIMIT / 4);

    make_trace(t, &before, &after);
    attr(t, "received_before", before.p);
    attr(t, "received_after", after.p);
    buf_free(&before);
    buf_free(&after);
}

/* The line that begins the log of a message. cleanup writes it in our name, since it knows the
 * queue id before us. */
static void put_log_line(struct transfer *t)
{
    struct smtpd *s = t->s;
    struct buf line = BUF_TEXT(4096), who = BUF_TEXT(200);

    msg_who(&who);
    attr(t, "log_as", who.p);
    smtpd_describe_client(s, &line);
    attr(t, "log_text", line.p);
    buf_free(&line);
    buf_free(&who);
}

/* Where it came from: after a content filter, what the filter says of it (XFORWARD). */
static void put_origin(struct transfer *t)
{
    struct smtpd *s = t->s;
    struct buf namaddr = BUF_TEXT(1000);

    smtpd_origin_namaddr(s, &namaddr);
    attr(t, "log_ident", smtpd_origin(s, X_IDENT));
    attr(t, "log_client_name", smtpd_origin(s, X_NAME));
    attr(t, "log_client_address", smtpd_origin(s, X_ADDR));
    attr(t, "log_client_port", smtpd_origin(s, X_PORT));
    attr(t, "log_message_origin", namaddr.p);
    attr(t, "log_helo_name", smtpd_origin(s, X_HELO));
    attr(t, "log_protocol_name", smtpd_origin(s, X_PROTO));
    buf_free(&namaddr);
}

/* Who speaks with us now. */
static void put_client(struct transfer *t)
{
    struct smtpd *s = t->s;
    char local[ADDR_TEXT], local_port[8];

    snprintf(local_port, sizeof local_port, "%u", s->peer.local.port);
    put_origin(t);
    attr(t, "client_name", s->peer.name);
    attr(t, "reverse_client_name", s->peer.reverse_name);
    attr(t, "client_address", s->peer.addr_text);
    attr(t, "client_port", s->port);
    attr(t, "server_address", addr_text(&s->peer.local, local));
    attr(t, "server_port", local_port);
    attr(t, "helo_name", s->helo);
    attr(t, "protocol_name", smtpd_protocol(s));
    attr(t, "sasl_method", s->sasl_method);
    attr(t, "sasl_username", s->sasl_username);
    if (s->sasl_username != NULL)
        attr(t, "sasl_sender", t->m->sasl_sender);
}

static void put_rcpt(struct transfer *t, const struct smtpd_rcpt *r)
{
    attr(t, "dsn_orig_rcpt", r->orcpt);
    if (r->notify != 0)
        putf(t, REC_ATTR, "notify_flags=%u", r->notify);
    put(t, REC_ORCP, strz(r->address));
    put(t, REC_RCPT, strz(r->address));
}

/* What access tables ordered: as a recipient who wants no reports. */
static void put_bcc(struct transfer *t, const char *address)
{
    putf(t, REC_ATTR, "notify_flags=%d", DSN_NEVER);
    put(t, REC_ORCP, strz(address));
    put(t, REC_RCPT, strz(address));
}

/* The filters' connections, which cleanup uses until it has answered. */
static void put_milters(struct transfer *t)
{
    struct buf state = BUF(MILTERS_STATE_MOST);
    int fds[MILTERS_MOST];
    size_t n;

    pass_on(t);
    if (!milters_export(t->s->milters, &state, fds, &n))
        why_set(&t->why, "4.3.0", "the mail filters cannot be handed over");
    else if (n > 0 && buf_ok(&state))
        submit_milters(t->submit, buf_str(&state), fds, n);
    buf_free(&state);
}

/* The before-queue filter has the envelope already: what is left are header fields. There is no
 * queue id yet. */
static void put_to_proxy(struct transfer *t)
{
    /* asked: by make_trace */
    struct buf field = BUF(RECORDS_LIMIT), after = BUF(RECORDS_LIMIT / 4);
    struct str rest, line;

    VEC_EACH (&t->m->prepend, text)
        smtpd_proxy_put(t->s, strz(*text), true);
    buf_addz(&field, "Received: ");
    make_trace(t, &field, &after);
    buf_cut(&field, str_rtrim(buf_str(&field)).n);
    buf_add(&field, buf_str(&after));
    if (!buf_ok(&field) && t->why.code[0] == 0)
        why_set(&t->why, "5.3.4", "the trace field is too long");
    rest = buf_str(&field);
    while (str_split(&rest, '\n', &line))
        smtpd_proxy_put(t->s, line, true);
    buf_free(&field);
    buf_free(&after);
}

static void put_envelope(struct transfer *t)
{
    struct smtpd_mail *m = t->m;
    int64_t now = clock_wall_us();

    putf(t, REC_TIME, "%" PRId64 " %" PRId64, now / 1000000, now % 1000000);
    attr(t, "rewrite_context", smtpd_origin_is_local(t->s) ? "local" : "remote");
    put_trace(t);
    const char *filter = m->filter != NULL ? m->filter : conf.content_filter;
    if (*filter != 0)
        put(t, REC_FILT, strz(filter));
    if (m->redirect != NULL)
        put(t, REC_RDIR, strz(m->redirect));
    VEC_EACH (&m->prepend, line)
        attr(t, "prepend", *line);
    put(t, REC_FROM, strz(m->sender));
    put_client(t);
    put_log_line(t);
    attr(t, "encoding", m->eight_bit ? "8bit" : "7bit");
    attr(t, "envelope_id", m->envid);
    if (m->ret != DSN_RET_NONE)
        putf(t, REC_ATTR, "ret_flags=%d", (int)m->ret);
    VEC_EACH (&m->rcpts, r)
        put_rcpt(t, r);
    VEC_EACH (&m->bcc, address)
        put_bcc(t, *address);
    if (t->milters)
        put_milters(t);
    put(t, REC_MESG, STR(""));
}

/* To the queue, or to the before-queue filter. */
static void put_content(struct transfer *t, enum rec type, struct str text)
{
    if (t->m->proxy != NULL)
        smtpd_proxy_put(t->s, text, type == REC_NORM);
    else
        put(t, type, text);
}

/* "From a@x Tue ..." of mailbox files, which some programs send: as Postfix, a field is made of
 * such lines, so that they do not end the header. */
static bool is_mailbox_line(struct str line)
{
    while (line.n > 0 && line.p[0] == '>')
        line = str_from(line, 1);
    return str_starts(line, STR("From "));
}

/*
 * Content goes through a list of sinks, record by record. Each looks at a record, and may change
 * what the next ones get of it. False: the record goes no further.
 */
typedef bool content_sink(struct transfer *t, enum rec type, struct str *text);

static bool limit_size(struct transfer *t, enum rec type, struct str *text)
{
    struct smtpd_mail *m = t->m;

    m->bytes += (int64_t)text->n + (type == REC_NORM ? 2 : 0);
    if (conf.message_size_limit > 0 && m->bytes > conf.message_size_limit)
        t->too_big = true;
    return !t->too_big && t->why.code[0] == 0;
}

static bool mend_mailbox_lines(struct transfer *t, enum rec type, struct str *text)
{
    (void)type;
    if (t->header_begun)
        return true;
    if (is_mailbox_line(*text)) {
        buf_setz(&t->line, "X-Mailbox-Line: ");
        buf_add(&t->line, *text);
        *text = buf_str(&t->line);
        return buf_ok(&t->line);
    }
    t->header_begun = true;
    if (header_continues(*text)) /* it continues nothing: the body begins */
        put_content(t, REC_NORM, STR(""));
    return true;
}

static bool submit_content(struct transfer *t, enum rec type, struct str *text)
{
    put_content(t, type, *text);
    return true;
}

static content_sink *const sinks[] = {limit_size, mend_mailbox_lines, submit_content};

static void take_piece(struct transfer *t, enum esmtp_data what, struct str piece)
{
    enum rec type = what == DATA_LINE ? REC_NORM : REC_CONT;

    for (size_t i = 0; i < sizeof sinks / sizeof *sinks; i++)
        if (!sinks[i](t, type, &piece))
            break;
}

/* smtpd_forbid_bare_newline = reject: the client is cut off at the first one. */
static bool may_send_bare_lf(struct smtpd *s)
{
    struct why why = WHY;

    if (strcmp(conf.smtpd_forbid_bare_newline, "reject") != 0)
        return true;
    bool may =
        match_host(data.bare_lf_exceptions, s->peer.name, s->peer.addr_text, &why) == DICT_FOUND;
    why_free(&why);
    return may;
}

/* (waits) Up to the end of the content. False: the client has gone, or must go. */
static bool receive(struct transfer *t)
{
    struct esmtp_data_in in = ESMTP_DATA_IN;
    struct stream *stream = t->s->stream;
    size_t want = 1;
    size_t limit =
        (size_t)(conf.line_length_limit < LINE_MOST ? conf.line_length_limit : LINE_MOST);

    smtpd_content_begins(t->s);
    for (;;) {
        size_t before = stream_ahead(stream);
        struct str window = stream_peek_n(stream, want), piece;
        size_t taken = 0, used;
        enum esmtp_data what;
        if (window.n < want)
            return false;
        smtpd_content_came(t->s, window.n - before);
        do {
            what = esmtp_data_in(&in, str_from(window, taken), limit, &piece, &used);
            taken += used;
            if (what == DATA_LINE || what == DATA_PIECE)
                take_piece(t, what, piece);
        } while (what == DATA_LINE || what == DATA_PIECE);
        want = window.n - taken + 1;
        stream_skip(stream, taken);
        if (in.bare_lf > 0 && !may_send_bare_lf(t->s)) {
            t->broken = true;
            return false;
        }
        if (what == DATA_END)
            return true;
    }
}

static int code_of(const struct why *why)
{
    if (strcmp(why->code, "5.3.4") == 0)
        return 552;
    if (strcmp(why->code, "5.4.0") == 0)
        return 554;
    if (strcmp(why->code, "4.3.1") == 0)
        return 452;
    return dsn_to_code(why->code);
}

/* What cleanup itself could not do; all else is the text of a table, or about the content. */
static bool is_error(const struct why *why)
{
    return strncmp(why->code + 1, ".3.", 3) == 0 || strcmp(why->code, "5.4.0") == 0 ||
           strcmp(why->code, "5.1.0") == 0;
}

static void smtpd_data_refuse(struct smtpd *s, const struct why *why)
{
    int code = code_of(why);

    smtpd_log_reject(s, "reject", NULL, code, why);
    smtpd_reply(s, code, why->code, "%s%s", is_error(why) ? "Error: " : "", why_text(why));
}

bool smtpd_begin_submission(struct smtpd *s)
{
    struct smtpd_mail *m = s->mail;
    struct buf id = BUF(100);
    struct why why = WHY;
    bool good = m->submit != NULL;

    if (!good) {
        m->early_flags = flags_of(m);
        m->submit = submit_begin(submit_external() | SUBMIT_MILTERS | m->early_flags, &why);
        good = m->submit != NULL && submit_queue_id(m->submit, &id, &why) == 0 && buf_ok(&id);
        m->queue_id = arena_strz(m->mem, buf_str(&id));
    }
    if (!good) {
        submit_abort(&m->submit);
        s->denial.code = code_of(&why);
        why_set(&s->denial.why, why.code, "Error: %s", why_text(&why));
        smtpd_log_reject(s, "reject", NULL, s->denial.code, &why);
    }
    buf_free(&id);
    why_free(&why);
    return good;
}

static void accept_mail(struct smtpd *s, const char *queue_id)
{
    smtpd_reply(s, 250, "2.0.0", "Ok: queued as %s", queue_id);
    s->errors = s->junk = 0;
}

/* What was ordered since then, mostly by the list at the end. It comes behind the content, as what
 * cleanup finds in it.
 */
static void put_late_orders(struct transfer *t)
{
    const struct smtpd_mail *m = t->m;

    if (flags_of(m) != t->ordered.submit_flags)
        putf(t, REC_FLGS, "%u", flags_of(m));
    if (m->filter != t->ordered.filter)
        put(t, REC_FILT, strz(m->filter));
    if (m->redirect != t->ordered.redirect)
        put(t, REC_RDIR, strz(m->redirect));
    for (size_t i = t->ordered.bcc; i < m->bcc.n; i++)
        put(t, REC_RCPT, strz(m->bcc.at[i]));
}

static void commit(struct transfer *t)
{
    struct smtpd *s = t->s;
    struct buf queue_id = BUF(100), reply = BUF_TEXT(MILTER_REPLY_MOST);

    put(t, REC_XTRA, STR(""));
    put_late_orders(t);
    put(t, REC_END, STR(""));
    pass_on(t);
    if (t->submit != NULL && submit_commit_reply(&t->submit, &queue_id, &reply, &t->why) == 0) {
        accept_mail(s, queue_id.p);
    } else if (reply.n > 0) { /* a filter's, logged by cleanup */
        smtpd_deny_as(s, buf_str(&reply));
        smtpd_reply_denial(s);
    } else {
        smtpd_data_refuse(s, &t->why);
    }
    buf_free(&reply);
    buf_free(&queue_id);
}

static void end_of_content(struct transfer *t)
{
    struct smtpd *s = t->s;

    smtpd_forget_facts(s); /* the content may have taken long */
    s->where = "END-OF-MESSAGE";
    if (t->too_big) {
        why_set(&t->why, "5.3.4", "message file too big");
        smtpd_data_refuse(s, &t->why);
    } else if (t->why.code[0] != 0) {
        smtpd_data_refuse(s, &t->why);
    } else if (!smtpd_event(s, SMTPD_END_OF_DATA, &(struct smtpd_facts){0})) {
        smtpd_reply_denial(s);
    } else if (t->m->proxy != NULL) {
        smtpd_proxy_end(s);
    } else {
        commit(t);
    }
}

/* The connection ended inside the content, or is to be ended. */
static void cut_off(struct transfer *t)
{
    struct smtpd *s = t->s;

    if (t->broken) {
        msg_info("bare <LF> in the content from %s", s->namaddr);
        smtpd_reply(s, (int)conf.smtpd_forbid_bare_newline_reject_code, "5.5.2",
                    "%s Error: bare <LF> received", conf.myhostname);
        s->closing = true;
    } else {
        s->where = arena_printf(s->mem, "DATA (%" PRId64 " bytes)", t->m->bytes);
    }
}

void smtpd_data(struct smtpd *s, struct str args)
{
    if (s->mail == NULL || s->mail->rcpts.n == 0) {
        if (s->mail != NULL) /* RFC 2920 3.1: the client had its refusals */
            smtpd_reply(s, 554, "5.5.1", "Error: no valid recipients");
        else
            smtpd_reply(s, 503, "5.5.1", "Error: need RCPT command");
        return;
    }
    if (args.n > 0) {
        smtpd_reply(s, 501, "5.5.4", "Syntax: DATA");
        return;
    }
    if (!smtpd_event(s, SMTPD_DATA, &(struct smtpd_facts){0})) {
        smtpd_reply_denial(s);
        return;
    }
    if (s->mail->proxy != NULL && !smtpd_proxy_data(s))
        return;
    struct transfer t = {.s = s, .m = s->mail, .why = WHY, .submit = s->mail->submit};
    s->mail->submit = NULL;
    t.milters = t.submit != NULL;
    t.ordered = (struct smtpd_orders){.submit_flags = t.milters ? t.m->early_flags : flags_of(t.m),
                                      .filter = t.m->filter,
                                      .redirect = t.m->redirect,
                                      .bcc = t.m->bcc.n};
    t.records = BUF(RECORDS_LIMIT);
    t.line = BUF(RECORDS_LIMIT / 2);
    if (s->mail->proxy != NULL)
        put_to_proxy(&t);
    else
        put_envelope(&t);
    smtpd_reply(s, 354, "", "End data with <CR><LF>.<CR><LF>");
    if (receive(&t))
        end_of_content(&t);
    else
        cut_off(&t);
    submit_abort(&t.submit);
    buf_free(&t.records);
    buf_free(&t.line);
    why_free(&t.why);
    smtpd_end_mail(s);
}
