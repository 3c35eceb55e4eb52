/*
 * XCLIENT: a proxy, or a program that tries out the configuration, says who the client is. From
 * then on the session is that client's: all that was known of the one before is forgotten, and it
 * begins again with the greeting. XCLIENT_README of Postfix
 */
#include "base/msg.h"
#include "base/num.h"
#include "conf/conf.h"
#include "dict/match.h"
#include "mail/esmtp_xattr.h"

#include "smtpd.h"
#include "smtpd_check.h"
#include "smtpd_limit.h"
#include "smtpd_milter.h"

/* Who the client will be, if the whole command is good. */
struct claim {
    struct arena *mem; /* of the texts */
    struct peer peer;
    char port[sizeof((struct smtpd *)0)->port];
    const char *helo, *login; /* null: not known */
    bool esmtp;
};

static struct {
    struct match *hosts;
} xclient;

void smtpd_open_xclient(void)
{
    xclient.hosts =
        match_open_hosts("smtpd_authorized_xclient_hosts", conf.smtpd_authorized_xclient_hosts);
}

bool smtpd_is_among(struct smtpd *s, struct match *hosts)
{
    struct why why = WHY;
    enum dict_answer answer = match_host(hosts, s->peer.name, s->peer.addr_text, &why);

    if (answer == DICT_FAILED)
        msg_warn("%s", why_text(&why));
    why_free(&why);
    return answer == DICT_FOUND;
}

bool smtpd_may_xclient(struct smtpd *s)
{
    return smtpd_is_among(s, xclient.hosts);
}

void smtpd_name_client(struct smtpd *s, struct arena *mem)
{
    bool port = conf.smtpd_client_port_logging;

    s->namaddr = arena_printf(mem, "%s[%s]%s%s", s->peer.name, s->peer.addr_text, port ? ":" : "",
                              port ? s->port : "");
}

static enum peer_name name_status(const struct esmtp_xvalue *v)
{
    return v->state == X_KNOWN         ? PEER_NAME_OK
           : v->state == X_TEMPUNAVAIL ? PEER_NAME_FAILED
                                       : PEER_NAME_NONE;
}

static const char *name_of(struct claim *c, const struct esmtp_xvalue *v)
{
    return v->state == X_KNOWN ? arena_strz(c->mem, strz(v->text)) : "unknown";
}

/* A name that is verified is also the one of the PTR record. */
static void take_name(struct claim *c, const struct esmtp_xvalue *v)
{
    c->peer.name = name_of(c, v);
    c->peer.name_status = name_status(v);
    if (v->state == X_KNOWN) {
        c->peer.reverse_name = c->peer.name;
        c->peer.reverse_status = PEER_NAME_OK;
    }
}

static void take_reverse_name(struct claim *c, const struct esmtp_xvalue *v)
{
    c->peer.reverse_name = name_of(c, v);
    c->peer.reverse_status = name_status(v);
}

static void take_addr(struct addr *a, const struct esmtp_xvalue *v)
{
    in_port_t port = a->port;

    if (v->state != X_KNOWN || !addr_parse(strz(v->text), a))
        *a = (struct addr){.family = 0};
    a->port = port;
}

static void take_port(struct addr *a, const struct esmtp_xvalue *v)
{
    uint32_t port = 0;

    if (v->state == X_KNOWN && !num_parse_u32(strz(v->text), 0, 65535, &port))
        port = 0; /* cannot be: it was checked */
    a->port = (in_port_t)port;
}

static void take(struct claim *c, const struct esmtp_xvalue *v)
{
    const char *text = v->state == X_KNOWN ? arena_strz(c->mem, strz(v->text)) : NULL;

    switch (v->attr) {
    case X_NAME:
        take_name(c, v);
        break;
    case X_REVERSE_NAME:
        take_reverse_name(c, v);
        break;
    case X_ADDR:
        take_addr(&c->peer.addr, v);
        addr_text(&c->peer.addr, c->peer.addr_text);
        break;
    case X_PORT:
        take_port(&c->peer.addr, v);
        snprintf(c->port, sizeof c->port, "%s", text != NULL ? text : "unknown");
        break;
    case X_DESTADDR:
        take_addr(&c->peer.local, v);
        break;
    case X_DESTPORT:
        take_port(&c->peer.local, v);
        break;
    case X_HELO:
        c->helo = text;
        break;
    case X_PROTO:
        c->esmtp = str_ieqz(strz(v->text), "ESMTP");
        break;
    case X_LOGIN:
        c->login = text;
        break;
    default:
        break;
    }
}

/* What the command does not say stays, but for what the client itself would say in a session. */
static void start_claim(struct smtpd *s, struct claim *c)
{
    *c = (struct claim){.mem = arena_new(s->mem), .peer = s->peer};
    memcpy(c->port, s->port, sizeof c->port);
    c->peer.name = arena_strz(c->mem, strz(s->peer.name));
    c->peer.reverse_name = arena_strz(c->mem, strz(s->peer.reverse_name));
}

/* A proxy may introduce any number of clients: the texts of the one before are freed. */
static void become(struct smtpd *s, const struct claim *c)
{
    struct arena *before = s->client_mem;

    smtpd_end_mail(s);
    smtpd_end_milters(s);
    smtpd_forget_facts(s);
    smtpd_limit_leave(s);
    s->client_mem = c->mem;
    s->peer = c->peer;
    memcpy(s->port, c->port, sizeof s->port);
    smtpd_name_client(s, c->mem);
    s->esmtp = s->said_ehlo = c->esmtp;
    s->sasl_method = c->login != NULL ? "XCLIENT" : NULL;
    s->sasl_username = c->login;
    s->helo = NULL;
    if (c->helo != NULL) {
        buf_setz(&s->helo_name, c->helo);
        s->helo = s->helo_name.p;
    }
    s->errors = s->junk = 0;
    s->early_talk = s->rcpt_checked = s->sender_checked = false;
    s->denied = false;
    s->denial.code = s->defer_if_permit.code = s->defer_if_reject.code = 0;
    for (int i = 0; i < SMTPD_EARLY_LISTS; i++)
        s->deferred[i].code = 0;
    arena_free(&before);
}

void smtpd_xclient(struct smtpd *s, struct str args)
{
    struct buf complaint = BUF_TEXT(1000);
    struct esmtp_xvalue v;
    struct claim c;
    int more;

    if (s->mail != NULL) {
        smtpd_reply(s, 503, "5.5.1", "Error: MAIL transaction in progress");
    } else if (args.n == 0) {
        smtpd_reply(s, 501, "5.5.4", "Syntax: XCLIENT attribute=value...");
    } else if (!s->may_xclient) {
        smtpd_reply(s, 550, "5.7.0", "Error: insufficient authorization");
    } else {
        start_claim(s, &c);
        while ((more = esmtp_xattr_next(XCLIENT, &args, &v, &complaint)) > 0)
            take(&c, &v);
        if (more == 0) {
            become(s, &c);
            smtpd_greet(s);
        } else {
            smtpd_reply(s, 501, "5.5.4", "%s", complaint.p);
            arena_free(&c.mem);
        }
    }
    buf_free(&complaint);
}
