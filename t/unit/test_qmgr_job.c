/* Who goes next in the queue manager, and what finding a place costs. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

#include "qmgr.h"
#include "test.h"

/* ---- in the place of the other files of qmgr */

static int64_t rank;

int64_t qmgr_next_rank(void)
{
    return ++rank;
}

void transport_start_worker(struct transport *t)
{
    (void)t;
}

void deliver_refuse_all(struct dest *d, const char *code, const char *text)
{
    (void)d;
    (void)code;
    (void)text;
}

void timer_set(struct timer *t, int64_t at_ms, void (*fn)(void *), void *arg)
{
    (void)t;
    (void)at_ms;
    (void)fn;
    (void)arg;
}

void timer_clear(struct timer *t)
{
    (void)t;
}

/* ---- */

static void begin(struct transport *t)
{
    *t = (struct transport){.name = (char *)(uintptr_t) "t",
                            .dests = hash_new(),
                            .initial = 1000,
                            .recipient_limit = 2,
                            .rcpts_limit = SIZE_MAX,
                            .slot_cost = 5,
                            .slot_loan = 3,
                            .slot_discount = 50,
                            .min_slots = 3};
    list_init(&t->jobs);
}

/* All deliveries have ended. */
static void end(struct transport *t)
{
    size_t cursor = 0;
    struct str name;
    void *d;

    while (job_select(t) != NULL)
        ;
    while (hash_next(t->dests, &cursor, &name, &d)) {
        ((struct dest *)d)->busy = 0;
        dest_update(d);
    }
    heap_free(&t->ready);
    hash_free(&t->dests, NULL);
}

static struct message *new_message(int priority)
{
    struct arena *mem = arena_new(NULL);
    struct message *m = arena_alloc(mem, sizeof *m);

    m->mem = m->batch = mem;
    m->d.priority = priority;
    m->d.active_us = clock_wall_us();
    list_init(&m->jobs);
    return m;
}

static void drop_message(struct message *m)
{
    struct arena *mem = m->mem;

    job_drop_all(m);
    arena_free(&mem);
}

/* One more delivery; true: of a peer that there was already. */
static bool add(struct message *m, struct dest *d)
{
    struct peer *p = job_peer(m, d);
    bool known = !list_empty(&p->todo);
    struct entry *e = arena_alloc(m->batch, sizeof *e);

    e->peer = p;
    e->message = m;
    list_init(&e->link);
    list_add(&p->todo, &e->link);
    p->job->total++;
    dest_update(d);
    return known;
}

static void give(struct transport *t, struct message *m, size_t n)
{
    while (n-- > 0)
        assert_ptr_equal(job_select(t)->message, m);
}

/* A large message is being delivered elsewhere while two wait for a destination that is busy. */
static void two_wait(int first_priority, int second_priority)
{
    struct transport t;

    begin(&t);
    struct dest *busy = dest_of(&t, "busy.test", "a"), *other = dest_of(&t, "other.test", "a");
    struct message *first = new_message(first_priority), *large = new_message(0);
    busy->busy = (size_t)busy->window;
    add(first, busy);
    for (int i = 0; i < 100; i++)
        add(large, other);
    give(&t, large, 60);
    struct message *second = new_message(second_priority);
    add(second, busy);
    busy->busy = 0;
    dest_update(busy);
    assert_ptr_equal(LIST_OF(busy->peers.next, struct peer, in_dest)->job->message, first);
    end(&t);
    drop_message(first);
    drop_message(second);
    drop_message(large);
}

TEST(who_is_in_front_is_not_put_behind_others)
{
    two_wait(0, 0);
    two_wait(5, 3);
}

TEST(a_small_one_overtakes_a_large_one)
{
    struct transport t;

    begin(&t);
    struct dest *d = dest_of(&t, "a.test", "a");
    struct message *large = new_message(0), *small = new_message(0), *low = new_message(-1);
    for (int i = 0; i < 100; i++)
        add(large, d);
    add(low, d);
    add(small, d);
    size_t n = 0;
    while (job_select(&t)->message == large)
        n++;
    assert_in_range(n, 1, 20);
    give(&t, large, 100 - n);
    give(&t, low, 1);
    end(&t);
    drop_message(large);
    drop_message(small);
    drop_message(low);
}

TEST(a_message_has_one_peer_for_a_destination)
{
    struct transport t;

    begin(&t);
    struct dest *a = dest_of(&t, "a.test", "a"), *b = dest_of(&t, "b.test", "a");
    struct message *low = new_message(-1), *m = new_message(0);
    assert_false(add(low, a));
    assert_false(add(m, a));
    assert_false(add(m, b));
    assert_true(add(m, a));
    assert_true(add(m, b));
    give(&t, m, 4);
    assert_false(add(m, a)); /* what it had has gone */
    give(&t, m, 1);
    give(&t, low, 1);
    end(&t);
    drop_message(low);
    drop_message(m);
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds for a message to n destinations, each of which has mail of a lower priority. */
static double assign(size_t n)
{
    struct transport t;

    begin(&t);
    t.slot_cost = 0;
    struct dest **dests = calloc(n, sizeof *dests);
    struct message *low = new_message(-1), *m = new_message(0);
    for (size_t i = 0; i < n; i++) {
        char name[30];
        snprintf(name, sizeof name, "d%zu.test", i);
        dests[i] = dest_of(&t, name, "a");
        add(low, dests[i]);
    }
    double began = cpu_seconds();
    for (size_t i = 0; i < n; i++)
        add(m, dests[i]);
    double took = cpu_seconds() - began;
    free(dests);
    end(&t);
    drop_message(low);
    drop_message(m);
    return took;
}

/* With a hundred times as many, which is what the square of ten times is. */
TEST(a_message_of_higher_priority_costs_its_recipients)
{
    double few = assign(2000), many = assign(20000);

    assert_true(many < 50 * few + 0.05);
}

RUN_TESTS(T(who_is_in_front_is_not_put_behind_others), T(a_small_one_overtakes_a_large_one),
          T(a_message_has_one_peer_for_a_destination),
          T(a_message_of_higher_priority_costs_its_recipients))
