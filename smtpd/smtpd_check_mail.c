/*
 * Restrictions that look at an address: is it complete, does its domain exist, does it exist here,
 * may mail for it pass, whose is it.
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "mail/domain.h"
#include "mail/path.h"
#include "net/dns.h"
#include "queue/submit.h"
#include "route/recipient.h"
#include "route/rewrite.h"
#include "task/task.h"

#include "smtpd_check.h"

static struct {
    struct maps *logins; /* smtpd_sender_login_maps */
    struct maps *canonical; /* sender_canonical_maps */
} senders;

void smtpd_open_senders(void)
{
    senders.logins = maps_open("smtpd_sender_login_maps", conf.smtpd_sender_login_maps,
                               DICT_FOLD | DICT_MAY_FAIL);
    senders.canonical =
        maps_open("sender_canonical_maps", conf.sender_canonical_maps, DICT_FOLD | DICT_MAY_FAIL);
}

static const char sender_class[] = "Sender address", rcpt_class[] = "Recipient address";

static enum verdict deny(struct check *k, int code, const char *dsn, const char *address,
                         const char *class, const char *text)
{
    struct buf external = BUF_TEXT(4096);

    path_quote(strz(address), &external);
    enum verdict v = check_deny_subject(k, code, dsn, external.p, class, text);
    buf_free(&external);
    return v;
}

const struct route *check_route(struct check *k, const char *address, enum verdict *v)
{
    struct why why = WHY;
    const struct route *r = smtpd_route_of(k->s, address, &why);

    *v = r != NULL ? VERDICT_DUNNO : check_failed(k, address, &why);
    why_free(&why);
    return r;
}

/* ---- relaying ---- */

/* May mail for it pass whoever the client is? -1: not known, *v is the refusal. */
static int is_ours(struct check *k, const char *address, enum verdict *v)
{
    const struct route *r = check_route(k, address, v);

    if (r == NULL)
        return -1;
    return r->class != CLASS_DEFAULT && (!r->routed || conf.allow_untrusted_routing);
}

enum verdict check_permit_auth_destination(struct check *k, const struct restriction *r)
{
    enum verdict v;

    (void)r;
    if (k->rcpt == NULL)
        return VERDICT_DUNNO;
    int ours = is_ours(k, k->rcpt, &v);
    return ours < 0 ? v : ours ? VERDICT_PERMIT : VERDICT_DUNNO;
}

static enum verdict unauth(struct check *k, int code, const char *dsn)
{
    struct buf external = BUF_TEXT(4096);
    enum verdict v;

    if (k->rcpt == NULL)
        return VERDICT_DUNNO;
    int ours = is_ours(k, k->rcpt, &v);
    if (ours == 0) {
        path_quote(strz(k->rcpt), &external);
        v = check_deny(k, code, dsn, "<%s>: Relay access denied", external.p);
    }
    buf_free(&external);
    return v;
}

static enum verdict reject_unauth_destination(struct check *k, const struct restriction *r)
{
    (void)r;
    return unauth(k, (int)conf.relay_domains_reject_code, "5.7.1");
}

static enum verdict defer_unauth_destination(struct check *k, const struct restriction *r)
{
    (void)r;
    return unauth(k, 454, "4.7.1");
}

/* ---- existence ---- */

/* RFC 3463 3.2: X.1.1 is about a recipient. The codes are Postfix's. */
static const char *sender_code(const struct route *r, const char *code)
{
    if (strcmp(code + 1, ".1.1") != 0)
        return code;
    return r->class == CLASS_VIRTUAL_ALIAS ? "5.1.7" : code[0] == '4' ? "4.1.0" : "5.1.0";
}

/* A sender that cleanup will rewrite to another address need not exist here. */
static enum dict_answer is_rewritten(const struct route *r, struct why *why)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    enum dict_answer answer = route_find(senders.canonical, r->recipient.p, &value, NULL, why);

    buf_free(&value);
    return answer;
}

static enum verdict unlisted(struct check *k, const char *address, bool sender)
{
    const char *class = sender ? sender_class : rcpt_class;
    struct why why = WHY;
    int code = 550;
    enum verdict v;
    const struct route *r = check_route(k, address, &v);

    if (r != NULL) {
        enum dict_answer answer = sender ? is_rewritten(r, &why) : DICT_NONE;
        if (answer == DICT_NONE)
            answer = recipient_find(r, &code, &why);
        if (answer == DICT_FAILED)
            v = check_failed(k, address, &why);
        else if (answer == DICT_NONE)
            v = deny(k, code, sender ? sender_code(r, why.code) : why.code, address, class,
                     why_text(&why));
    }
    why_free(&why);
    return v;
}

