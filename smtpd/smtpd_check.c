/*
 * Going through the restriction lists: what a refusal says, and when which list is asked. The order
 * and the moment of the lists are Postfix's: with smtpd_delay_reject all wait for the recipient.
 */
#include "smtpd_check.h"

#include "base/msg.h"
#include "base/num.h"
#include "conf/conf.h"
#include "mail/path.h"
#include "queue/submit.h"
#include "task/task.h"

#include "smtpd_notice.h"

static restriction_fn warn_if_reject;

void smtpd_open_checks(void)
{
    smtpd_open_clients();
    smtpd_open_certs();
    smtpd_open_maps_rbl();
    smtpd_open_mx_backup();
    smtpd_open_dnsbl();
    smtpd_open_senders();
    smtpd_open_permit();
    smtpd_open_lists();
}

/* ---- saying no ---- */

static void set_denial(struct smtpd_denial *d, int code, const char *dsn, const char *text)
{
    d->code = code;
    why_set(&d->why, dsn, "%s", text);
}

static void copy_denial(struct smtpd_denial *to, const struct smtpd_denial *from)
{
    to->code = from->code;
    why_copy(&to->why, &from->why);
}

enum verdict check_deny(struct check *k, int code, const char *dsn, const char *fmt, ...)
{
    struct buf text = BUF_TEXT(4096);
    struct smtpd *s = k->s;
    char fitting[10];
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    if (code == 0)
        code = dsn[0] == '4' ? 450 : 550;
    /* *_reject_code may turn "never" into "later": the enhanced code must agree */
    snprintf(fitting, sizeof fitting, "%s", dsn);
    if (fitting[0] != 0 && code >= 400)
        fitting[0] = (char)('0' + code / 100);
    set_denial(&s->denial, code, fitting, text.p);
    buf_free(&text);
    if (!k->warn_only && code >= 500 && s->defer_if_reject.code != 0)
        copy_denial(&s->denial, &s->defer_if_reject);
    smtpd_log_reject(s, k->warn_only ? "reject_warning" : "reject", k->rcpt, s->denial.code,
                     &s->denial.why);
    if (!k->warn_only)
        return VERDICT_REJECT;
    s->denial.code = 0;
    return VERDICT_DUNNO;
}

enum verdict check_deny_subject(struct check *k, int code, const char *dsn, const char *subject,
                                const char *class, const char *text)
{
    return check_deny(k, code, dsn, "<%s>: %s rejected: %s", subject, class, text);
}

enum verdict check_failed(struct check *k, const char *subject, const struct why *why)
{
    msg_warn("%s", why_text(why));
    smtpd_blame(k->s, BLAME_DATA);
    return check_deny(k, 451, "4.3.0", "<%s>: Temporary lookup failure", subject);
}

void check_defer_if_permit(struct check *k, int code, const char *dsn, const char *text)
{
    if (k->s->defer_if_permit.code == 0)
        set_denial(&k->s->defer_if_permit, code, dsn, text);
}

enum verdict check_tempfail(struct check *k, const char *action, int code, const char *dsn,
                            const char *text)
{
    if (strcasecmp(action, "defer") == 0)
        return check_deny(k, code, dsn, "%s", text);
    check_defer_if_permit(k, code, dsn, text);
    return VERDICT_DUNNO;
}

void check_defer_if_reject(struct check *k, int code, const char *dsn, const char *text)
{
    if (k->s->defer_if_reject.code == 0)
        set_denial(&k->s->defer_if_reject, code, dsn, text);
}

/* ---- going through ---- */

bool check_discards(const struct smtpd *s)
{
    return s->mail != NULL && (s->mail->submit_flags & SUBMIT_DISCARD) != 0;
}

static enum verdict go_through(struct check *k, const struct restrictions *list)
{
    const struct restrictions *outer = k->list;
    size_t outer_at = k->at;
    enum verdict v = VERDICT_DUNNO;

    if (k->depth > RESTRICTION_DEPTH_MOST) {
        msg_warn("%s: classes are nested too deep", list->parameter);
        return check_deny(k, 451, "4.3.5", "Server configuration error");
    }
    k->depth++;
    for (size_t i = 0; i < list->at.n && v == VERDICT_DUNNO && !check_discards(k->s); i++) {
        const struct restriction *r = &list->at.at[i];
        k->list = list;
        k->at = i;
        v = r->fn(k, r);
        if (v == VERDICT_PERMIT)
            check_log_restriction(k, r);
        if (r->fn != warn_if_reject)
            k->warn_only = false;
    }
    k->list = outer;
    k->at = outer_at;
    k->depth--;
    return v;
}

enum verdict check_text(struct check *k, const char *text)
{
    struct restrictions list = {0};

    smtpd_read_result(&list, text);
    enum verdict v = go_through(k, &list);
    smtpd_free_list(&list);
    return v;
}

