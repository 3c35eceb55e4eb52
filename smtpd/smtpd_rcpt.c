/*
 * The RCPT command: one more recipient. RFC 5321 3.3, RFC 3461 4.1, 4.2 (DSN)
 */
#include "conf/conf.h"
#include "mail/esmtp_cmd.h"
#include "mail/path.h"

#include "smtpd_limit.h"
#include "smtpd_proxy.h"

static bool bad(struct smtpd *s, const char *text)
{
    smtpd_reply(s, 501, "5.5.4", "%s", text);
    return false;
}

static bool unsupported(struct smtpd *s, const struct esmtp_param *p)
{
    smtpd_reply(s, 555, "5.5.4", "Unsupported option: %.*s%s%.*s", (int)p->name.n, p->name.p,
                p->value.p != NULL ? "=" : "", (int)p->value.n,
                p->value.p != NULL ? p->value.p : "");
    return false;
}

/* RFC 3461 4.2 has 500 characters; whatever fits in a command is passed on. */
static bool take_orcpt(struct smtpd *s, struct str value, struct smtpd_rcpt *r)
{
    struct buf plain = BUF(value.n);
    size_t type = (size_t)(str_find(value, ';') + 1);
    bool good = r->orcpt == NULL && dsn_orcpt_valid(value);

    buf_add(&plain, str_upto(value, type));
    good = good && (str_istarts(value, STR("utf-8;")) /* RFC 6533 3 */
                        ? uxtext_decode(str_from(value, type), &plain)
                        : xtext_decode(str_from(value, type), &plain));
    if (good && buf_ok(&plain))
        r->orcpt = arena_strz(s->mail->mem, buf_str(&plain));
    buf_free(&plain);
    return good || bad(s, "Error: Bad ORCPT parameter syntax");
}

static bool take_param(struct smtpd *s, const struct esmtp_param *p, struct smtpd_rcpt *r)
{
    if (str_ieqz(p->name, "NOTIFY")) {
        if (!smtpd_takes_dsn(s))
            return false;
        if (r->notify != 0 || !dsn_notify_parse(p->value, &r->notify))
            return bad(s, "Error: Bad NOTIFY parameter syntax");
    } else if (str_ieqz(p->name, "ORCPT")) {
        return smtpd_takes_dsn(s) && take_orcpt(s, p->value, r);
    } else {
        return unsupported(s, p);
    }
    return true;
}

static const struct smtpd_bad_path bad_path = {"5.1.3", "Bad recipient address syntax"};

static bool take_args(struct smtpd *s, struct str args, struct smtpd_rcpt *r,
                      struct smtpd_facts *facts)
{
    struct esmtp_param p;
    int more;

    if (!esmtp_cmd_keyword(&args, "TO") || args.n == 0)
        return bad(s, "Syntax: RCPT TO:<address>");
    if (!smtpd_limit_event(s, CLIENT_RECIPIENTS))
        return false;
    facts->path = args;
    if (!smtpd_take_path(s, &args, s->mail->utf8 ? PATH_UTF8 : 0u, s->mail->mem, &bad_path,
                         &r->address))
        return false;
    facts->path = str_trim(str_upto(facts->path, facts->path.n - args.n));
    facts->params = args;
    facts->rcpt = r->address;
    while ((more = esmtp_param_next(&args, &p)) > 0)
        if (!take_param(s, &p, r))
            return false;
    return more == 0 || unsupported(s, &p);
}

/* RFC 5321 4.5.3.1.10: the client sends the rest in another transaction, so a few of these are no
 * errors. */
static bool too_many(struct smtpd *s)
{
    if (s->mail->rcpts.n < (size_t)conf.smtpd_recipient_limit)
        return false;
    smtpd_reply(s, 452, "4.5.3", "Error: too many recipients");
    if (s->mail->refused++ < conf.smtpd_recipient_overshoot_limit)
        s->failed = false;
    return true;
}

void smtpd_rcpt(struct smtpd *s, struct str args)
{
    struct smtpd_rcpt r = {0};
    struct smtpd_facts facts = {0};

    if (s->mail == NULL) {
        smtpd_reply(s, 503, "5.5.1", "Error: need MAIL command");
        return;
    }
    if (smtpd_is_after_bdat(s, "RCPT") || too_many(s) || !take_args(s, args, &r, &facts))
        return;
    if (!smtpd_event(s, SMTPD_RCPT, &facts)) {
        smtpd_reply_denial(s);
        return;
    }
    if (s->mail->proxy != NULL && !smtpd_proxy_rcpt(s))
        return;
    *VEC_ADD(&s->mail->rcpts) = r;
    smtpd_reply(s, 250, "2.1.5", "Ok");
}
