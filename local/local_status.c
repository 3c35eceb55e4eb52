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

/* A list's owner is told of its own commands and files, and not who wrote to the list: as of the
 * members, whose mail has the owner as its sender. What the writer asked for ends at the list, RFC
 * 3461 5.2.7.3. */
void local_failed(struct local *l, const struct address *a, const struct why *why)
{
    struct outcome *o = &l->job->outcome;
    struct rcpt r = as_rcpt(l, a);

    l->said = true;
    if (strcmp(a->sender, l->job->d.sender) != 0) {
        o->report_to = a->sender;
        r.dsn_orcpt = "";
        r.dsn_notify = 0;
    }
    l->status = outcome_join(l->status, outcome_say_failed(o, &r, why));
    o->report_to = NULL;
}

bool local_trace_only(const struct local *l)
{
    return (l->job->d.flags & DELIVERY_TRACE_ONLY) != 0;
}
