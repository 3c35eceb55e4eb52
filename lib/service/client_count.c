/*
 * Buckets of slots, chosen by address. A slot is one process's count of one address and changed by
 * that process only.
 */
#include "service/client_count.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/random.h"
#include "service/service.h"

enum {
    BUCKETS = 512,
    SLOTS = 60,
    REST = 4, /* more slots of a bucket, for clients that have found none */
};

struct client_count {
    atomic_int pid; /* 0: free */
    atomic_int clients; /* 0: not in use yet */
    sa_family_t family; /* 0: those that have found no slot */
    unsigned char ip[16];
};

struct table {
    atomic_uint
        key; /* of the hash, so that nobody can choose addresses of one bucket; 0: none yet */
    struct client_count buckets[BUCKETS][SLOTS + REST];
};

static struct {
    struct table *table;
    unsigned bits4, bits6;
} state;

/* Counts of processes that were killed. */
static void sweep(void)
{
    int dead = 0;

    for (size_t i = 0; i < BUCKETS * (size_t)(SLOTS + REST); i++) {
        struct client_count *c = &state.table->buckets[i / (SLOTS + REST)][i % (SLOTS + REST)];
        int pid = atomic_load(&c->pid);
        if (pid == 0 || (pid != dead && (kill(pid, 0) == 0 || errno != ESRCH)))
            continue;
        dead = pid;
        atomic_store(&c->clients, 0);
        atomic_compare_exchange_strong(&c->pid, &pid, 0);
    }
}

static void make_key(void)
{
    unsigned key = 0, nobody = 0;

    while (key == 0)
        random_bytes(&key, sizeof key);
    atomic_compare_exchange_strong(&state.table->key, &nobody, key);
}

void client_count_open(int64_t ipv4_bits, int64_t ipv6_bits)
{
    state.table = service_shared(sizeof *state.table);
    state.bits4 = (unsigned)ipv4_bits;
    state.bits6 = (unsigned)ipv6_bits;
    make_key();
    sweep();
}

/* The network that counts as one client. */
static struct addr network_of(const struct addr *a)
{
    struct addr network = *a;

    if (a->family == AF_INET || a->family == AF_INET6)
        addr_mask(&network, a->family == AF_INET ? state.bits4 : state.bits6);
    return network;
}

static struct client_count *bucket_of(const struct addr *a)
{
    uint32_t hash = 2166136261U ^ atomic_load(&state.table->key); /* FNV-1a */

    for (size_t i = 0; i < sizeof a->ip; i++)
        hash = (hash ^ a->ip[i]) * 16777619;
    hash = (hash ^ hash >> 15) * 2246822519U;
    return state.table->buckets[(hash ^ hash >> 13) % BUCKETS];
}

static bool is_of(const struct client_count *c, const struct addr *a)
{
    return c->family == a->family && memcmp(c->ip, a->ip, sizeof c->ip) == 0;
}

/* Our count of that address among n slots, maybe a new one; null when there is no room. */
static struct client_count *count_of(struct client_count *slots, size_t n, const struct addr *a)
{
    int me = getpid();

    for (struct client_count *c = slots; c < slots + n; c++)
        if (atomic_load(&c->pid) == me && is_of(c, a))
            return c;
    for (struct client_count *c = slots; c < slots + n; c++) {
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

    for (struct client_count *c = bucket; c < bucket + SLOTS + REST; c++) {
        int clients = atomic_load(&c->clients);
        if (clients > 0 && is_of(c, a))
            n += clients;
    }
    return n;
}

struct client_count *client_count_add(const struct addr *a, int64_t *all)
{
    struct addr network = network_of(a);
    struct client_count *bucket = bucket_of(&network), *c = count_of(bucket, SLOTS, &network);

    if (c == NULL) {
        network = (struct addr){0};
        c = count_of(bucket + SLOTS, REST, &network);
    }
    *all = INT64_MAX;
    if (c == NULL)
        return NULL;
    atomic_fetch_add(&c->clients, 1);
    *all = sum(bucket, &network);
    return c;
}

void client_count_drop(struct client_count **c)
{
    if (*c != NULL && atomic_fetch_sub(&(*c)->clients, 1) == 1)
        atomic_store(&(*c)->pid, 0);
    *c = NULL;
}
