/*
 * Buckets of slots, chosen by address. A slot is one process's count of one address and changed by
 * that process only.
 */
#include "service/client_count.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "service/service.h"

enum { BUCKETS = 64, SLOTS = 64 };

struct client_count {
    atomic_int pid; /* 0: free */
    atomic_int clients; /* 0: not in use yet */
    sa_family_t family;
    unsigned char ip[16];
};

static struct client_count (*buckets)[SLOTS];

/* Counts of processes that were killed. */
static void sweep(void)
{
    int dead = 0;

    for (size_t i = 0; i < BUCKETS * (size_t)SLOTS; i++) {
        struct client_count *c = &buckets[i / SLOTS][i % SLOTS];
        int pid = atomic_load(&c->pid);
        if (pid == 0 || (pid != dead && (kill(pid, 0) == 0 || errno != ESRCH)))
            continue;
        dead = pid;
        atomic_store(&c->clients, 0);
        atomic_compare_exchange_strong(&c->pid, &pid, 0);
    }
}

void client_count_open(void)
{
    buckets = service_shared(BUCKETS * sizeof *buckets);
    sweep();
}

static struct client_count *bucket_of(const struct addr *a)
{
    uint32_t hash = 2166136261; /* FNV-1a: who fills a bucket on purpose gains nothing */

    for (size_t i = 0; i < sizeof a->ip; i++)
        hash = (hash ^ a->ip[i]) * 16777619;
    return buckets[(hash ^ hash >> 16) % BUCKETS];
}

static bool is_of(const struct client_count *c, const struct addr *a)
{
    return c->family == a->family && memcmp(c->ip, a->ip, sizeof c->ip) == 0;
}

/* Our count of that address, maybe a new one; null when there is no room. */
static struct client_count *count_of(struct client_count *bucket, const struct addr *a)
{
    int me = getpid();

    for (struct client_count *c = bucket; c < bucket + SLOTS; c++)
        if (atomic_load(&c->pid) == me && is_of(c, a))
            return c;
    for (struct client_count *c = bucket; c < bucket + SLOTS; c++) {
        int nobody = 0;
        if (!atomic_compare_exchange_strong(&c->pid, &nobody, me))
            continue;
        c->family = a->family;
        memcpy(c->ip, a->ip, sizeof c->ip);
        return c;
    }
    return NULL;
}

static int64_t sum(struct client_count *bucket, const struct addr *a)
{
    int64_t n = 0;

    for (struct client_count *c = bucket; c < bucket + SLOTS; c++) {
        int clients = atomic_load(&c->clients);
        if (clients > 0 && is_of(c, a))
            n += clients;
    }
    return n;
}

struct client_count *client_count_add(const struct addr *a, int64_t *all)
{
    struct client_count *bucket = bucket_of(a), *c = count_of(bucket, a);

    *all = 0;
    if (c == NULL)
        return NULL;
    atomic_fetch_add(&c->clients, 1);
    *all = sum(bucket, a);
    return c;
}

void client_count_drop(struct client_count **c)
{
    if (*c != NULL && atomic_fetch_sub(&(*c)->clients, 1) == 1)
        atomic_store(&(*c)->pid, 0);
    *c = NULL;
}
