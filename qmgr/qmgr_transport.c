/*
 * Transports: what main.cf says of them, and the tasks that deliver.
 */
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_master.h"
#include "ipc/channel.h"
#include "task/task.h"

#include "qmgr.h"

/* A service without limit still has one: tasks and connections are not free. */
enum { WORKERS_MAX = 2000 };

static struct {
    struct hash *transports;
    struct conf_master services;
    size_t busy; /* workers of all */
} state;

void transport_open(void)
{
    struct why why = WHY;

    state.transports = hash_new();
    if (conf_master_load(&state.services, &why) < 0)
        msg_fatal("%s", why_text(&why));
    why_free(&why);
}

const struct conf_service *transport_service(const char *name)
{
    const struct conf_service *s = conf_master_find(&state.services, name, SERVICE_UNIX);

    return s == NULL || conf_master_disabled(s) ? NULL : s;
}

static size_t process_limit(const char *name)
{
    const struct conf_service *s = conf_master_find(&state.services, name, SERVICE_UNIX);
    int64_t limit = s != NULL ? s->maxproc : conf.default_process_limit;

    return limit <= 0 || limit > WORKERS_MAX ? WORKERS_MAX : (size_t)limit;
}

static void read_feedback(const char *name, const char *suffix, const char *otherwise,
                          struct feedback *f)
{
    const char *text = conf_str_of(name, suffix, otherwise);

    if (!feedback_parse(text, f)) {
        msg_warn("%s%s: bad value \"%s\", using 1", name, suffix, text);
        *f = (struct feedback){1, FEEDBACK_CONST};
    }
}

static void read_parameters(struct transport *t)
{
    const char *n = t->name;

    t->concurrency = (size_t)conf_int_of(n, "_destination_concurrency_limit",
                                         conf.default_destination_concurrency_limit);
    t->initial = (size_t)conf_int_of(n, "_initial_destination_concurrency",
                                     conf.initial_destination_concurrency);
    t->recipient_limit = (size_t)conf_int_of(n, "_destination_recipient_limit",
                                             conf.default_destination_recipient_limit);
    t->rcpts_limit = (size_t)conf_int_of(n, "_recipient_limit", conf.default_recipient_limit);
    t->failed_cohort_limit =
        (double)conf_int_of(n, "_destination_concurrency_failed_cohort_limit",
                            conf.default_destination_concurrency_failed_cohort_limit);
    read_feedback(n, "_destination_concurrency_positive_feedback",
                  conf.default_destination_concurrency_positive_feedback, &t->positive);
    read_feedback(n, "_destination_concurrency_negative_feedback",
                  conf.default_destination_concurrency_negative_feedback, &t->negative);
    t->rate_delay_ms =
        1000 * conf_time_of(n, "_transport_rate_delay", conf.default_transport_rate_delay);
    t->dest_rate_delay_ms =
        1000 * conf_time_of(n, "_destination_rate_delay", conf.default_destination_rate_delay);
    t->slot_cost = conf_int_of(n, "_delivery_slot_cost", conf.default_delivery_slot_cost);
    t->slot_loan = conf_int_of(n, "_delivery_slot_loan", conf.default_delivery_slot_loan);
    t->slot_discount =
        conf_int_of(n, "_delivery_slot_discount", conf.default_delivery_slot_discount);
    t->min_slots = conf_int_of(n, "_minimum_delivery_slots", conf.default_minimum_delivery_slots);
    if (t->dest_rate_delay_ms > 0)
        t->concurrency = 1;
    if (t->initial < 1)
        t->initial = 1;
    if (t->rcpts_limit == 0)
        t->rcpts_limit = SIZE_MAX;
    if (t->recipient_limit == 0 || t->recipient_limit > 100000)
        t->recipient_limit = 100000;
}

struct transport *transport_of(const char *name)
{
    struct transport *t = hash_find(state.transports, strz(name));

    if (t != NULL)
        return t;
    t = mem_new(sizeof *t);
    t->name = mem_dupz(name);
    t->dests = hash_new();
    list_init(&t->jobs);
    t->max_workers = process_limit(name);
    t->deferred_by_admin = str_listed(conf.defer_transports, name);
    read_parameters(t);
    t->channel = channel_to("private", name, (int)t->max_workers);
    hash_put(state.transports, strz(name), t);
    return t;
}

static void on_timer(void *arg)
{
    struct transport *t = arg;

    t->resting = false;
    free(t->dead_text);
    t->dead_text = NULL;
    transport_start_worker(t);
}

static void rest(struct transport *t)
{
    if (t->rate_delay_ms == 0 || t->dead_text != NULL)
        return;
    t->resting = true;
    timer_set(&t->timer, task_now() + t->rate_delay_ms, on_timer, t);
}

static void work(void *arg)
{
    struct transport *t = arg;
    struct entry *e;

    while (!qmgr_draining() && !task_is_cancelled() && (e = job_select(t)) != NULL) {
        rest(t);
        /* Each worker starts the next, so no more workers run than there is work for. */
        transport_start_worker(t);
        deliver_entry(t, e);
    }
    t->workers--;
    state.busy--;
}

void transport_start_worker(struct transport *t)
{
    if (t->dead_text != NULL || t->resting || heap_first(&t->ready) == NULL ||
        t->workers >= t->max_workers || qmgr_draining())
        return;
    t->workers++;
    state.busy++;
    task_start(t->name, work, t);
}

void transport_fail(struct transport *t, const struct why *why)
{
    size_t cursor = 0;
    struct str name;
    void *d;

    msg_warn("transport %s failure -- see a previous warning/fatal/panic logfile record for the "
             "problem description (%s)",
             t->name, why_text(why));
    if (t->dead_text == NULL)
        t->dead_text = mem_dupz("mail transport unavailable");
    timer_set(&t->timer, task_now() + conf.transport_retry_time * 1000, on_timer, t);
    while (hash_next(t->dests, &cursor, &name, &d)) {
        deliver_refuse_all(d, "4.3.0", t->dead_text);
        dest_update(d);
    }
}

static void wake(struct transport *t)
{
    size_t cursor = 0;
    struct str name;
    void *d;

    timer_clear(&t->timer);
    on_timer(t);
    while (hash_next(t->dests, &cursor, &name, &d))
        if (((struct dest *)d)->dead_text != NULL)
            dest_reset(d);
}

void transport_wake_all(void)
{
    size_t cursor = 0;
    struct str name;
    void *t;

    while (hash_next(state.transports, &cursor, &name, &t))
        wake(t);
}

bool transport_idle(void)
{
    return state.busy == 0;
}
