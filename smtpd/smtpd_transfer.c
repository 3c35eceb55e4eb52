/*
 * Content from the client to cleanup, as queue file records.
 *
 * A small message waits here until its end has come and goes to cleanup in one piece, envelope and
 * all; a large one is passed on as it comes. The content is touched once: lines are found in the
 * stream's buffer and copied behind their record heads.
 */
#include "smtpd_transfer.h"

#include <inttypes.h>

#include "base/msg.h"
#include "conf/conf.h"
#include "dict/match.h"
#include "mail/header.h"
#include "milter/milter.h"
#include "queue/submit.h"

#include "smtpd_check.h"
#include "smtpd_milter.h"
#include "smtpd_notice.h"
#include "smtpd_proxy.h"

enum { PASS_ON = 48 * 1024, RECORD_HEAD = 8 };

static struct {
    struct match *bare_lf_exceptions;
} data;

void smtpd_open_data(void)
{
    submit_open_overrides();
    data.bare_lf_exceptions = match_open_hosts("smtpd_forbid_bare_newline_exclusions",
                                               conf.smtpd_forbid_bare_newline_exclusions);
}

bool smtpd_discards(const struct smtpd_mail *m)
{
    return m->filter_discards || (m->submit_flags & SUBMIT_DISCARD) != 0;
}

/* Of submit.h, as far as is known by now. */
static unsigned flags_of(const struct smtpd *s)
{
    const struct smtpd_mail *m = s->mail;

    return m->submit_flags | (s->milter_holds ? SUBMIT_HOLD : 0) |
           (smtpd_discards(m) ? SUBMIT_DISCARD : 0) | (m->utf8 ? SUBMIT_UTF8 : 0) |
           (m->requiretls ? SUBMIT_REQUIRETLS : 0) | submit_class("smtpd");
}

void smtpd_transfer_flush(struct transfer *t)
{
    if (t->why.code[0] == 0 && t->submit == NULL)
        t->submit = submit_begin(submit_external() | t->ordered.submit_flags, &t->why);
    if (t->submit != NULL && t->why.code[0] == 0)
        submit_raw(t->submit, buf_str(&t->records));
    buf_clear(&t->records);
}

void smtpd_transfer_put(struct transfer *t, enum rec type, struct str body)
{
    if (t->records.n + body.n + RECORD_HEAD > SMTPD_RECORDS_MOST)
        smtpd_transfer_flush(t);
    qrec_put(&t->records, type, body);
    if ((!buf_ok(&t->records) || body.n > SUBMIT_RECORD_MAX) && t->why.code[0] == 0)
        why_set(&t->why, "5.3.4", "a record of %zu bytes is too long", body.n);
    if (t->records.n >= PASS_ON)
        smtpd_transfer_flush(t);
}

/* And frees it. */
static void put_body(struct transfer *t, enum rec type, struct buf *body)
{
    if (buf_ok(body))
        smtpd_transfer_put(t, type, buf_str(body));
    else if (t->why.code[0] == 0)
        why_set(&t->why, "5.3.4", "a record of the envelope is too long");
    buf_free(body);
}

void smtpd_transfer_putf(struct transfer *t, enum rec type, const char *fmt, ...)
{
    struct buf body = BUF(SMTPD_RECORDS_MOST / 2); /* asked: by put_body */
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&body, fmt, ap);
    va_end(ap);
    put_body(t, type, &body);
}

