/*
 * The rates of the networks: a table with a few places for each, in the part of each process.
 */
#include "service/client_rate.h"

#include "base/clock.h"
#include "base/random.h"
#include "service/client_inside.h"
#include "task/task.h"

enum { WAYS = 8, SETS = CLIENT_RATES / WAYS };

static struct {
    int64_t unit_ms;
    unsigned short sessions[CLIENT_RATES]; /* of this process, that have the place */
    int64_t networks, grown; /* taken places; when the last one was added */
} state;

void client_rate_open(int64_t unit_ms)
{
    struct client_part *own = client_part_own();
    uint64_t seed = 0;

    state.unit_ms = unit_ms;
    while (atomic_load(&own->seed) == 0) {
        random_bytes(&seed, sizeof seed);
        atomic_store(&own->seed, seed);
    }
}

/* Multiply and fold: nobody outside knows the seed, or sees which places are taken. */
static unsigned first_place(uint64_t seed, uint64_t high, uint64_t low)
{
    __uint128_t wide = (__uint128_t)(high ^ seed) * (0x9e3779b97f4a7c15u ^ (seed << 1 | 1));
    uint64_t code = (uint64_t)wide ^ (uint64_t)(wide >> 64) ^ low;

    wide = (__uint128_t)code * (0xd6e8feb86659fd93u ^ (seed << 1));
    code = (uint64_t)wide ^ (uint64_t)(wide >> 64);
    return (unsigned)(code % SETS) * WAYS;
}

static bool is_of(const struct client_rate *r, uint64_t high, uint64_t low)
{
    return atomic_load_explicit(&r->low, memory_order_relaxed) == low &&
           atomic_load_explicit(&r->high, memory_order_relaxed) == high;
}

/* Another process may write there whatever it likes: a time to come counts for nothing. */
static bool is_current(const struct client_rate *r)
{
    int64_t since = atomic_load_explicit(&r->since_ms, memory_order_relaxed), now = task_now();

    return since <= now && since >= now - state.unit_ms;
}

/* Null: that process has counted nothing of it lately. */
static const struct client_rate *find_in(const struct client_part *p, uint64_t high, uint64_t low)
{
    uint64_t seed = atomic_load_explicit(&p->seed, memory_order_relaxed);
    const struct client_rate *r = &p->rates[first_place(seed, high, low)];

    for (int i = 0; seed != 0 && i < WAYS; i++)
        if (is_of(&r[i], high, low))
            return is_current(&r[i]) ? &r[i] : NULL;
    return NULL;
}

/* When the present unit of time began for this network: all processes agree. */
static int64_t begin_of(uint64_t high, uint64_t low)
{
    const struct client_part *p;
    int64_t begin = task_now();
    unsigned n = 0;

    while ((p = client_part_next(&n)) != NULL) {
        const struct client_rate *r = find_in(p, high, low);
        int64_t since =
            r != NULL ? atomic_load_explicit(&r->since_ms, memory_order_relaxed) : begin;
        if (since < begin)
            begin = since;
    }
    return begin;
}

static void begin(struct client_rate *r, uint64_t high, uint64_t low)
{
    atomic_store(&r->low, 0);
    atomic_store(&r->high, 0);
    for (int i = 0; i < CLIENT_EVENTS; i++)
        atomic_store(&r->counts[i], 0);
    atomic_store(&r->since_ms, begin_of(high, low));
    atomic_store(&r->high, high);
    atomic_store(&r->low, low);
}

struct client_rate *client_rate_enter(const struct addr *a)
{
    struct client_part *own = client_part_own();
    struct client_rate *oldest = NULL;
    uint64_t high, low;

    client_key(a, &high, &low);
    unsigned first = first_place(atomic_load(&own->seed), high, low);
    for (unsigned i = first; i < first + WAYS; i++) {
        struct client_rate *r = &own->rates[i];
        if (is_of(r, high, low)) {
            oldest = r;
            break;
        }
        if (state.sessions[i] == 0 && (oldest == NULL || r->since_ms < oldest->since_ms))
            oldest = r;
    }
    if (oldest == NULL)
        return NULL;
    if (is_of(oldest, 0, 0)) {
        state.networks++;
        state.grown = clock_wall();
    }
    if (!is_of(oldest, high, low))
        begin(oldest, high, low);
    state.sessions[oldest - own->rates]++; /* fits: fewer sessions than a process may have */
    return oldest;
}

void client_rate_leave(struct client_rate **r)
{
    if (*r != NULL)
        state.sessions[*r - client_part_own()->rates]--;
    *r = NULL;
}

int64_t client_rate_look(const struct client_rate *r, enum client_event event)
{
    const struct client_part *p;
    unsigned n = 0;

    if (r == NULL)
        return INT64_MAX;
    uint64_t high = r->high, low = r->low;
    int64_t all = is_current(r) ? r->counts[event] : 0;
    while ((p = client_part_next(&n)) != NULL) {
        const struct client_rate *other = find_in(p, high, low);
        if (other != NULL)
            all += atomic_load_explicit(&other->counts[event], memory_order_relaxed);
    }
    return all;
}

int64_t client_rate_add(struct client_rate *r, enum client_event event)
{
    if (r != NULL && !is_current(r))
        begin(r, r->high, r->low);
    if (r != NULL && r->counts[event] < UINT32_MAX)
        r->counts[event]++;
    return client_rate_look(r, event);
}

int64_t client_rate_networks(int64_t *since)
{
    struct client_part *own = client_part_own();
    int64_t most = state.networks;

    *since = state.grown;
    state.networks = 0;
    for (int i = 0; i < CLIENT_RATES; i++) {
        struct client_rate *r = &own->rates[i];
        if (is_of(r, 0, 0))
            continue;
        if (state.sessions[i] > 0 || is_current(r)) {
            state.networks++;
        } else {
            atomic_store(&r->low, 0);
            atomic_store(&r->high, 0);
            atomic_store(&r->since_ms, 0);
        }
    }
    return most;
}
