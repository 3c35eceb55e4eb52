/*
 * XFORWARD: a content filter says whose mail it brings back, for the log and for the next filter.
 * It changes no decision but one: whether headers are completed as those of local mail. What was
 * said is for one message. XFORWARD_README of Postfix
 */
#include "base/mem.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "dict/match.h"
#include "mail/esmtp_xattr.h"

#include "smtpd.h"
#include "smtpd_check.h"

enum {
    CLIENT = X_BIT(X_NAME) | X_BIT(X_ADDR) | X_BIT(X_PORT) | X_BIT(X_PROTO) | X_BIT(X_HELO),
};

struct smtpd_origin {
    unsigned given; /* which attributes were said, known or not */
    char value[X_COUNT][X_VALUE_MOST + 1]; /* "": not known */
};

static struct {
    struct match *hosts;
} xforward;

void smtpd_open_xforward(void)
{
    xforward.hosts =
        match_open_hosts("smtpd_authorized_xforward_hosts", conf.smtpd_authorized_xforward_hosts);
}

bool smtpd_may_xforward(struct smtpd *s)
{
    return smtpd_is_among(s, xforward.hosts);
}

void smtpd_forget_origin(struct smtpd *s)
{
    free(s->origin);
    s->origin = NULL;
}

static bool is_given(const struct smtpd *s, unsigned attrs)
{
    return s->origin != NULL && (s->origin->given & attrs) != 0;
}

bool smtpd_has_origin(const struct smtpd *s)
{
    return is_given(s, CLIENT);
}

static const char *own(const struct smtpd *s, enum esmtp_xattr attr)
{
    switch (attr) {
    case X_NAME:
        return s->peer.name;
    case X_ADDR:
        return s->peer.addr_text;
    case X_PORT:
        return s->port;
    case X_PROTO:
        return smtpd_protocol(s);
    case X_HELO:
        return s->helo;
    default:
        return NULL;
    }
}

const char *smtpd_origin(const struct smtpd *s, enum esmtp_xattr attr)
{
    bool said = is_given(s, (X_BIT(attr) & CLIENT) != 0 ? CLIENT : X_BIT(attr));

    if (!said)
        return own(s, attr);
    if (s->origin->value[attr][0] != 0)
        return s->origin->value[attr];
    return attr == X_HELO || (X_BIT(attr) & CLIENT) == 0 ? NULL : "unknown";
}

void smtpd_origin_namaddr(const struct smtpd *s, struct buf *out)
{
    bool has_addr = s->origin != NULL && s->origin->value[X_ADDR][0] != 0;

    if (!smtpd_has_origin(s))
        buf_addz(out, s->namaddr);
    else if (has_addr)
        buf_addf(out, "%s[%s]", smtpd_origin(s, X_NAME), s->origin->value[X_ADDR]);
    else
        buf_addz(out, smtpd_origin(s, X_NAME));
}

bool smtpd_origin_is_local(struct smtpd *s)
{
    const char *source = smtpd_origin(s, X_SOURCE);

    return source != NULL ? strcasecmp(source, "LOCAL") == 0 : smtpd_is_local(s);
}

static void remember(struct smtpd_origin *o, const struct esmtp_xvalue *v)
{
    const char *text = v->state == X_KNOWN ? v->text : "";
    struct addr addr;
    char usual[ADDR_TEXT]; /* form of an address */

    if (v->attr == X_ADDR && addr_parse(strz(text), &addr))
        text = addr_text(&addr, usual);
    o->given |= X_BIT(v->attr);
    snprintf(o->value[v->attr], sizeof o->value[v->attr], "%s", text);
}

/* All of a command, or nothing of it. */
static bool take_all(struct smtpd *s, struct str args)
{
    struct smtpd_origin *o = mem_new(sizeof *o);
    struct buf complaint = BUF_TEXT(1000);
    struct esmtp_xvalue v;
    int more;

    if (s->origin != NULL)
        *o = *s->origin;
    while ((more = esmtp_xattr_next(XFORWARD, &args, &v, &complaint)) > 0)
        remember(o, &v);
    if (more == 0) {
        smtpd_forget_origin(s);
        s->origin = o;
    } else {
        smtpd_reply(s, 501, "5.5.4", "%s", complaint.p);
        free(o);
    }
    buf_free(&complaint);
    return more == 0;
}

void smtpd_xforward(struct smtpd *s, struct str args)
{
    if (s->mail != NULL)
        smtpd_reply(s, 503, "5.5.1", "Error: MAIL transaction in progress");
    else if (args.n == 0)
        smtpd_reply(s, 501, "5.5.4", "Syntax: XFORWARD attribute=value...");
    else if (!s->may_xforward)
        smtpd_reply(s, 550, "5.7.0", "Error: insufficient authorization");
    else if (take_all(s, args))
        smtpd_reply(s, 250, "2.0.0", "Ok");
}