/* To the queue, or to the before-queue filter. */
static void put_content(struct transfer *t, enum rec type, struct str text)
{
    if (t->m->proxy != NULL)
        smtpd_proxy_put(t->s, text, type == REC_NORM);
    else
        smtpd_transfer_put(t, type, text);
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

void smtpd_transfer_take(struct transfer *t, enum esmtp_data what, struct str piece)
{
    enum rec type = what == DATA_LINE ? REC_NORM : REC_CONT;

    for (size_t i = 0; i < sizeof sinks / sizeof *sinks; i++)
        if (!sinks[i](t, type, &piece))
            break;
}

/* smtpd_forbid_bare_newline = reject: the client is cut off at the first one. */
bool smtpd_may_send_bare_lf(struct smtpd *s)
{
    struct why why = WHY;

    if (strcmp(conf.smtpd_forbid_bare_newline, "reject") != 0)
        return true;
    bool may =
        match_host(data.bare_lf_exceptions, s->peer.name, s->peer.addr_text, &why) == DICT_FOUND;
    why_free(&why);
    return may;
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

/* What it is that cleanup says. */
static void blame(struct smtpd *s, const struct why *why)
{
    if (strcmp(why->code, "4.3.1") == 0)
        smtpd_blame(s, BLAME_RESOURCE);
    else if (strncmp(why->code, "4.3.", 4) == 0)
        smtpd_blame(s, BLAME_SOFTWARE);
    else if (is_error(why))
        smtpd_blame(s, BLAME_BOUNCE);
}

/* What cleanup refuses because of the content it has logged itself: one line for a refusal. */
static void refuse_content(struct smtpd *s, const struct why *why, bool by_cleanup)
{
    bool logged = by_cleanup && (!is_error(why) || strcmp(why->code, "5.4.0") == 0);
    int code = code_of(why);

    if (!logged)
        smtpd_log_reject(s, "reject", NULL, code, why);
    blame(s, why);
    smtpd_reply(s, code, why->code, "%s%s", is_error(why) ? "Error: " : "", why_text(why));
}

bool smtpd_begin_submission(struct smtpd *s)
{
    struct smtpd_mail *m = s->mail;
    struct buf id = BUF(100);
    struct why why = WHY;
    bool good = m->submit != NULL;

    if (!good) {
        m->early_flags = flags_of(s);
        m->submit = submit_begin(submit_external() | SUBMIT_MILTERS | m->early_flags, &why);
        good = m->submit != NULL && submit_queue_id(m->submit, &id, &why) == 0 && buf_ok(&id);
        m->queue_id = arena_strz(m->mem, buf_str(&id));
    }
    if (!good) {
        submit_abort(&m->submit);
        blame(s, &why);
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
    if (s->bdat != BDAT_NONE)
        smtpd_reply(s, 250, "2.0.0", "Ok: %" PRId64 " bytes queued as %s", s->mail->bytes,
                    queue_id);
    else
        smtpd_reply(s, 250, "2.0.0", "Ok: queued as %s", queue_id);
    s->errors = s->junk = 0;
}

/* What was ordered since then, mostly by the list at the end. It comes behind the content, as what
 * cleanup finds in it.
 */
static void put_late_orders(struct transfer *t)
{
    const struct smtpd_mail *m = t->m;

    if (flags_of(t->s) != t->ordered.submit_flags)
        smtpd_transfer_putf(t, REC_FLGS, "%u", flags_of(t->s));
    if (m->filter != t->ordered.filter)
        smtpd_transfer_put(t, REC_FILT, strz(m->filter));
    if (m->redirect != t->ordered.redirect)
        smtpd_transfer_put(t, REC_RDIR, strz(m->redirect));
    for (size_t i = t->ordered.bcc; i < m->bcc.n; i++)
        smtpd_transfer_put(t, REC_RCPT, strz(m->bcc.at[i]));
}

static void commit(struct transfer *t)
{
    struct smtpd *s = t->s;
    struct buf queue_id = BUF(100), reply = BUF_TEXT(MILTER_REPLY_MOST);
    bool answered = false;

    smtpd_transfer_put(t, REC_XTRA, STR(""));
    put_late_orders(t);
    smtpd_transfer_put(t, REC_END, STR(""));
    smtpd_transfer_flush(t);
    /* What did not fit, an order of the last list for example, must not be left out. */
    if (t->submit != NULL && t->why.code[0] == 0 &&
        submit_commit_reply(&t->submit, &queue_id, &reply, &answered, &t->why) == 0) {
        accept_mail(s, queue_id.p);
    } else if (reply.n > 0) { /* a filter's, logged by cleanup */
        smtpd_deny_as(s, buf_str(&reply));
        smtpd_reply_denial(s);
    } else {
        refuse_content(s, &t->why, true);
    }
    if (t->milters && !answered)
        milters_lost(s->milters);
    buf_free(&reply);
    buf_free(&queue_id);
}

bool smtpd_transfer_failed(struct transfer *t)
{
    if (t->too_big)
        why_set(&t->why, "5.3.4", "message file too big");
    if (t->why.code[0] == 0)
        return false;
    refuse_content(t->s, &t->why, false);
    return true;
}

void smtpd_transfer_end(struct transfer *t)
{
    struct smtpd *s = t->s;

    smtpd_forget_facts(s); /* the content may have taken long */
    s->where = "END-OF-MESSAGE";
    if (smtpd_transfer_failed(t))
        return;
    if (!smtpd_event(s, SMTPD_END_OF_DATA, &(struct smtpd_facts){0})) {
        smtpd_reply_denial(s);
    } else if (t->m->proxy != NULL) {
        smtpd_proxy_end(s);
    } else {
        commit(t);
    }
}

void smtpd_transfer_cut_off(struct transfer *t, const char *command)
{
    struct smtpd *s = t->s;

    if (t->broken) {
        msg_info("bare <LF> in the content from %s", s->namaddr);
        smtpd_reply(s, (int)conf.smtpd_forbid_bare_newline_reject_code, "5.5.2",
                    "%s Error: bare <LF> received", conf.myhostname);
        s->closing = true;
    } else {
        s->where = arena_printf(s->mem, "%s (%" PRId64 " bytes)", command, t->m->bytes);
    }
}

bool smtpd_has_rcpts(struct smtpd *s)
{
    if (s->mail != NULL && s->mail->rcpts.n > 0)
        return true;
    if (s->mail != NULL) /* RFC 2920 3.1: the client had its refusals */
        smtpd_reply(s, 554, "5.5.1", "Error: no valid recipients");
    else
        smtpd_reply(s, 503, "5.5.1", "Error: need RCPT command");
    return false;
}

struct transfer *smtpd_transfer_begin(struct smtpd *s)
{
    if (!smtpd_event(s, SMTPD_DATA, &(struct smtpd_facts){0})) {
        smtpd_reply_denial(s);
        return NULL;
    }
    struct smtpd_mail *m = s->mail;
    if (m->proxy != NULL && !smtpd_proxy_data(s))
        return NULL;
    struct transfer *t = arena_alloc(m->mem, sizeof *t);
    *t = (struct transfer){.s = s, .m = m, .why = WHY, .submit = m->submit};
    m->submit = NULL;
    m->transfer = t;
    t->milters = t->submit != NULL;
    t->ordered = (struct smtpd_orders){.submit_flags = t->milters ? m->early_flags : flags_of(s),
                                       .filter = m->filter,
                                       .redirect = m->redirect,
                                       .bcc = m->bcc.n};
    t->records = BUF(SMTPD_RECORDS_MOST);
    t->line = BUF(SMTPD_RECORDS_MOST / 2);
    t->chunks = ESMTP_BDAT(smtpd_piece_limit());
    if (m->proxy != NULL)
        smtpd_put_to_proxy(t);
    else
        smtpd_put_envelope(t);
    return t;
}

void smtpd_transfer_close(struct smtpd_mail *m)
{
    struct transfer *t = m->transfer;

    if (t == NULL)
        return;
    submit_abort(&t->submit);
    buf_free(&t->records);
    buf_free(&t->line);
    esmtp_bdat_free(&t->chunks);
    why_free(&t->why);
    m->transfer = NULL;
}

size_t smtpd_piece_limit(void)
{
    return (size_t)(conf.line_length_limit < SMTPD_PIECE_MOST ? conf.line_length_limit
                                                              : SMTPD_PIECE_MOST);
}
