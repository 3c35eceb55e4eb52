/*
 * Destinations: the next hops of a transport, when they may be asked, when they are forgotten.
 */
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "task/task.h"

#include "qmgr.h"

/* With one recipient per delivery, the user is the destination: his mailbox is what is busy. */
static void put_user(struct buf *name, const char *recipient)
{
    struct str user = strz(recipient);
    ptrdiff_t at = str_rfind(user, '@');

    if (at >= 0)
        user = str_upto(user, (size_t)at);
    for (size_t i = 1; i < user.n; i++)
        if (strchr(conf.recipient_delimiter, user.p[i]) != NULL) {
            user = str_upto(user, i);
            break;
        }
    buf_add(name, user);
    buf_addc(name, '@');
}

static double first_window(const struct transport *t)
{
    return t->concurrency > 0 && t->initial > t->concurrency ? (double)t->concurrency
                                                             : (double)t->initial;
}

struct dest *dest_of(struct transport *t, const char *nexthop, const char *recipient)
{
    struct buf name = BUF(3 * REC_MAX); /* fits: both come from records */

    if (t->recipient_limit == 1)
        put_user(&name, recipient);
    buf_addz(&name, nexthop);
    str_lower(name.p, name.n);
    struct dest *d = hash_find(t->dests, buf_str(&name));
    if (d == NULL) {
        d = mem_new(sizeof *d);
        d->transport = t;
        d->nexthop = mem_dupz(nexthop);
        d->window = first_window(t);
        list_init(&d->peers);
        hash_put(t->dests, buf_str(&name), d);
        d->name = buf_take(&name);
    }
    buf_free(&name);
    return d;
}

static bool may_deliver(const struct dest *d)
{
    return d->dead_text == NULL && !d->resting && (double)d->busy < d->window &&
           !list_empty(&d->peers);
}

static bool is_needed(const struct dest *d)
{
    return d->busy > 0 || d->dead_text != NULL || d->resting || d->remembered ||
           !list_empty(&d->peers);
}

void dest_update(struct dest *d)
{
    struct transport *t = d->transport;

    if (may_deliver(d)) {
        const struct peer *first = LIST_OF(d->peers.next, struct peer, in_dest);
        heap_put(&t->ready, &d->ready, first->job->rank);
        transport_start_worker(t);
        return;
    }
    heap_drop(&t->ready, &d->ready);
    if (is_needed(d))
        return;
    hash_drop(t->dests, strz(d->name));
    timer_clear(&d->timer);
    free(d->name);
    free(d->nexthop);
    free(d);
}

void dest_add_peer(struct dest *d, struct peer *p)
{
    struct list *at = d->peers.prev;

    /* Most are the newest; one that preempts goes before those it preempts. */
    while (at != &d->peers && LIST_OF(at, struct peer, in_dest)->job->rank > p->job->rank)
        at = at->prev;
    list_push(at, &p->in_dest);
}

void dest_drop_peer(struct dest *d, struct peer *p)
{
    list_drop(&p->in_dest);
    if (d->assigned == p)
        d->assigned = NULL;
}

void dest_rerank(struct dest *d, struct peer *p)
{
    list_drop(&p->in_dest);
    dest_add_peer(d, p);
    dest_update(d);
}

static void on_timer(void *arg)
{
    struct dest *d = arg;

    d->resting = false;
    if (d->dead_text != NULL || d->remembered)
        dest_reset(d);
    else
        dest_update(d);
}

void dest_reset(struct dest *d)
{
    timer_clear(&d->timer);
    free(d->dead_text);
    free(d->dead_code);
    d->dead_text = d->dead_code = NULL;
    d->resting = d->remembered = false;
    d->success = d->failure = d->failed_cohorts = 0;
    d->window = first_window(d->transport);
    dest_update(d);
}

void dest_delay(struct dest *d)
{
    if (d->transport->dest_rate_delay_ms == 0 || d->dead_text != NULL)
        return;
    d->resting = true;
    d->remembered = false;
    timer_set(&d->timer, task_now() + d->transport->dest_rate_delay_ms, on_timer, d);
}

void dest_note_failure(struct dest *d)
{
    if (d->resting || d->dead_text != NULL)
        return;
    d->remembered = true;
    timer_set(&d->timer, task_now() + conf.minimal_backoff_time * 1000, on_timer, d);
}

/* Everything that waits for it is put off, and so is what comes before the timer. */
void dest_throttle(struct dest *d, const struct why *why)
{
    struct buf text = BUF_TEXT(1000);

    buf_addf(&text, "delivery temporarily suspended: %s", why_text(why));
    free(d->dead_text);
    free(d->dead_code);
    d->dead_text = buf_take(&text);
    d->dead_code = mem_dupz(why->code[0] == '4' ? why->code : "4.4.1");
    d->resting = d->remembered = false;
    timer_set(&d->timer, task_now() + conf.minimal_backoff_time * 1000, on_timer, d);
    deliver_refuse_all(d, d->dead_code, d->dead_text);
}
