/*
 * NAME
 *
 * error, retry - the agents that deliver nothing
 *
 * DESCRIPTION
 *
 * Every recipient fails with the reason that is the next hop: "5.1.1 User unknown". Under the name
 * retry (in master.cf) it fails for now, and stays in the queue.
 *
 * SECURITY
 *
 * Runs as the mail owner; opens no file: it marks recipients in the one that it is given.
 *
 * SEE ALSO
 *
 * qmgr(8), bounce(8), transport(5)
 */
#include "base/str.h"
#include "mail/dsn.h"
#include "service/service.h"

#include "agent.h"

/* "5.1.1 text" or "text"; the first digit is the service's, not the text's. */
static void reason(struct why *why, const char *nexthop, bool later)
{
    char code[10];
    size_t n = dsn_prefix(strz(nexthop), code);

    if (n == 0)
        snprintf(code, sizeof code, "%s", "5.0.0");
    code[0] = later ? '4' : '5';
    why_set(why, code, "%s", nexthop + n + strspn(nexthop + n, " \t"));
}

static void error_deliver(struct job *job)
{
    struct why why = WHY;

    reason(&why, job->d.nexthop, strcmp(service_name(), "retry") == 0);
    for (size_t i = 0; i < job->d.nrcpts; i++)
        outcome_failed(&job->outcome, i, &why);
    why_free(&why);
}

static void error_request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    agent_serve(ask, answer, mem, "none", error_deliver);
}

int main(int argc, char **argv)
{
    static const struct service error = {
        .name = "error",
        .in_queue = true,
        .rights = 0,
        .request = error_request,
        .request_limit = DELIVERY_MAX,
    };
    return service_main(&error, argc, argv);
}