enum verdict check_reject_unlisted_recipient(struct check *k, const struct restriction *r)
{
    (void)r;
    if (k->rcpt == NULL)
        return VERDICT_DUNNO;
    k->s->rcpt_checked = true;
    if ((submit_overrides() & OVERRIDE_NO_UNKNOWN_RECIPIENT_CHECKS) != 0)
        return VERDICT_DUNNO;
    return unlisted(k, k->rcpt, false);
}

enum verdict check_reject_unlisted_sender(struct check *k, const struct restriction *r)
{
    struct smtpd_mail *m = k->s->mail;

    (void)r;
    if (m == NULL || m->sender[0] == 0)
        return VERDICT_DUNNO;
    k->s->sender_checked = true;
    if ((submit_overrides() & OVERRIDE_NO_UNKNOWN_RECIPIENT_CHECKS) != 0)
        return VERDICT_DUNNO;
    return unlisted(k, m->sender, true);
}

/* ---- form ---- */

static enum verdict non_fqdn(struct check *k, const char *address, const char *class)
{
    struct str domain = path_domain(strz(address));

    if (address[0] == 0 || domain_is_fqdn(domain) || domain_is_literal(domain, NULL))
        return VERDICT_DUNNO;
    return deny(k, (int)conf.non_fqdn_reject_code, "5.5.2", address, class,
                "need fully-qualified address");
}

static enum verdict reject_non_fqdn_recipient(struct check *k, const struct restriction *r)
{
    (void)r;
    return k->rcpt == NULL || strcasecmp(k->rcpt, "postmaster") == 0
               ? VERDICT_DUNNO /* RFC 5321 4.5.1 */
               : non_fqdn(k, k->rcpt, rcpt_class);
}

static enum verdict reject_non_fqdn_sender(struct check *k, const struct restriction *r)
{
    (void)r;
    return k->s->mail == NULL ? VERDICT_DUNNO : non_fqdn(k, k->s->mail->sender, sender_class);
}

/* ---- the domain in the DNS ---- */

struct domain_check {
    const char *address, *class;
    const char *not_found; /* enhanced code */
    int null_mx_code;
    const char *null_mx;
};

static enum verdict null_mx(struct check *k, const struct domain_check *d, struct str domain)
{
    struct buf text = BUF_TEXT(400);

    buf_addf(&text, "Domain %.*s does not accept mail (nullMX)", (int)domain.n, domain.p);
    enum verdict v = deny(k, d->null_mx_code, d->null_mx, d->address, d->class, text.p);
    buf_free(&text);
    return v;
}

/* Does mail for it leave this host? Then its domain is one that the DNS must know. */
static bool is_foreign(const struct route *r)
{
    return r->class == CLASS_DEFAULT || r->class == CLASS_RELAY;
}

/* The domain that mail would go to, however the address is spelt. */
static enum verdict unknown_domain(struct check *k, const struct domain_check *d)
{
    struct buf text = BUF_TEXT(4096);
    const char *code;
    enum verdict v;

    if (d->address[0] == 0)
        return VERDICT_DUNNO;
    const struct route *r = check_route(k, d->address, &v);
    if (r == NULL)
        return v;
    struct str domain = path_domain(buf_str(&r->recipient));
    if (domain.n == 0 || domain_is_literal(domain, NULL) || !is_foreign(r))
        return VERDICT_DUNNO;
    enum dns_status status = smtpd_domain_exists(k->s, domain.p, &code);
    if (check_is_filtered(status, code, domain.p, "MX or address"))
        return VERDICT_DUNNO;
    if (status == DNS_FAILED) {
        buf_addf(&text, "<%s>: %s rejected: Domain not found", d->address, d->class);
        v = check_tempfail(k, conf.unknown_address_tempfail_action, 450, d->not_found, text.p);
    } else if (status != DNS_OK && strncmp(code, "5.1.", 4) == 0) { /* RFC 7505 */
        v = null_mx(k, d, domain);
    } else if (status != DNS_OK) {
        v = deny(k, (int)conf.unknown_address_reject_code, d->not_found, d->address, d->class,
                 "Domain not found");
    }
    buf_free(&text);
    return v;
}

static enum verdict reject_unknown_recipient_domain(struct check *k, const struct restriction *r)
{
    struct domain_check d = {k->rcpt, rcpt_class, "4.1.2", 556, "5.1.10"};

    (void)r;
    return k->rcpt == NULL ? VERDICT_DUNNO : unknown_domain(k, &d);
}

