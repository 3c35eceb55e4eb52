/*
 * The MAIL command. RFC 5321 4.1.1.2, RFC 1870 (SIZE), RFC 2852 (DELIVERBY), RFC 3461 (RET, ENVID),
 * RFC 4865 (FUTURERELEASE), RFC 4954 (AUTH), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 6710
 * (MT-PRIORITY), RFC 8689 (REQUIRETLS)
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "conf/conf.h"
#include "mail/esmtp_cmd.h"
#include "mail/esmtp_ehlo.h"
#include "mail/path.h"
#include "queue/qdir.h"

#include "smtpd.h"
#include "smtpd_check.h"
#include "smtpd_limit.h"
#include "smtpd_notice.h"
#include "smtpd_proxy.h"

static bool bad(struct smtpd *s, int code, const char *text)
{
    smtpd_reply(s, code, "5.5.4", "%s", text);
    return false;
}

static bool unsupported(struct smtpd *s, const struct esmtp_param *p)
{
    smtpd_reply(s, 555, "5.5.4", "Unsupported option: %.*s%s%.*s", (int)p->name.n, p->name.p,
                p->value.p != NULL ? "=" : "", (int)p->value.n,
                p->value.p != NULL ? p->value.p : "");
    return false;
}

bool smtpd_takes_dsn(struct smtpd *s)
{
    if ((s->hidden & ESMTP_DSN) == 0)
        return true;
    smtpd_reply(s, 501, "5.7.1", "DSN support is disabled");
    return false;
}

static bool take_envid(struct smtpd *s, struct smtpd_mail *m, struct str value)
{
    struct buf plain = BUF(value.n); /* RFC 3461 4.4 has 100 characters; it is only passed on */
    bool good = value.n > 0 && m->envid == NULL && xtext_decode(value, &plain) && buf_ok(&plain);

    if (good)
        m->envid = arena_strz(m->mem, buf_str(&plain));
    buf_free(&plain);
    return good || bad(s, 501, "Bad ENVID parameter syntax");
}

/* RFC 4954 5: whom the client believes to be the author. Of those who have not logged in it counts
 * for nothing, and one that cannot be understood is not known. It is taken all the same, as in
 * Postfix: a filter says what it heard, also where there is no AUTH. */
static bool take_auth(struct smtpd *s, struct smtpd_mail *m, struct str value)
{
    struct buf plain = BUF(value.n), address = BUF(value.n);
    bool null = s->sasl_username == NULL || value.n == 0 || str_eqz(value, "<>");
    bool once = m->sasl_sender == NULL;
    bool good = null || (xtext_decode(value, &plain) && path_unquote(buf_str(&plain), &address) &&
                         buf_ok(&address) && address.n > 0);

    if (once)
        m->sasl_sender = null || !good ? "<>" : arena_strz(m->mem, buf_str(&address));
    else
        bad(s, 503, "Error: multiple AUTH= options");
    buf_free(&plain);
    buf_free(&address);
    return once;
}

/* RFC 8689 2: only under TLS. */
static bool take_requiretls(struct smtpd *s, struct smtpd_mail *m, const struct esmtp_param *p)
{
    m->requiretls = p->value.p == NULL && smtpd_has_requiretls(s);
    return m->requiretls || unsupported(s, p);
}

/* RFC 6531 3.4. It says nothing about the parameter's value, so there is none. */
static bool take_utf8(struct smtpd *s, struct smtpd_mail *m, const struct esmtp_param *p)
{
    m->utf8 = p->value.p == NULL && smtpd_asks_utf8(s, p->name);
    return m->utf8 || unsupported(s, p);
}

static bool take_param(struct smtpd *s, struct smtpd_mail *m, const struct esmtp_param *p)
{
    if (str_ieqz(p->name, "SIZE")) {
        if (!num_parse(p->value, 0, INT64_MAX, &m->size))
            return bad(s, 501, "Bad message size syntax");
    } else if (str_ieqz(p->name, "BODY")) {
        m->eight_bit = str_ieqz(p->value, "8BITMIME");
        if (!m->eight_bit && !str_ieqz(p->value, "7BIT"))
            return unsupported(s, p);
    } else if (str_ieqz(p->name, "RET")) { /* RFC 3461 4.3: once */
        if (!smtpd_takes_dsn(s))
            return false;
        if (m->ret != DSN_RET_NONE || !dsn_ret_parse(p->value, &m->ret))
            return bad(s, 501, "Bad RET parameter syntax");
    } else if (str_ieqz(p->name, "ENVID")) {
        return smtpd_takes_dsn(s) && take_envid(s, m, p->value);
    } else if (str_ieqz(p->name, "AUTH") && p->value.p != NULL) {
        return take_auth(s, m, p->value);
    } else if (str_ieqz(p->name, "REQUIRETLS")) {
        return take_requiretls(s, m, p);
    } else if (s->may_verp && str_ieqz(p->name, "XVERP")) {
        return smtpd_take_verp(s, m, p);
    } else if (str_ieqz(p->name, "SMTPUTF8")) {
        return take_utf8(s, m, p);
    } else if (smtpd_takes_release(s) &&
               (str_ieqz(p->name, "HOLDFOR") || str_ieqz(p->name, "HOLDUNTIL"))) {
        return smtpd_take_release(s, m, p);
    } else if (smtpd_takes_deliver_by(s) && str_ieqz(p->name, "BY")) {
        return smtpd_take_deliver_by(s, m, p->value);
    } else if (smtpd_takes_priority(s) && str_ieqz(p->name, "MT-PRIORITY")) {
        return smtpd_take_priority(s, m, p->value);
    } else {
        return unsupported(s, p);
    }
    return true;
}

