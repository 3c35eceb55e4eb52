/*
 * HELO and EHLO. RFC 5321 4.1.1.1
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "mail/esmtp_cmd.h"
#include "mail/esmtp_ehlo.h"

#include "smtpd.h"
#include "smtpd_check.h"
#include "smtpd_milter.h"

/* What the client calls itself, for the log and the trace field. Those who are asked now hear it as
 * it came. False: refused. */
static bool take_name(struct smtpd *s, struct str args, const char *verb)
{
    const char *before = s->helo;

    if (!esmtp_helo_name(args, &s->helo_asked)) {
        smtpd_reply(s, 501, "", "Syntax: %s hostname", verb);
        return false;
    }
    if (s->mail != NULL && s->mail->transfer != NULL) /* between two BDAT: filters must hear this */
        smtpd_end_mail(s);
    s->helo = s->helo_asked.p;
    if (!smtpd_event(s, SMTPD_HELO, &(struct smtpd_facts){0})) {
        s->helo = before;
        smtpd_reply_denial(s);
        return false;
    }
    buf_swap(&s->helo_name, &s->helo_asked);
    esmtp_make_harmless(s->helo_name.p);
    smtpd_end_mail(s); /* RFC 5321 4.1.4: as RSET */
    return true;
}

void smtpd_helo(struct smtpd *s, struct str args)
{
    if (!take_name(s, args, "HELO"))
        return;
    s->esmtp = false;
    smtpd_reply(s, 250, "", "%s", conf.myhostname);
}

static struct {
    struct maps *discard; /* smtpd_discard_ehlo_keyword_address_maps */
} helo;

void smtpd_open_helo(void)
{
    helo.discard =
        maps_open("smtpd_discard_ehlo_keyword_address_maps",
                  conf.smtpd_discard_ehlo_keyword_address_maps, DICT_FOLD | DICT_MAY_FAIL);
}

bool smtpd_find_hidden(struct smtpd *s)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    enum dict_answer answer = hostaddr_find(helo.discard, s->peer.addr_text, &value, &why);

    if (answer == DICT_FAILED)
        msg_warn("%s", why_text(&why));
    s->hidden = esmtp_ext_mask(answer == DICT_FOUND ? buf_str(&value)
                                                    : strz(conf.smtpd_discard_ehlo_keywords));
    buf_free(&value);
    why_free(&why);
    return answer != DICT_FAILED;
}

bool smtpd_has_requiretls(const struct smtpd *s)
{
    return conf.requiretls_enable && s->tls != NULL && (s->hidden & ESMTP_REQUIRETLS) == 0;
}

enum { LIMIT_MOST = 999999 }; /* RFC 9422 4: six digits */

/* Some extensions depend on the client. */
static unsigned offered(struct smtpd *s)
{
    unsigned ext = ESMTP_PIPELINING | ESMTP_SIZE | ESMTP_VRFY | ESMTP_ETRN |
                   ESMTP_ENHANCEDSTATUSCODES | ESMTP_8BITMIME | ESMTP_DSN | ESMTP_CHUNKING;

    if (conf.disable_vrfy_command)
        ext &= ~(unsigned)ESMTP_VRFY;
    if (conf.smtputf8_enable)
        ext |= ESMTP_SMTPUTF8;
    if (conf.smtpd_announce_limits && conf.smtpd_recipient_limit <= LIMIT_MOST)
        ext |= ESMTP_LIMITS;
    if (smtpd_has_requiretls(s))
        ext |= ESMTP_REQUIRETLS;
    if (smtpd_takes_priority(s))
        ext |= ESMTP_MT_PRIORITY;
    if (smtpd_takes_release(s))
        ext |= ESMTP_FUTURERELEASE;
    if (smtpd_takes_deliver_by(s))
        ext |= ESMTP_DELIVERBY;
    if (smtpd_tls_offered(s) && s->tls == NULL)
        ext |= ESMTP_STARTTLS;
    if (smtpd_auth_offered(s))
        ext |= ESMTP_AUTH;
    if (s->may_verp)
        ext |= ESMTP_XVERP;
    if (s->may_xclient)
        ext |= ESMTP_XCLIENT;
    if (s->may_xforward)
        ext |= ESMTP_XFORWARD;
    if (smtpd_milters_refuse(s)) /* so will all commands be */
        ext = ESMTP_ENHANCEDSTATUSCODES;
    return ext & ~s->hidden;
}