static enum verdict go(struct smtpd *s, const struct restrictions *list, const char *subject,
                       const char *class, const char *rcpt)
{
    struct check k = {.s = s, .subject = subject, .class = class, .rcpt = rcpt};

    s->denial.code = s->defer_if_reject.code = 0;
    return go_through(&k, list);
}

/* A list about an address, which is shown in its external form. */
static enum verdict go_address(struct smtpd *s, const struct restrictions *list,
                               const char *address, const char *class, const char *rcpt)
{
    struct buf external = BUF_TEXT(4096);

    path_quote(strz(address), &external);
    enum verdict v = go(s, list, external.p, class, rcpt);
    buf_free(&external);
    return v;
}

static bool refuses(enum verdict v)
{
    return v == VERDICT_REJECT;
}

static bool refuse_client(struct smtpd *s, const char *rcpt)
{
    return refuses(go(s, &smtpd_lists.client, s->namaddr, "Client host", rcpt));
}

static bool refuse_helo(struct smtpd *s, const char *rcpt)
{
    return s->helo != NULL && refuses(go(s, &smtpd_lists.helo, s->helo, "Helo command", rcpt));
}

static bool refuse_sender(struct smtpd *s, const char *rcpt)
{
    struct smtpd_mail *m = s->mail;

    if (m == NULL)
        return false;
    s->sender_checked = false; /* the lists are gone through anew for each recipient */
    if (refuses(go_address(s, &smtpd_lists.sender, m->sender, "Sender address", rcpt)))
        return true;
    struct check k = {.s = s, .subject = m->sender, .class = "Sender address", .rcpt = rcpt};
    return conf.smtpd_reject_unlisted_sender && !s->sender_checked && !check_discards(s) &&
           refuses(check_reject_unlisted_sender(&k, NULL));
}

/* The lists of earlier commands, when they had to wait for the recipient. */
static bool refuse_delayed(struct smtpd *s, const char *rcpt)
{
    if (!conf.smtpd_delay_reject)
        return false;
    s->defer_if_permit.code = s->defer_if_reject.code = 0;
    return refuse_client(s, rcpt) || refuse_helo(s, rcpt) || refuse_sender(s, rcpt);
}

/* "Later" of a list that would else have let the recipient pass. */
static bool defer_if_permitted(struct smtpd *s, const char *rcpt)
{
    if (s->defer_if_permit.code == 0)
        return false;
    copy_denial(&s->denial, &s->defer_if_permit);
    smtpd_log_reject(s, "reject", rcpt, s->denial.code, &s->denial.why);
    return true;
}

/* A list that does not wait for RCPT: what it would defer is remembered until then. */
enum { EARLY_CLIENT, EARLY_HELO, EARLY_SENDER };
static bool refuse_early(struct smtpd *s, int which, bool (*refuse)(struct smtpd *, const char *))
{
    s->defer_if_permit.code = 0;
    bool refused = refuse(s, NULL);
    copy_denial(&s->deferred[which], &s->defer_if_permit);
    return refused;
}

static void recall_deferred(struct smtpd *s)
{
    int n = s->mail != NULL ? SMTPD_EARLY_LISTS : EARLY_SENDER;

    s->defer_if_permit.code = 0;
    for (int i = 0; i < n && s->defer_if_permit.code == 0; i++)
        copy_denial(&s->defer_if_permit, &s->deferred[i]);
}

static bool refuse_rcpt(struct smtpd *s, const char *rcpt)
{
    bool relay_first = conf.smtpd_relay_before_recipient_restrictions;
    const struct restrictions *first = relay_first ? &smtpd_lists.relay : &smtpd_lists.rcpt;
    const struct restrictions *second = relay_first ? &smtpd_lists.rcpt : &smtpd_lists.relay;
    static const char class[] = "Recipient address";
    struct check k = {.s = s, .subject = rcpt, .class = class, .rcpt = rcpt};

    s->rcpt_checked = false;
    recall_deferred(s);
    return refuse_delayed(s, rcpt) || refuses(go_address(s, first, rcpt, class, rcpt)) ||
           refuses(go_address(s, second, rcpt, class, rcpt)) || defer_if_permitted(s, rcpt) ||
           (conf.smtpd_reject_unlisted_recipient && !s->rcpt_checked && !check_discards(s) &&
            refuses(check_reject_unlisted_recipient(&k, NULL)));
}

static bool refuse_etrn(struct smtpd *s, const char *domain)
{
    s->etrn_domain = domain;
    recall_deferred(s);
    bool refused = refuse_delayed(s, NULL) ||
                   refuses(go(s, &smtpd_lists.etrn, domain, "Etrn command", NULL)) ||
                   defer_if_permitted(s, NULL);
    s->etrn_domain = NULL;
    return refused;
}

/* The recipient that lists at DATA are about: none if there are several. */
static const char *only_rcpt(const struct smtpd *s)
{
    return s->mail->rcpts.n == 1 ? s->mail->rcpts.at[0].address : NULL;
}

