/*
 * NAME
 *
 * discard - the agent that throws mail away
 *
 * DESCRIPTION
 *
 * Every recipient counts as delivered; the log has the next hop as the reason.
 *
 * SECURITY
 *
 * Runs as the mail owner; opens no file: it marks recipients in the one that it is given.
 *
 * SEE ALSO
 *
 * qmgr(8), transport(5)
 */
#include "base/str.h"
#include "mail/dsn.h"
#include "service/service.h"

#include "agent.h"

static void discard_deliver(struct job *job)
{
    char code[10];
    size_t n = dsn_prefix(strz(job->d.nexthop), code);
    const char *text = job->d.nexthop + n + strspn(job->d.nexthop + n, " \t");

    if (n == 0)
        snprintf(code, sizeof code, "%s", "2.0.0");
    code[0] = '2';
    for (size_t i = 0; i < job->d.nrcpts; i++)
        outcome_sent(&job->outcome, i, code, text);
}

static void discard_request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    agent_serve(ask, answer, mem, "none", discard_deliver);
}

int main(int argc, char **argv)
{
    static const struct service discard = {
        .name = "discard",
        .in_queue = true,
        .rights = 0,
        .request = discard_request,
        .request_limit = DELIVERY_MAX,
    };
    return service_main(&discard, argc, argv);
}