static void add_auth(struct smtpd *s, struct buf *text)
{
    struct buf mechs = BUF(1024);

    smtpd_auth_mechs(s, &mechs);
    if (mechs.n > 0 && buf_ok(&mechs)) {
        buf_addf(text, "\nAUTH %s", mechs.p);
        if (conf.broken_sasl_auth_clients)
            buf_addf(text, "\nAUTH=%s", mechs.p);
    }
    buf_free(&mechs);
}

static void log_hidden(const struct smtpd *s)
{
    struct buf line = BUF_TEXT(1000);

    esmtp_ext_print(s->hidden, &line);
    if (line.n > 0)
        msg_info("%s", line.p);
    buf_free(&line);
}

void smtpd_ehlo(struct smtpd *s, struct str args)
{
    struct buf text = BUF(8192); /* twice the mechanisms, and our own name */

    if (!take_name(s, args, "EHLO"))
        return;
    s->esmtp = s->said_ehlo = true;
    log_hidden(s);
    unsigned ext = offered(s);
    buf_addz(&text, conf.myhostname);
    if (ext & ESMTP_PIPELINING)
        buf_addz(&text, "\nPIPELINING");
    if (ext & ESMTP_SIZE && conf.message_size_limit > 0)
        buf_addf(&text, "\nSIZE %lld", (long long)conf.message_size_limit);
    else if (ext & ESMTP_SIZE)
        buf_addz(&text, "\nSIZE");
    if (ext & ESMTP_VRFY)
        buf_addz(&text, "\nVRFY");
    if (ext & ESMTP_ETRN)
        buf_addz(&text, "\nETRN");
    if (ext & ESMTP_STARTTLS)
        buf_addz(&text, "\nSTARTTLS");
    if (ext & ESMTP_AUTH)
        add_auth(s, &text);
    if (ext & ESMTP_XVERP)
        buf_addz(&text, "\nXVERP");
    if (ext & ESMTP_XCLIENT)
        buf_addf(&text, "\n%s", esmtp_xattr_keyword(XCLIENT));
    if (ext & ESMTP_XFORWARD)
        buf_addf(&text, "\n%s", esmtp_xattr_keyword(XFORWARD));
    if (ext & ESMTP_ENHANCEDSTATUSCODES)
        buf_addz(&text, "\nENHANCEDSTATUSCODES");
    if (ext & ESMTP_8BITMIME)
        buf_addz(&text, "\n8BITMIME");
    if (ext & ESMTP_DSN)
        buf_addz(&text, "\nDSN");
    if (ext & ESMTP_SMTPUTF8)
        buf_addz(&text, "\nSMTPUTF8");
    if (ext & ESMTP_REQUIRETLS)
        buf_addz(&text, "\nREQUIRETLS");
    if (ext & ESMTP_MT_PRIORITY)
        buf_addz(&text, "\nMT-PRIORITY");
    if (ext & ESMTP_FUTURERELEASE)
        smtpd_offer_release(&text);
    if (ext & ESMTP_DELIVERBY)
        smtpd_offer_deliver_by(&text);
    if (ext & ESMTP_LIMITS) /* RFC 9422: in one session there may be any number of messages */
        buf_addf(&text, "\nLIMITS RCPTMAX=%lld", (long long)conf.smtpd_recipient_limit);
    if (ext & ESMTP_CHUNKING)
        buf_addz(&text, "\nCHUNKING");
    smtpd_reply_text(s, 250, "", buf_ok(&text) ? buf_str(&text) : strz(conf.myhostname));
    buf_free(&text);
}
