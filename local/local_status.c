/*
 * What became of each address that the recipient led to, and of all together.
 */
#include "local.h"

static struct rcpt as_rcpt(const struct local *l, const struct address *a)
{
    struct rcpt r = *l->rcpt;

    r.address = a->address;
    return r;
}

void local_sent(struct local *l, const struct address *a, const char *dsn, const char *text)
{
    struct rcpt r = as_rcpt(l, a);

    l->said = true;
    l->status = outcome_join(l->status, outcome_say_sent(&l->job->outcome, &r, dsn, text));
}

void local_failed(struct local *l, const struct address *a, const struct why *why)
{
    struct rcpt r = as_rcpt(l, a);

    l->said = true;
    l->status = outcome_join(l->status, outcome_say_failed(&l->job->outcome, &r, why));
}

bool local_trace_only(const struct local *l)
{
    return (l->job->d.flags & DELIVERY_TRACE_ONLY) != 0;
}
