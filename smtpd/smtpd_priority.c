/*
 * MT-PRIORITY (RFC 6710): which mail goes first when there is much to do. The queue file has the
 * priority; qmgr sorts by it, and smtp tells it to servers that know it. Strangers get none above
 * 0, since everybody would ask for it. Before a before-queue filter, which would not pass it on,
 * nobody can ask.
 */
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/esmtp_ehlo.h"

#include "smtpd.h"
#include "smtpd_check.h"
#include "smtpd_proxy.h"

bool smtpd_takes_priority(const struct smtpd *s)
{
    return conf.smtpd_mt_priority_enable && !smtpd_has_proxy() &&
           (s->hidden & ESMTP_MT_PRIORITY) == 0;
}

static int64_t highest_for(struct smtpd *s)
{
    int64_t limit = conf.smtpd_mt_priority_limit;
    bool known = limit <= 0 || s->sasl_username != NULL || smtpd_is_mine(s);

    return known ? limit : 0;
}

bool smtpd_take_priority(struct smtpd *s, struct smtpd_mail *m, struct str value)
{
    int64_t asked, highest = highest_for(s);

    if (m->has_priority || value.n > 2 || !num_parse(value, -9, 9, &asked)) {
        smtpd_reply(s, 501, "5.5.4", "Bad MT-PRIORITY parameter syntax");
        return false;
    }
    m->has_priority = true;
    m->priority_changed = asked > highest;
    m->priority = (int)(m->priority_changed ? highest : asked);
    return true;
}

/* RFC 6710 4.1: the client learns of it here. */
void smtpd_reply_mail(struct smtpd *s)
{
    if (s->mail->priority_changed)
        smtpd_reply(s, 250, "2.3.6", "%d is the new priority of the message", s->mail->priority);
    else
        smtpd_reply(s, 250, "2.1.0", "Ok");
}
