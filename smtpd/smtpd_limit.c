/*
 * How many sessions one client address has at a time, over all processes of the service.
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "dict/match.h"
#include "service/client_count.h"

#include "smtpd.h"

static struct {
    struct match *exceptions;
} limits;

void smtpd_open_limits(void)
{
    client_count_open(conf.smtpd_client_ipv4_prefix_length, conf.smtpd_client_ipv6_prefix_length);
    limits.exceptions = match_open_hosts("smtpd_client_event_limit_exceptions",
                                         conf.smtpd_client_event_limit_exceptions);
}

static bool excepted(struct smtpd *s)
{
    struct why why = WHY;
    enum dict_answer answer = match_host(limits.exceptions, s->peer.name, s->peer.addr_text, &why);

    if (answer == DICT_FAILED)
        msg_warn("%s", why_text(&why));
    why_free(&why);
    return answer == DICT_FOUND;
}

bool smtpd_limit_enter(struct smtpd *s)
{
    s->count = client_count_add(&s->peer.addr, &s->connections);
    return conf.smtpd_client_connection_count_limit <= 0 ||
           s->connections <= conf.smtpd_client_connection_count_limit || excepted(s);
}

void smtpd_limit_leave(struct smtpd *s)
{
    client_count_drop(&s->count);
}
