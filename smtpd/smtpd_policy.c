/*
 * check_policy_service: what a policy service is told of the client and its message, and what is
 * done with its answer. SMTPD_POLICY_README
 */
#include "smtpd_policy.h"

#include "base/encode.h"
#include "conf/conf.h"
#include "net/tls.h"
#include "task/task.h"

#include "smtpd_check.h"

enum { REQUEST_MOST = 64 * 1024 }; /* HELO name, sender and recipient are parts of lines */

/* As Postfix: that content comes with BDAT makes no difference. */
static const char *protocol_state(const struct smtpd *s)
{
    return strcmp(s->where, "BDAT") == 0 ? "DATA" : s->where;
}

static void put_client(struct buf *b, const struct smtpd *s)
{
    char local[ADDR_TEXT];

    policy_put(b, "request", "smtpd_access_policy");
    policy_put(b, "protocol_state", protocol_state(s));
    policy_put(b, "protocol_name", smtpd_protocol(s));
    policy_put(b, "client_address", s->peer.addr_text);
    policy_put(b, "client_name", s->peer.name);
    policy_put(b, "client_port", s->port);
    policy_put(b, "reverse_client_name", s->peer.reverse_name);
    policy_put(b, "server_address", addr_text(&s->peer.local, local));
    policy_put_number(b, "server_port", s->peer.local.port);
    policy_put(b, "helo_name", s->helo != NULL ? s->helo : "");
}

/* How many recipients a message has is known behind the last of them. */
static bool has_all_rcpts(const struct smtpd *s)
{
    return strcmp(protocol_state(s), "DATA") == 0 || strcmp(s->where, "END-OF-MESSAGE") == 0;
}

/* As the client has written it: in xtext; "<>" is empty. */
static void put_sasl_sender(struct buf *b, const char *sender)
{
    struct buf text = BUF(REQUEST_MOST); /* asked: what is too long is left out */

    if (sender != NULL && strcmp(sender, "<>") != 0)
        encode_xtext(&text, strz(sender));
    policy_put(b, "sasl_sender", buf_ok(&text) ? text.p : "");
    buf_free(&text);
}

static void put_message(struct buf *b, const struct check *k)
{
    const struct smtpd *s = k->s;
    const struct smtpd_mail *m = s->mail;

    policy_put(b, "sender", m != NULL ? m->sender : "");
    policy_put(b, "recipient", k->rcpt);
    policy_put_number(b, "recipient_count",
                      m != NULL && has_all_rcpts(s) ? (int64_t)m->rcpts.n : 0);
    policy_put(b, "queue_id", ""); /* only cleanup knows it before the end (submit.h) */
    policy_put(b, "instance", m != NULL ? m->instance : "");
    policy_put_number(b, "size", m == NULL ? 0 : m->bytes > 0 ? m->bytes : m->size);
    policy_put(b, "etrn_domain", s->etrn_domain);
    policy_put(b, "stress", conf.stress);
    policy_put(b, "sasl_method", s->sasl_method);
    policy_put(b, "sasl_username", s->sasl_username);
    put_sasl_sender(b, m != NULL ? m->sasl_sender : NULL);
}

/* A name in a certificate that anybody may have made is nobody's. */
static void put_cert_name(struct buf *b, const char *attribute, const struct tls_info *tls,
                          const char *name)
{
    struct buf text = BUF(REQUEST_MOST); /* asked: what is too long is left out */

    if (tls != NULL && tls->trusted)
        encode_xtext(&text, strz(name));
    policy_put(b, attribute, buf_ok(&text) ? text.p : "");
    buf_free(&text);
}

static void put_tls(struct buf *b, const struct tls_info *tls)
{
    put_cert_name(b, "ccert_subject", tls, tls != NULL ? tls->cert_name : "");
    put_cert_name(b, "ccert_issuer", tls, tls != NULL ? tls->issuer : "");
    policy_put(b, "ccert_fingerprint", tls != NULL ? tls->cert_fingerprint : "");
    policy_put(b, "ccert_pubkey_fingerprint", tls != NULL ? tls->key_fingerprint : "");
    policy_put(b, "encryption_protocol", tls != NULL ? tls->protocol : "");
    policy_put(b, "encryption_cipher", tls != NULL ? tls->cipher : "");
    policy_put_number(b, "encryption_keysize", tls != NULL ? tls->bits : 0);
}

static void put_request(struct buf *b, const struct check *k, const struct policy_service *p)
{
    put_client(b, k->s);
    put_message(b, k);
    put_tls(b, k->s->tls);
    policy_put(b, "policy_context",
               p->context != NULL ? p->context : conf.smtpd_policy_service_policy_context);
    policy_put(b, "compatibility_level", conf.compatibility_level);
    policy_put(b, "mail_version", conf.mail_version);
    policy_end(b);
}

/* The default action may be restrictions, and ask a service that does not answer, either. */
static enum verdict without_answer(struct check *k, const struct policy_service *p)
{
    bool again = k->without_policy;
    const char *action = again                       ? "451 4.3.5 Server configuration problem"
                         : p->default_action != NULL ? p->default_action
                                                     : conf.smtpd_policy_service_default_action;

    if (task_is_cancelled()) /* we are to end: the service has not failed */
        return check_deny(k, 421, "4.3.2", "%s Error: service shutting down", conf.myhostname);
    k->without_policy = true;
    enum verdict v = access_action(k, action, k->subject, k->class, p->text);
    k->without_policy = again;
    return v;
}

static enum verdict check_policy_service(struct check *k, const struct restriction *r)
{
    struct policy_reply reply = POLICY_REPLY((size_t)conf.smtpd_policy_service_reply_limit);
    struct buf request = BUF(REQUEST_MOST);
    enum verdict v;

    put_request(&request, k, r->policy);
    bool answered =
        buf_ok(&request) && smtpd_policy_ask(k->s, r->policy, buf_str(&request), &reply) == 0;
    buf_free(&request);
    v = answered ? access_action(k, reply.action.p, k->subject, k->class, r->arg)
                 : without_answer(k, r->policy);
    policy_reply_free(&reply);
    return v;
}

const struct restriction_def smtpd_policy_restrictions[] = {
    {"check_policy_service", check_policy_service, RESTRICTION_POLICY},
    {.name = NULL},
};
