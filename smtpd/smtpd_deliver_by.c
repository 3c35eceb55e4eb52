/*
 * DELIVERBY (RFC 2852): a client says until when its mail is to be delivered, and what becomes of
 * what is not. The queue file has the time; qmgr returns the mail, or has its sender told, and smtp
 * says to the next server how much of it is left. Nobody can ask where all mail goes through a
 * filter, before the queue or behind it: the filter would not pass it on.
 */
#include "base/clock.h"
#include "conf/conf.h"
#include "mail/esmtp_ehlo.h"

#include "smtpd.h"
#include "smtpd_proxy.h"

bool smtpd_takes_deliver_by(const struct smtpd *s)
{
    return conf.smtpd_deliver_by_minimum > 0 && !smtpd_has_proxy() && *conf.content_filter == 0 &&
           (s->hidden & ESMTP_DELIVERBY) == 0;
}

void smtpd_offer_deliver_by(struct buf *text)
{
    buf_addf(text, "\nDELIVERBY %lld", (long long)conf.smtpd_deliver_by_minimum);
}

bool smtpd_take_deliver_by(struct smtpd *s, struct smtpd_mail *m, struct str value)
{
    if (m->by.s != 0 || !deliver_by_parse(value, &m->by)) {
        smtpd_reply(s, 501, "5.5.4", "Bad BY parameter syntax");
        return false;
    }
    if (m->by.returns && m->by.s < conf.smtpd_deliver_by_minimum) {
        smtpd_reply(s, 555, "5.5.4", "The time of BY is too short: at least %lld seconds",
                    (long long)conf.smtpd_deliver_by_minimum);
        return false;
    }
    m->by.s += clock_wall(); /* RFC 2852 4: never 0, since both are far from each other */
    return true;
}

/* RFC 4865 5.2.2 */
bool smtpd_may_release_by_then(struct smtpd *s, const struct smtpd_mail *m)
{
    if (m->by.s == 0 || m->release_s <= m->by.s)
        return true;
    smtpd_reply(s, 501, "5.5.4", "Release is later than the time of BY");
    return false;
}
