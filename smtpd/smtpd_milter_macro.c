/*
 * Macros: what mail filters may want to know of a session. MILTER_README of Postfix says what they
 * are.
 */
#include "conf/conf.h"
#include "mail/path.h"
#include "net/tls.h"
#include "route/resolve.h"

#include "smtpd_check.h"
#include "smtpd_milter.h"

static const char *text(struct smtpd *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static const char *text(struct smtpd *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_clear(&s->milter_text);
    buf_addv(&s->milter_text, fmt, ap);
    va_end(ap);
    return s->milter_text.p;
}

static const char *queue_id(struct smtpd *s)
{
    return s->mail != NULL ? s->mail->queue_id : NULL;
}

/* ---- the client ---- */

const char *smtpd_milter_client(struct smtpd *s)
{
    if (strcasecmp(s->peer.name, "unknown") != 0)
        return s->peer.name;
    return text(s, "[%s]", s->peer.addr_text);
}

static const char *client(struct smtpd *s)
{
    bool forged = strcasecmp(s->peer.reverse_name, s->peer.name) != 0;

    return text(s, "%s [%s]%s", s->peer.reverse_name, s->peer.addr_text,
                forged ? " (may be forged)" : "");
}

static const char *client_addr(struct smtpd *s)
{
    return text(s, "%s%s", s->peer.addr.family == AF_INET6 ? "IPv6:" : "", s->peer.addr_text);
}

static const char *client_name(struct smtpd *s)
{
    return s->peer.name;
}

static const char *client_port(struct smtpd *s)
{
    return s->port;
}

static const char *client_ptr(struct smtpd *s)
{
    return s->peer.reverse_name;
}

/* Where there is no limit nobody counts. */
static const char *client_connections(struct smtpd *s)
{
    bool counted = conf.smtpd_client_connection_count_limit > 0;

    return text(s, "%lld", counted ? (long long)s->connections : 0);
}

static const char *client_resolve(struct smtpd *s)
{
    if (s->peer.name_status == PEER_NAME_OK)
        return "OK";
    if (s->peer.name_status == PEER_NAME_FAILED)
        return "TEMP";
    return s->peer.reverse_status == PEER_NAME_OK ? "FORGED" : "FAIL";
}

static const char *daemon_addr(struct smtpd *s)
{
    char addr[ADDR_TEXT];

    return text(s, "%s", addr_text(&s->peer.local, addr));
}

static const char *daemon_port(struct smtpd *s)
{
    return text(s, "%u", (unsigned)s->peer.local.port);
}

/* ---- login and TLS ---- */

static const char *auth_type(struct smtpd *s)
{
    return s->sasl_method;
}

static const char *auth_authen(struct smtpd *s)
{
    return s->sasl_username;
}

static const char *auth_author(struct smtpd *s)
{
    return s->mail != NULL && s->sasl_username != NULL ? s->mail->sasl_sender : NULL;
}

static const char *tls_version(struct smtpd *s)
{
    return s->tls != NULL ? s->tls->protocol : NULL;
}

static const char *cipher(struct smtpd *s)
{
    return s->tls != NULL ? s->tls->cipher : NULL;
}

static const char *cipher_bits(struct smtpd *s)
{
    return s->tls != NULL ? text(s, "%d", s->tls->bits) : NULL;
}

/* What a certificate says counts only if somebody trusted has signed it. */
static const char *cert_subject(struct smtpd *s)
{
    return s->tls != NULL && s->tls->trusted ? s->tls->cert_name : NULL;
}

static const char *cert_issuer(struct smtpd *s)
{
    return s->tls != NULL && s->tls->trusted ? s->tls->issuer : NULL;
}

/* ---- addresses ---- */

/* Where mail for the address goes: asked once a command. */
static const struct route *route_of(struct smtpd *s, const char *address)
{
    return address != NULL && address[0] != 0 ? smtpd_route_of(s, address, NULL) : NULL;
}

static const char *recipient_of(struct smtpd *s, const struct route *r, const char *address)
{
    if (r == NULL)
        return address != NULL && address[0] == 0 ? "" : NULL;
    buf_clear(&s->milter_text);
    path_quote(buf_str(&r->recipient), &s->milter_text);
    return s->milter_text.p;
}

static const char *host_of(const struct route *r)
{
    return r != NULL ? r->nexthop.p : NULL;
}

static const char *mailer_of(const struct route *r)
{
    return r != NULL ? r->transport.p : NULL;
}

static const char *sender(struct smtpd *s)
{
    return s->mail != NULL ? s->mail->sender : NULL;
}

/* The null sender has a place to go to, too: whoever reads such mail. */
static const struct route *sender_route(struct smtpd *s)
{
    return sender(s) != NULL && sender(s)[0] == 0 ? smtpd_route_of(s, "", NULL)
                                                  : route_of(s, sender(s));
}

static const char *mail_addr(struct smtpd *s)
{
    return recipient_of(s, route_of(s, sender(s)), sender(s));
}

static const char *mail_host(struct smtpd *s)
{
    return host_of(sender_route(s));
}

static const char *mail_mailer(struct smtpd *s)
{
    return mailer_of(sender_route(s));
}

/* After RCPT it is the first of the message, as in Postfix. */
static const char *rcpt(struct smtpd *s)
{
    const struct smtpd_mail *m = s->mail;

    if (m == NULL || m->milter_rcpt != NULL || m->rcpts.n == 0)
        return m != NULL ? m->milter_rcpt : NULL;
    return m->rcpts.at[0].address;
}

/* "<x@y>: Recipient address rejected: text": what is behind the address. */
static const char *refusal(struct smtpd *s)
{
    const char *why = why_text(&s->denial.why);
    const char *end = why[0] == '<' ? strstr(why, ">: ") : NULL;

    return end != NULL ? end + 3 : why;
}

static const char *rcpt_addr(struct smtpd *s)
{
    return s->milter_rcpt_refused ? refusal(s) : recipient_of(s, route_of(s, rcpt(s)), rcpt(s));
}

static const char *rcpt_host(struct smtpd *s)
{
    return s->milter_rcpt_refused ? s->denial.why.code : host_of(route_of(s, rcpt(s)));
}

static const char *rcpt_mailer(struct smtpd *s)
{
    return s->milter_rcpt_refused ? "error" : mailer_of(route_of(s, rcpt(s)));
}

static const struct {
    const char *name;
    const char *(*value)(struct smtpd *s);
} macros[] = {
    {"i", queue_id},
    {"_", client},
    {"{auth_authen}", auth_authen},
    {"{auth_author}", auth_author},
    {"{auth_type}", auth_type},
    {"{cert_issuer}", cert_issuer},
    {"{cert_subject}", cert_subject},
    {"{cipher}", cipher},
    {"{cipher_bits}", cipher_bits},
    {"{client_addr}", client_addr},
    {"{client_connections}", client_connections},
    {"{client_name}", client_name},
    {"{client_port}", client_port},
    {"{client_ptr}", client_ptr},
    {"{client_resolve}", client_resolve},
    {"{daemon_addr}", daemon_addr},
    {"{daemon_port}", daemon_port},
    {"{mail_addr}", mail_addr},
    {"{mail_host}", mail_host},
    {"{mail_mailer}", mail_mailer},
    {"{rcpt_addr}", rcpt_addr},
    {"{rcpt_host}", rcpt_host},
    {"{rcpt_mailer}", rcpt_mailer},
    {"{tls_version}", tls_version},
};

const char *smtpd_milter_macro(void *arg, struct str name)
{
    for (size_t i = 0; i < sizeof macros / sizeof *macros; i++)
        if (str_eqz(name, macros[i].name))
            return macros[i].value(arg);
    return NULL;
}
