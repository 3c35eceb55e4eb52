/*
 * The wakeup column: a byte to the service every so many seconds.
 */
#include "ipc/trigger.h"

#include "master.h"

void wakeup_plan(struct svc *s)
{
    if (s->conf.wakeup <= 0 || s->retired)
        s->next_wakeup = 0;
    else if (s->next_wakeup == 0)
        s->next_wakeup = master.now; /* the first at once: the queue manager looks for old mail */
}

void wakeup_due(struct svc *s)
{
    if (s->next_wakeup == 0 || master.now < s->next_wakeup)
        return;
    /* A throttled service would start at once: it has to wait. */
    if (master.now < s->throttled_until) {
        s->next_wakeup = s->throttled_until;
        return;
    }
    s->next_wakeup = master.now + s->conf.wakeup * 1000;
    if (s->conf.wakeup_if_used && !s->used)
        return;
    if (s->conf.type != SERVICE_INET)
        trigger_send(s->path, TRIGGER_WAKE, NULL);
}