static const struct smtpd_bad_path bad_path = {"5.1.7", "Bad sender address syntax"};

static bool take_args(struct smtpd *s, struct str args, struct smtpd_mail *m,
                      struct smtpd_facts *facts)
{
    struct esmtp_param p;
    int more;

    if (!esmtp_cmd_keyword(&args, "FROM") || args.n == 0)
        return bad(s, 501, "Syntax: MAIL FROM:<address>");
    if (!smtpd_limit_event(s, CLIENT_MESSAGES))
        return false;
    facts->path = args;
    unsigned flags = PATH_NULL | (smtpd_asks_utf8(s, args) ? PATH_UTF8 : 0u);
    if (!smtpd_take_path(s, &args, flags, m->mem, &bad_path, &m->sender))
        return false;
    facts->path = str_trim(str_upto(facts->path, facts->path.n - args.n));
    facts->params = args;
    while ((more = esmtp_param_next(&args, &p)) > 0)
        if (!take_param(s, m, &p))
            return false;
    if (more == 0 && m->verp != NULL && *m->sender == 0)
        return bad(s, 503, "Error: XVERP requires non-null sender");
    return more == 0 ? smtpd_may_release_by_then(s, m) : unsupported(s, &p);
}

static bool deny(struct smtpd *s, int code, const char *dsn, const char *text)
{
    struct smtpd_denial *d = &s->denial;

    d->code = code;
    why_set(&d->why, dsn, "%s", text);
    smtpd_log_reject(s, "reject", NULL, code, &d->why);
    smtpd_reply_denial(s);
    return false;
}

/* As in Postfix the line in the log has no sender: s->mail is not set yet. */
static bool has_room(struct smtpd *s, const struct smtpd_mail *m)
{
    if (queue_check_space(m->size, NULL) == 0)
        return true;
    smtpd_blame(s, BLAME_RESOURCE);
    return deny(s, 452, "4.3.1", "Insufficient system storage");
}

/* RFC 1870 6.1: refuse before the content comes */
static bool has_good_size(struct smtpd *s, struct smtpd_mail *m)
{
    if (conf.message_size_limit == 0 || m->size <= conf.message_size_limit)
        return true;
    s->mail = m; /* for the log */
    deny(s, 552, "5.3.4", "Message size exceeds fixed limit");
    s->mail = NULL;
    return false;
}

/* As Postfix writes it: process, time, and a number in the session. */
static void name_instance(struct smtpd *s)
{
    int64_t us = clock_wall_us();

    s->mail->instance = arena_printf(s->mail->mem, "%x.%llx.%llx.%x", (unsigned)getpid(),
                                     (unsigned long long)us / 1000000,
                                     (unsigned long long)us % 1000000, s->messages++);
}

void smtpd_mail(struct smtpd *s, struct str args)
{
    if (conf.smtpd_helo_required && s->helo == NULL) {
        smtpd_reply(s, 503, "5.5.1", "Error: send HELO/EHLO first");
        return;
    }
    if (s->mail != NULL) {
        smtpd_reply(s, 503, "5.5.1", "Error: nested MAIL command");
        return;
    }
    if (smtpd_is_after_bdat(s, "MAIL"))
        return;
    struct arena *mem = arena_new(s->mem);
    struct smtpd_mail *m = arena_alloc(mem, sizeof *m);
    struct smtpd_facts facts = {0};
    m->mem = mem;
    if (!take_args(s, args, m, &facts) || !has_good_size(s, m) || !has_room(s, m)) {
        arena_free(&mem);
        return;
    }
    s->mail = m;
    if (!smtpd_event(s, SMTPD_MAIL, &facts)) {
        smtpd_reply_denial(s);
        smtpd_drop_mail(s);
    } else {
        name_instance(s);
        if (smtpd_has_proxy())
            smtpd_proxy_mail(s);
        smtpd_reply_mail(s);
    }
}