static enum verdict reject_unknown_sender_domain(struct check *k, const struct restriction *r)
{
    (void)r;
    if (k->s->mail == NULL)
        return VERDICT_DUNNO;
    struct domain_check d = {k->s->mail->sender, sender_class, "4.1.8", 550, "5.7.27"};
    return unknown_domain(k, &d);
}

/* RFC 5321 4.5.5: a report goes to one address, that of the sender. At RCPT the present recipient
 * is not counted yet. */
static enum verdict reject_multi_recipient_bounce(struct check *k, const struct restriction *r)
{
    const struct smtpd_mail *m = k->s->mail;
    size_t most = strcmp(k->s->where, "RCPT") == 0 ? 0 : 1;

    (void)r;
    if (m == NULL || m->sender[0] != 0 || m->rcpts.n <= most)
        return VERDICT_DUNNO;
    return check_deny_subject(k, (int)conf.multi_recipient_bounce_reject_code, "5.5.3", k->subject,
                              k->class, "Multi-recipient bounce");
}

/* ---- whose address ---- */

enum mismatch { WRONG_LOGIN = 1, NO_LOGIN = 2, ONLY_LISTED = 4 };

static enum verdict login_mismatch(struct check *k, unsigned which)
{
    struct smtpd *s = k->s;
    struct buf owners = BUF(DICT_VALUE_LIMIT), text = BUF_TEXT(1000);
    struct why why = WHY;
    enum verdict v = VERDICT_DUNNO;

    if (s->mail == NULL || s->mail->sender[0] == 0 || !conf.smtpd_sasl_auth_enable)
        return VERDICT_DUNNO;
    const struct route *r = check_route(k, s->mail->sender, &v);
    if (r == NULL)
        return v;
    enum dict_answer answer = route_find(senders.logins, r->recipient.p, &owners, NULL, &why);
    bool listed = answer == DICT_FOUND;
    bool owned =
        listed && s->sasl_username != NULL && str_ilisted(owners.p, strz(s->sasl_username));
    if (answer == DICT_FAILED) {
        v = check_failed(k, s->mail->sender, &why);
    } else if (s->sasl_username != NULL && !owned && (which & WRONG_LOGIN) != 0 &&
               (listed || (which & ONLY_LISTED) == 0)) {
        buf_addf(&text, "not owned by user %s", s->sasl_username);
        v = deny(k, 553, "5.7.1", s->mail->sender, sender_class, text.p);
    } else if (s->sasl_username == NULL && listed && (which & NO_LOGIN) != 0) {
        v = deny(k, 553, "5.7.1", s->mail->sender, sender_class, "not logged in");
    }
    buf_free(&owners);
    buf_free(&text);
    why_free(&why);
    return v;
}

static enum verdict reject_sender_login_mismatch(struct check *k, const struct restriction *r)
{
    (void)r;
    return login_mismatch(k, WRONG_LOGIN | NO_LOGIN);
}

static enum verdict reject_authenticated_mismatch(struct check *k, const struct restriction *r)
{
    (void)r;
    return login_mismatch(k, WRONG_LOGIN);
}

static enum verdict reject_unauthenticated_mismatch(struct check *k, const struct restriction *r)
{
    (void)r;
    return login_mismatch(k, NO_LOGIN);
}

static enum verdict reject_known_mismatch(struct check *k, const struct restriction *r)
{
    (void)r;
    return login_mismatch(k, WRONG_LOGIN | NO_LOGIN | ONLY_LISTED);
}

const struct restriction_def smtpd_address_restrictions[] = {
    {"defer_unauth_destination", defer_unauth_destination},
    {"permit_auth_destination", check_permit_auth_destination},
    {"reject_authenticated_sender_login_mismatch", reject_authenticated_mismatch},
    {"reject_known_sender_login_mismatch", reject_known_mismatch},
    {"reject_multi_recipient_bounce", reject_multi_recipient_bounce},
    {"reject_non_fqdn_recipient", reject_non_fqdn_recipient},
    {"reject_non_fqdn_sender", reject_non_fqdn_sender},
    {"reject_sender_login_mismatch", reject_sender_login_mismatch},
    {"reject_unauth_destination", reject_unauth_destination},
    {"reject_unauthenticated_sender_login_mismatch", reject_unauthenticated_mismatch},
    {"reject_unknown_address", reject_unknown_sender_domain},
    {"reject_unknown_recipient_domain", reject_unknown_recipient_domain},
    {"reject_unknown_sender_domain", reject_unknown_sender_domain},
    {"reject_unlisted_recipient", check_reject_unlisted_recipient},
    {"reject_unlisted_sender", check_reject_unlisted_sender},
    {.name = NULL},
};
