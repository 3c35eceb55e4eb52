/*
 * Who fails is answered later: auth_failure_delay, doubled with each failure of the same address
 * up to auth_failure_delay_max. A login that succeeds, or a quiet minute, clears the account.
 */
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"

#include "authd.h"

enum { ADDRESSES_MAX = 10000, QUIET_MS = 60 * 1000 };

struct culprit {
    struct list order; /* by last failure, oldest first */
    char *address;
    int failures;
    int64_t last;
};

static struct {
    struct hash *table;
    struct list order;
} penalty;

static void forget(struct culprit *c)
{
    list_drop(&c->order);
    hash_drop(penalty.table, strz(c->address));
    free(c->address);
    free(c);
}

static struct culprit *find_or_add(const char *address)
{
    if (penalty.table == NULL) {
        penalty.table = hash_new();
        list_init(&penalty.order);
    }
    struct culprit *c = hash_find(penalty.table, strz(address));
    if (c != NULL)
        return c;
    if (hash_count(penalty.table) >= ADDRESSES_MAX)
        forget(LIST_OF(penalty.order.next, struct culprit, order));
    c = mem_new(sizeof *c);
    list_init(&c->order);
    c->address = mem_dupz(address);
    hash_put(penalty.table, strz(address), c);
    return c;
}

int64_t penalty_failed(const char *address, int64_t now)
{
    int64_t delay = conf.auth_failure_delay * 1000, most = conf.auth_failure_delay_max * 1000;

    if (*address == '\0')
        return delay;
    struct culprit *c = find_or_add(address);
    if (now - c->last > QUIET_MS)
        c->failures = 0;
    for (int i = 0; i < c->failures && delay < most; i++)
        delay *= 2;
    c->failures++;
    c->last = now;
    list_drop(&c->order);
    list_add(&penalty.order, &c->order);
    return delay < most || conf.auth_failure_delay * 1000 > most ? delay : most;
}

void penalty_ok(const char *address)
{
    struct culprit *c = penalty.table != NULL ? hash_find(penalty.table, strz(address)) : NULL;
    if (c != NULL)
        forget(c);
}
