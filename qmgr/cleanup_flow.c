/*
 * in_flow_delay: mail that comes in faster than it goes out. One message is watched. If it still
 * lies in incoming after in_flow_delay, clients wait that much longer for their answers until it
 * has been taken. While the queue manager keeps up this costs one look at a file per in_flow_delay.
 */
#include "base/str.h"
#include "conf/conf.h"
#include "queue/qid.h"
#include "task/task.h"

#include "cleanup.h"

static struct {
    char watched[QID_MAX + 1]; /* "": none yet */
    int64_t since_ms;
} flow;

static bool is_behind(const struct cleanup *c)
{
    int64_t now = task_now();

    if (flow.watched[0] != 0 && now - flow.since_ms < conf.in_flow_delay * 1000)
        return false;
    if (flow.watched[0] != 0 && queue_stat(Q_INCOMING, flow.watched, NULL))
        return true;
    snprintf(flow.watched, sizeof flow.watched, "%s", c->d.queue_id);
    flow.since_ms = now;
    return false;
}

/* smtpd and pickup, which have us log for them. */
static bool is_from_outside(const struct cleanup *c)
{
    return c->log_as != NULL;
}

void cleanup_flow_wait(const struct cleanup *c)
{
    if (conf.in_flow_delay > 0 && is_from_outside(c) && is_behind(c))
        task_sleep(task_now() + conf.in_flow_delay * 1000);
}