static bool refuse_content(struct smtpd *s, const struct restrictions *list, const char *subject,
                           const char *class)
{
    s->defer_if_permit.code = 0;
    return refuses(go(s, list, subject, class, only_rcpt(s))) ||
           defer_if_permitted(s, only_rcpt(s));
}

bool smtpd_check_event(struct smtpd *s, enum smtpd_stage stage, const struct smtpd_facts *facts)
{
    bool now = !conf.smtpd_delay_reject;

    switch (stage) {
    case SMTPD_CONNECT:
        return now && refuse_early(s, EARLY_CLIENT, refuse_client);
    case SMTPD_HELO:
        return now && refuse_early(s, EARLY_HELO, refuse_helo);
    case SMTPD_MAIL:
        return now && refuse_early(s, EARLY_SENDER, refuse_sender);
    case SMTPD_RCPT:
        return !(s->mail != NULL && smtpd_is_always_taken(facts->rcpt)) &&
               refuse_rcpt(s, facts->rcpt);
    case SMTPD_ETRN:
        return refuse_etrn(s, facts->domain);
    case SMTPD_DATA:
        return refuse_content(s, &smtpd_lists.data, "DATA", "Data command");
    case SMTPD_END_OF_DATA:
        return refuse_content(s, &smtpd_lists.end_of_data, "END-OF-MESSAGE", "End-of-data");
    case SMTPD_UNKNOWN:
        break;
    }
    return false;
}

/* ---- the simple ones ---- */

static enum verdict permit(struct check *k, const struct restriction *r)
{
    (void)k;
    (void)r;
    return VERDICT_PERMIT;
}

static enum verdict reject(struct check *k, const struct restriction *r)
{
    (void)r;
    return check_deny_subject(k, (int)conf.reject_code, "5.7.1", k->subject, k->class,
                              "Access denied");
}

static enum verdict defer(struct check *k, const struct restriction *r)
{
    (void)r;
    return check_deny_subject(k, (int)conf.defer_code, "4.3.2", k->subject, k->class,
                              "Try again later");
}

static enum verdict warn_if_reject(struct check *k, const struct restriction *r)
{
    (void)r;
    k->warn_only = true;
    return VERDICT_DUNNO;
}

static enum verdict defer_if_permit(struct check *k, const struct restriction *r)
{
    struct buf text = BUF_TEXT(4096);

    (void)r;
    buf_addf(&text, "<%s>: %s rejected: defer_if_permit requested", k->subject, k->class);
    check_defer_if_permit(k, 450, "4.3.2", text.p);
    buf_free(&text);
    return VERDICT_DUNNO;
}

static enum verdict defer_if_reject(struct check *k, const struct restriction *r)
{
    struct buf text = BUF_TEXT(4096);

    (void)r;
    buf_addf(&text, "<%s>: %s rejected: defer_if_reject requested", k->subject, k->class);
    check_defer_if_reject(k, 450, "4.3.2", text.p);
    buf_free(&text);
    return VERDICT_DUNNO;
}

enum verdict check_class(struct check *k, const struct restriction *r)
{
    return go_through(k, r->list);
}

enum verdict check_unknown(struct check *k, const struct restriction *r)
{
    if (str_find(strz(r->name), ':') > 0)
        msg_warn("restriction \"%s\": a table cannot stand alone here", r->name);
    else
        msg_warn("unknown smtpd restriction: \"%s\"", r->name);
    return check_deny(k, 451, "4.3.5", "Server configuration error");
}

static enum verdict sleep_for(struct check *k, const struct restriction *r)
{
    int64_t seconds;

    if (!num_parse_time(strz(r->arg), 's', 0, 1000, &seconds))
        return check_unknown(k, r);
    stream_flush(k->s->stream);
    task_sleep(task_now() + seconds * 1000);
    return VERDICT_DUNNO;
}

static enum verdict reject_unauth_pipelining(struct check *k, const struct restriction *r)
{
    (void)r;
    if (!k->s->early_talk)
        return VERDICT_DUNNO;
    return check_deny_subject(k, 503, "5.5.0", k->subject, k->class,
                              "Improper use of SMTP command pipelining");
}

static enum verdict reject_plaintext_session(struct check *k, const struct restriction *r)
{
    (void)r;
    if (k->s->tls != NULL)
        return VERDICT_DUNNO;
    return check_deny(k, (int)conf.plaintext_reject_code, "4.7.1",
                      "Session encryption is required");
}

const struct restriction_def smtpd_simple_restrictions[] = {
    {"defer", defer},
    {"defer_if_permit", defer_if_permit},
    {"defer_if_reject", defer_if_reject},
    {"permit", permit},
    {"reject", reject},
    {"reject_plaintext_session", reject_plaintext_session},
    {"reject_unauth_pipelining", reject_unauth_pipelining},
    {"sleep", sleep_for, RESTRICTION_TEXT},
    {"warn_if_reject", warn_if_reject},
    {.name = NULL},
};
