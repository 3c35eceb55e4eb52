/*
 * XVERP: a client that may, such as a mailing list, has each recipient get a copy with a sender of
 * its own, which names the recipient. VERP_README of Postfix
 */
#include "conf/conf.h"
#include "dict/match.h"
#include "mail/esmtp_cmd.h"
#include "mail/verp.h"

#include "smtpd.h"
#include "smtpd_check.h"

static struct match *clients; /* smtpd_authorized_verp_clients */

void smtpd_open_verp(void)
{
    clients = match_open_hosts("smtpd_authorized_verp_clients", conf.smtpd_authorized_verp_clients);
    if (!verp_delimiters_ok(strz(conf.default_verp_delimiters), conf.verp_delimiter_filter))
        conf_fault("default_verp_delimiters", "\"%s\" are not two characters from \"%s\"",
                   conf.default_verp_delimiters, conf.verp_delimiter_filter);
}

bool smtpd_may_verp(struct smtpd *s)
{
    return smtpd_is_among(s, clients);
}

/* "XVERP", or "XVERP=+=". */
bool smtpd_take_verp(struct smtpd *s, struct smtpd_mail *m, const struct esmtp_param *p)
{
    m->verp = p->value.p != NULL ? arena_strz(m->mem, p->value) : conf.default_verp_delimiters;
    if (verp_delimiters_ok(strz(m->verp), conf.verp_delimiter_filter))
        return true;
    smtpd_reply(s, 501, "5.5.4", "Error: XVERP needs two characters from %s",
                conf.verp_delimiter_filter);
    return false;
}
