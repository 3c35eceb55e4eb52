/*
 * HELO and EHLO. RFC 5321 4.1.1.1
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "mail/esmtp_ehlo.h"

#include "smtpd.h"
#include "smtpd_check.h"

/* What the client calls itself, for the log and the trace field. False: refused. */
static bool take_name(struct smtpd *s, struct str args)
{
    const char *name = arena_strz(s->mem, str_upto(args, 255)); /* RFC 5321 4.5.3.1.2 */

    if (!conf.smtpd_delay_reject && smtpd_check_helo(s, name) < 0) {
        smtpd_reply_denial(s);
        return false;
    }
    smtpd_drop_mail(s); /* RFC 5321 4.1.4: as RSET */
    s->helo = name;
    return true;
}

void smtpd_helo(struct smtpd *s, struct str args)
{
    struct str name;

    if (!str_word(&args, " \t", &name)) {
        smtpd_reply(s, 501, "", "Syntax: HELO hostname");
        return;
    }
    if (!take_name(s, name))
        return;
    s->esmtp = false;
    smtpd_reply(s, 250, "", "%s", conf.myhostname);
}

/* Some extensions depend on the client: smtpd_discard_ehlo_keywords. */
static unsigned offered(struct smtpd *s)
{
    unsigned ext = ESMTP_PIPELINING | ESMTP_SIZE | ESMTP_VRFY | ESMTP_ETRN |
                   ESMTP_ENHANCEDSTATUSCODES | ESMTP_8BITMIME | ESMTP_DSN;

    if (conf.disable_vrfy_command)
        ext &= ~(unsigned)ESMTP_VRFY;
    if (smtpd_tls_offered(s) && s->tls == NULL)
        ext |= ESMTP_STARTTLS;
    if (smtpd_auth_offered(s))
        ext |= ESMTP_AUTH;
    return ext & ~esmtp_ext_mask(strz(conf.smtpd_discard_ehlo_keywords));
}

static void add_auth(struct smtpd *s, struct buf *text)
{
    struct buf mechs = BUF(1024);

    smtpd_auth_mechs(s, &mechs);
    if (mechs.n > 0) {
        buf_addf(text, "\nAUTH %s", mechs.p);
        if (conf.broken_sasl_auth_clients)
            buf_addf(text, "\nAUTH=%s", mechs.p);
    }
    buf_free(&mechs);
}

void smtpd_ehlo(struct smtpd *s, struct str args)
{
    struct buf text = BUF(4096);
    struct str name;

    if (!str_word(&args, " \t", &name)) {
        smtpd_reply(s, 501, "", "Syntax: EHLO hostname");
        return;
    }
    if (!take_name(s, name))
        return;
    s->esmtp = true;
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
    if (ext & ESMTP_ENHANCEDSTATUSCODES)
        buf_addz(&text, "\nENHANCEDSTATUSCODES");
    if (ext & ESMTP_8BITMIME)
        buf_addz(&text, "\n8BITMIME");
    if (ext & ESMTP_DSN)
        buf_addz(&text, "\nDSN");
    smtpd_reply_text(s, 250, "", buf_str(&text));
    buf_free(&text);
}
