/*
 * The highest rates and counts of clients, logged now and then, in the words of Postfix's anvil.
 * Each process tells what it has seen itself; its rates are those of the whole service.
 */
#include "base/clock.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "service/service.h"
#include "task/task.h"

#include "smtpd_limit.h"

enum { KINDS = CLIENT_EVENTS + 1 };

static struct {
    struct most {
        int64_t n, at; /* at: seconds since 1970 */
        char client[ADDR_TEXT + sizeof "/128"];
    } of[KINDS];
} most;

static const char *const names[KINDS] = {
    [CLIENT_CONNECTS] = "connection rate", [SMTPD_CONNECTIONS] = "connection count",
    [CLIENT_MESSAGES] = "message rate",    [CLIENT_RECIPIENTS] = "recipient rate",
    [CLIENT_TLS_SESSIONS] = "newtls rate", [CLIENT_LOGINS] = "auth rate",
};
/* In the order of their lines. */
static const unsigned order[KINDS] = {CLIENT_CONNECTS,   SMTPD_CONNECTIONS,   CLIENT_MESSAGES,
                                      CLIENT_RECIPIENTS, CLIENT_TLS_SESSIONS, CLIENT_LOGINS};

static void name_network(const struct addr *a, struct most *m)
{
    struct addr network = *a;
    char text[ADDR_TEXT];
    unsigned bits = client_network(&network), all = network.family == AF_INET ? 32 : 128;

    if (network.family == 0 || network.family == AF_UNIX || bits == all)
        snprintf(m->client, sizeof m->client, "%s", addr_text(&network, text));
    else
        snprintf(m->client, sizeof m->client, "%s/%u", addr_text(&network, text), bits);
}

void smtpd_statistics_note(const struct smtpd *s, unsigned what, int64_t n)
{
    struct most *m = &most.of[what];

    if (n <= m->n || n == INT64_MAX)
        return;
    m->n = n;
    m->at = clock_wall();
    name_network(&s->peer.addr, m);
}

static void add_time(int64_t at, struct buf *line)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    int offset;

    clock_local(at, &tm, &offset);
    buf_addf(line, " at %s %2d %02d:%02d:%02d", months[tm.tm_mon], tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec);
}

static void log_most(unsigned what)
{
    struct buf line = BUF_TEXT(500);
    struct most *m = &most.of[what];

    buf_addf(&line, "statistics: max %s %lld", names[what], (long long)m->n);
    if (what != SMTPD_CONNECTIONS)
        buf_addf(&line, "/%llds", (long long)conf.anvil_rate_time_unit);
    buf_addf(&line, " for (%s:%s)", service_name(), m->client);
    add_time(m->at, &line);
    msg_info("%s", line.p);
    buf_free(&line);
    m->n = 0;
}

static void log_all(void)
{
    struct buf line = BUF_TEXT(200);
    int64_t at, networks = client_rate_networks(&at);

    for (int i = 0; i < KINDS; i++)
        if (most.of[order[i]].n > 0)
            log_most(order[i]);
    if (networks > 0) {
        buf_addf(&line, "statistics: max cache size %lld", (long long)networks);
        add_time(at, &line);
        msg_info("%s", line.p);
    }
    buf_free(&line);
}

/* Until the process ends, which cancels it. */
static void tell_statistics(void *unused)
{
    (void)unused;
    while (task_sleep(task_now() + conf.anvil_status_update_time * 1000) != WAIT_CANCELLED)
        log_all();
    log_all();
}

void smtpd_start_statistics(void)
{
    task_start("statistics", tell_statistics, NULL);
}
