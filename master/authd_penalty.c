/*
 * The answer to a failed login is delayed: by auth_failure_delay, doubled with each failure of the
 * same address up to auth_failure_delay_max. A login that succeeds, or a quiet minute, clears the
 * account. Addresses of IPv6 count together when they have the same first
 * auth_penalty_ipv6_prefix_length bits: one customer has many. When the table is full, the address
 * whose last failure is longest ago makes room.
 */
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/addr.h"

#include "authd.h"

enum { ADDRESSES_MAX = 10000, QUIET_MS = 60 * 1000 };

struct failing {
    struct list order; /* by last failure, oldest first */
    char *address;
    int failures;
    int64_t last;
};

static struct {
    struct hash *table;
    struct list order;
} penalty;

static void authd_penalty_forget(struct failing *c)
{
    list_drop(&c->order);
    hash_drop(penalty.table, strz(c->address));
    free(c->address);
    free(c);
}

static struct failing *find_or_add(const char *address)
{
    if (penalty.table == NULL) {
        penalty.table = hash_new();
        list_init(&penalty.order);
    }
    struct failing *c = hash_find(penalty.table, strz(address));
    if (c != NULL)
        return c;
    if (hash_count(penalty.table) >= ADDRESSES_MAX)
        authd_penalty_forget(LIST_OF(penalty.order.next, struct failing, order));
    c = mem_new(sizeof *c);
    list_init(&c->order);
    c->address = mem_dupz(address);
    hash_put(penalty.table, strz(address), c);
    return c;
}

/* The address, or its prefix, as the table has it. */
static const char *key_of(const char *address, char text[ADDR_TEXT])
{
    struct addr a;

    if (!addr_parse(strz(address), &a))
        return address;
    if (a.family == AF_INET6)
        addr_mask(&a, (unsigned)conf.auth_penalty_ipv6_prefix_length);
    return addr_text(&a, text);
}

int64_t penalty_failed(const char *address, int64_t now)
{
    char text[ADDR_TEXT];
    int64_t delay = conf.auth_failure_delay * 1000, most = conf.auth_failure_delay_max * 1000;

    if (*address == '\0')
        return delay;
    struct failing *c = find_or_add(key_of(address, text));
    if (now - c->last > QUIET_MS)
        c->failures = 0;
    for (int i = 0; i < c->failures && delay > 0 && delay < most; i++)
        delay *= 2;
    c->failures++;
    c->last = now;
    list_drop(&c->order);
    list_add(&penalty.order, &c->order);
    return delay < most || conf.auth_failure_delay * 1000 > most ? delay : most;
}

void penalty_ok(const char *address)
{
    char text[ADDR_TEXT];
    struct str key = strz(key_of(address, text));
    struct failing *c = penalty.table != NULL ? hash_find(penalty.table, key) : NULL;

    if (c != NULL)
        authd_penalty_forget(c);
}
