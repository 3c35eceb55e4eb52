/*
 * How many sessions one client has at a time, and how often it does what has a limit of its own,
 * over all processes of the service.
 */
#include "smtpd_limit.h"

#include "base/msg.h"
#include "conf/conf.h"
#include "dict/match.h"
#include "service/client_count.h"
#include "service/service.h"

static struct {
    struct match *exceptions;
} limits;

/* What is told to the client and the log when it does more. */
static const struct limit {
    const int64_t *most;
    const char *what; /* of which the log tells that it was too often */
    int code; /* 421: the session ends */
    const char *dsn, *text;
    bool by_name; /* the client is told its name, too */
} events[CLIENT_EVENTS] = {
    [CLIENT_CONNECTS] = {&conf.smtpd_client_connection_rate_limit, "Connection", 421, "4.7.0",
                         "too many connections", false},
    [CLIENT_MESSAGES] = {&conf.smtpd_client_message_rate_limit, "Message delivery request", 450,
                         "4.7.1", "too much mail", false},
    [CLIENT_RECIPIENTS] = {&conf.smtpd_client_recipient_rate_limit, "Recipient address", 450,
                           "4.7.1", "too many recipients", false},
    [CLIENT_TLS_SESSIONS] = {&conf.smtpd_client_new_tls_session_rate_limit, "New TLS session", 421,
                             "4.7.0", "too many new TLS sessions", true},
    [CLIENT_LOGINS] = {&conf.smtpd_client_auth_rate_limit, "AUTH command", 450, "4.7.1",
                       "too many AUTH commands", false},
};

void smtpd_open_limits(void)
{
    client_count_open(conf.smtpd_client_ipv4_prefix_length, conf.smtpd_client_ipv6_prefix_length);
    client_rate_open(conf.anvil_rate_time_unit * 1000);
    limits.exceptions = match_open_hosts("smtpd_client_event_limit_exceptions",
                                         conf.smtpd_client_event_limit_exceptions);
}

/* Its place is taken at the first question, which in wrapper mode comes before the greeting. */
static bool is_counted(struct smtpd *s)
{
    if (s->counted == COUNTED_UNKNOWN) {
        bool excepted = smtpd_may_xclient(s) || smtpd_is_among(s, limits.exceptions);
        s->counted = excepted ? COUNTED_NOT : COUNTED;
        if (!excepted)
            s->rate = client_rate_enter(&s->peer.addr);
    }
    return s->counted == COUNTED;
}

static void refuse(struct smtpd *s, const struct limit *l, const char *kind, int64_t n)
{
    const char *client = l->by_name ? s->namaddr : s->peer.addr_text;

    if (n == INT64_MAX) /* there was no place to count it */
        n = *l->most + 1;
    msg_warn_each("%s %s limit exceeded: %lld from %s for service %s", l->what, kind, (long long)n,
                  s->namaddr, service_name());
    if (l->code != 421) {
        smtpd_reply(s, l->code, l->dsn, "Error: %s from %s", l->text, client);
        return;
    }
    smtpd_reply(s, 421, l->dsn, "%s Error: %s from %s", conf.myhostname, l->text, client);
    s->closing = true;
}

static bool is_above(int64_t n, int64_t most)
{
    return most > 0 && n > most;
}

bool smtpd_limit_event(struct smtpd *s, enum client_event event)
{
    const struct limit *l = &events[event];

    if ((*l->most <= 0 && event != CLIENT_CONNECTS) || !is_counted(s))
        return true;
    int64_t n = client_rate_add(s->rate, event);
    smtpd_statistics_note(s, event, n);
    if (!is_above(n, *l->most))
        return true;
    refuse(s, l, "rate", n);
    return false;
}

bool smtpd_limit_reached(struct smtpd *s, enum client_event event)
{
    return *events[event].most > 0 && is_counted(s) &&
           client_rate_look(s->rate, event) > *events[event].most;
}

bool smtpd_limit_enter(struct smtpd *s)
{
    if (!is_counted(s))
        return true;
    s->count = client_count_add(&s->peer.addr, &s->connections);
    smtpd_statistics_note(s, SMTPD_CONNECTIONS, s->connections);
    if (is_above(s->connections, conf.smtpd_client_connection_count_limit)) {
        client_rate_add(s->rate, CLIENT_CONNECTS);
        refuse(s, &events[CLIENT_CONNECTS], "concurrency", s->connections);
        return false;
    }
    return smtpd_limit_event(s, CLIENT_CONNECTS);
}

void smtpd_limit_leave(struct smtpd *s)
{
    client_count_drop(&s->count);
    client_rate_leave(&s->rate);
    s->counted = COUNTED_UNKNOWN;
}
