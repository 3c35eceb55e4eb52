/*
 * Replies, the error count, and the log line of a refusal.
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "mail/esmtp_reply.h"
#include "mail/path.h"
#include "task/task.h"

#include "smtpd.h"
#include "smtpd_notice.h"

enum { REPLY_LIMIT = SMTPD_REPLY_LIMIT };

/* each line gets its code */
static void send_reply(struct smtpd *s, int code, const char *dsn, struct str text)
{
    struct buf out = BUF(16 * REPLY_LIMIT);

    smtpd_note_reply(s, code, dsn, text);
    esmtp_reply_format(code, dsn, text, &out);
    if (buf_ok(&out))
        stream_put(s->stream, buf_str(&out));
    else
        stream_fail(s->stream, "a reply is too long");
    buf_free(&out);
}

static void send_refusal(struct smtpd *s, int code, const char *dsn, struct str text)
{
    struct buf edited = BUF_TEXT(2 * REPLY_LIMIT);
    char edited_dsn[10];

    snprintf(edited_dsn, sizeof edited_dsn, "%s", dsn);
    buf_add(&edited, text);
    smtpd_edit_refusal(s, &code, edited_dsn, &edited);
    send_reply(s, code, edited_dsn, buf_str(&edited));
    buf_free(&edited);
}

/* With soft_bounce "never" is "later". */
static int soften(int code, const char *dsn, char soft[10])
{
    snprintf(soft, 10, "%s", dsn);
    if (!conf.soft_bounce || code < 500)
        return code;
    if (soft[0] == '5')
        soft[0] = '4';
    return code - 100;
}

void smtpd_reply_text(struct smtpd *s, int code, const char *dsn, struct str text)
{
    char soft[10];

    code = soften(code, dsn, soft);
    dsn = soft;
    if (code >= 400) {
        s->failed = true;
        if (s->errors >= conf.smtpd_soft_error_limit && conf.smtpd_error_sleep_time > 0) {
            stream_flush(s->stream);
            task_sleep(task_now() + conf.smtpd_error_sleep_time * 1000);
        }
    }
    (code >= 400 ? send_refusal : send_reply)(s, code, dsn, text);
}

void smtpd_reply(struct smtpd *s, int code, const char *dsn, const char *fmt, ...)
{
    struct buf text = BUF_TEXT(REPLY_LIMIT);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < text.n; i++) /* one line: values from outside make no second one */
        if (text.p[i] == '\n')
            text.p[i] = '?';
    smtpd_reply_text(s, code, dsn, buf_str(&text));
    buf_free(&text);
}

void smtpd_reply_denial(struct smtpd *s)
{
    smtpd_reply_text(s, s->denial.code, s->denial.why.code, strz(why_text(&s->denial.why)));
    if (s->denial.code == 421 || s->denial.code == 521) /* RFC 5321 3.8, RFC 7504 */
        s->closing = true;
}

void smtpd_hang_up(struct smtpd *s, const char *dsn, const char *text)
{
    smtpd_reply(s, 421, dsn, "%s %s", conf.myhostname, text);
    s->closing = true;
}

void smtpd_data_error(struct smtpd *s)
{
    smtpd_blame(s, BLAME_DATA);
    msg_info("NOQUEUE: reject: %s from %s: 421 4.3.0 %s Server local data error", s->where,
             s->namaddr, conf.myhostname);
    smtpd_hang_up(s, "4.3.0", "Server local data error");
}

void smtpd_log_about(const struct smtpd *s, const char *rcpt, struct buf *line)
{
    if (s->mail != NULL) {
        buf_addz(line, " from=<");
        path_quote(strz(s->mail->sender), line);
        buf_addc(line, '>');
    }
    if (rcpt != NULL) {
        buf_addz(line, " to=<");
        path_quote(strz(rcpt), line);
        buf_addc(line, '>');
    }
    buf_addf(line, " proto=%s", smtpd_protocol(s));
    if (s->helo != NULL)
        buf_addf(line, " helo=<%s>", s->helo);
    if (s->sasl_username != NULL)
        buf_addf(line, " sasl_username=<%s>", s->sasl_username);
}

void smtpd_log(const struct smtpd *s, const char *action, const char *rcpt, const char *text)
{
    struct buf line = BUF_TEXT(REPLY_LIMIT);

    if (task_is_cancelled()) /* the process ends: that is no decision about this client */
        return;
    buf_addf(&line, "NOQUEUE: %s: %s from %s: %s;", action, s->where, s->namaddr, text);
    smtpd_log_about(s, rcpt, &line);
    msg_info("%s", line.p);
    buf_free(&line);
}

void smtpd_log_reject(const struct smtpd *s, const char *action, const char *rcpt, int code,
                      const struct why *why)
{
    struct buf text = BUF_TEXT(REPLY_LIMIT);
    char dsn[10];

    code = soften(code, why->code, dsn);
    buf_addf(&text, "%d %s%s%s", code, dsn, dsn[0] ? " " : "", why_text(why));
    smtpd_log(s, action, rcpt, text.p);
    buf_free(&text);
}

void smtpd_describe_client(const struct smtpd *s, struct buf *line)
{
    buf_addf(line, "client=%s", s->namaddr);
    if (s->sasl_username != NULL) {
        buf_addf(line, ", sasl_method=%s, sasl_username=%s", s->sasl_method, s->sasl_username);
        if (s->mail->sasl_sender != NULL)
            buf_addf(line, ", sasl_sender=%s", s->mail->sasl_sender);
    }
    if (smtpd_origin(s, X_IDENT) != NULL)
        buf_addf(line, ", orig_queue_id=%s", smtpd_origin(s, X_IDENT));
    if (smtpd_has_origin(s)) {
        buf_addz(line, ", orig_client=");
        smtpd_origin_namaddr(s, line);
    }
}
