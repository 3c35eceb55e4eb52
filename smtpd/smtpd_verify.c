/*
 * reject_unverified_sender, reject_unverified_recipient: an address is good if a probe of it was
 * successful. verify(8) sends the probes and remembers what came of them.
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "mail/path.h"
#include "queue/verify_client.h"
#include "task/task.h"

#include "smtpd_check.h"

/* What the two differ in. */
struct verify_check {
    const char *address, *class;
    const char *dsn; /* of a refusal for ever */
    int defer_code, reject_code;
    const char *reason, *tempfail_action;
};

/* (waits) Until there is a result, for a few pauses. -1: verify cannot be asked. */
static int ask_verify(const char *address, enum verify_verdict *verdict, struct buf *text)
{
    struct why why = WHY;
    int result = verify_ask(address, verdict, text, &why);

    for (int64_t n = 1;
         n < conf.address_verify_poll_count && result == 0 && *verdict == VERIFY_PENDING &&
         task_sleep(task_now() + conf.address_verify_poll_delay * 1000) != WAIT_CANCELLED;
         n++) {
        buf_clear(text);
        result = verify_ask(address, verdict, text, &why);
    }
    if (result < 0)
        msg_warn("%s service failure: %s", conf.address_verify_service_name, why_text(&why));
    why_free(&why);
    return result;
}

static enum verdict refuse(struct check *k, const struct verify_check *c, int code,
                           const char *what, const char *reason)
{
    struct buf text = BUF_TEXT(4096);
    char dsn[10];

    snprintf(dsn, sizeof dsn, "%d%s", code / 100, c->dsn + 1);
    buf_addf(&text, "<");
    path_quote(strz(c->address), &text);
    buf_addf(&text, ">: %s rejected: %s%s%.250s", c->class, what, *reason != 0 ? ": " : "", reason);
    enum verdict v = VERDICT_DUNNO;
    if (code / 100 == 4)
        v = check_tempfail(k, c->tempfail_action, code, dsn, text.p);
    else
        v = check_deny(k, code, dsn, "%s", text.p);
    buf_free(&text);
    return v;
}

static enum verdict unverified(struct check *k, const struct verify_check *c)
{
    struct buf text = BUF_TEXT(2000);
    enum verify_verdict verdict = VERIFY_PENDING;
    enum verdict v = VERDICT_DUNNO;

    if (ask_verify(c->address, &verdict, &text) < 0) {
        v = refuse(k, c, 450, "address verification problem", "");
    } else if (verdict != VERIFY_OK) {
        int code = verdict == VERIFY_NEVER ? c->reject_code : c->defer_code;
        const char *reason = *c->reason != 0 ? c->reason : text.p;
        if (code >= 400)
            v = refuse(k, c, code, code < 500 ? "unverified address" : "undeliverable address",
                       reason);
    }
    buf_free(&text);
    return v;
}

static enum verdict reject_unverified_recipient(struct check *k, const struct restriction *r)
{
    struct verify_check c = {
        .address = k->rcpt,
        .class = "Recipient address",
        .dsn = "5.1.1",
        .defer_code = (int)conf.unverified_recipient_defer_code,
        .reject_code = (int)conf.unverified_recipient_reject_code,
        .reason = conf.unverified_recipient_reject_reason,
        .tempfail_action = conf.unverified_recipient_tempfail_action,
    };

    (void)r;
    return k->rcpt == NULL ? VERDICT_DUNNO : unverified(k, &c);
}

static enum verdict reject_unverified_sender(struct check *k, const struct restriction *r)
{
    const struct smtpd_mail *m = k->s->mail;

    (void)r;
    if (m == NULL || *m->sender == 0)
        return VERDICT_DUNNO;
    struct verify_check c = {
        .address = m->sender,
        .class = "Sender address",
        .dsn = "5.1.7",
        .defer_code = (int)conf.unverified_sender_defer_code,
        .reject_code = (int)conf.unverified_sender_reject_code,
        .reason = conf.unverified_sender_reject_reason,
        .tempfail_action = conf.unverified_sender_tempfail_action,
    };
    return unverified(k, &c);
}

const struct restriction_def smtpd_verify_restrictions[] = {
    {"reject_unverified_recipient", reject_unverified_recipient},
    {"reject_unverified_sender", reject_unverified_sender},
    {.name = NULL},
};
