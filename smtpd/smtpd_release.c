/*
 * FUTURERELEASE (RFC 4865): a client submits mail now that is not to be delivered before a time.
 * The queue file has the time and the request; qmgr keeps the message in the deferred queue until
 * then. Before a before-queue filter nobody can ask, since the filter would not pass it on.
 */
#include "base/clock.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/date.h"
#include "mail/esmtp_cmd.h"
#include "mail/esmtp_ehlo.h"

#include "smtpd.h"
#include "smtpd_proxy.h"

enum { INTERVAL_MOST = 999999999 }; /* RFC 4865 4: nine digits */

static int64_t longest_s(void)
{
    return conf.smtpd_future_release_limit < INTERVAL_MOST ? conf.smtpd_future_release_limit
                                                           : INTERVAL_MOST;
}

bool smtpd_takes_release(const struct smtpd *s)
{
    return longest_s() > 0 && !smtpd_has_proxy() && (s->hidden & ESMTP_FUTURERELEASE) == 0;
}

void smtpd_offer_release(struct buf *text)
{
    buf_addf(text, "\nFUTURERELEASE %lld ", (long long)longest_s());
    date_internet_format(clock_wall() + longest_s(), text);
}

bool smtpd_take_release(struct smtpd *s, struct smtpd_mail *m, const struct esmtp_param *p)
{
    bool for_seconds = str_ieqz(p->name, "HOLDFOR");
    int64_t now = clock_wall(), seconds = 0, until = 0;
    bool good = for_seconds ? p->value.n <= 9 && num_parse(p->value, 0, INTERVAL_MOST, &seconds)
                            : date_internet_parse(p->value, &until);

    if (m->release_request != NULL || !good) {
        smtpd_reply(s, 501, "5.5.4", "Bad %s parameter syntax",
                    for_seconds ? "HOLDFOR" : "HOLDUNTIL");
        return false;
    }
    m->release_s = for_seconds ? now + seconds : until;
    if (m->release_s - now > longest_s()) {
        smtpd_reply(s, 554, "5.5.4", "Release is too far in the future: at most %lld seconds",
                    (long long)longest_s());
        return false;
    }
    m->release_request =
        arena_printf(m->mem, "%s;%.*s", for_seconds ? "for" : "until", (int)p->value.n, p->value.p);
    return true;
}
