/*
 * A list of clients for each process of the service. Whoever counts an address goes through all of
 * them.
 */
#include "service/client_count.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/msg.h"
#include "service/client_inside.h"
#include "service/jail_parts.h"
#include "service/service.h"

struct memory {
    atomic_uint limits[SPAWN_PARTS];
    struct client_part parts[SPAWN_PARTS];
};

static_assert(sizeof(struct memory) == SPAWN_CLIENTS_SIZE, "as master knows it");
static_assert(JAIL_CLIENTS_AT + (int)sizeof(struct client_part) <= JAIL_LOW_END,
              "there is room for it");

static struct {
    const struct memory *all; /* null: there is only this process */
    struct client_part *own;
    unsigned number, limit, bits4, bits6; /* number: which part is its own */
} state;

struct client_part *client_part_own(void)
{
    return state.own;
}

const struct client_part *client_part_next(unsigned *n)
{
    while (state.all != NULL && *n < SPAWN_PARTS) {
        unsigned i = (*n)++;
        unsigned limit = atomic_load_explicit(&state.all->limits[i], memory_order_relaxed);
        if (limit != SPAWN_PART_UNUSED && i != state.number)
            return &state.all->parts[i];
    }
    return NULL;
}

/* Where no process can make it longer in its jail: see jail_parts.h. */
static struct client_part *map_own(int memory, int part)
{
    void *at = (void *)(uintptr_t)JAIL_CLIENTS_AT; // NOLINT: see jail_parts.h
    void *p = mmap(at, sizeof(struct client_part), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_FIXED_NOREPLACE, memory,
                   SPAWN_PARTS_AT + (off_t)part * SPAWN_PART_SIZE);

    return p == at ? p : NULL;
}

/* By a descriptor that is open for reading: this mapping never becomes writable. */
static const struct memory *map_all(int memory)
{
    char path[40];

    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    void *p = mmap(NULL, sizeof(struct memory), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    return p == MAP_FAILED ? NULL : p;
}

void client_count_share(int memory, int part, int limit)
{
    if (state.all == NULL)
        free(state.own);
    state.limit = (unsigned)limit;
    state.number = (unsigned)part;
    state.own = NULL;
    state.all = NULL;
    if (memory >= 0 && (state.all = map_all(memory)) != NULL)
        state.own = map_own(memory, part);
    if (state.own != NULL)
        return;
    if (memory >= 0)
        msg_warn("memory with the clients of all processes: %m: only those of each are counted");
    state.all = NULL;
    state.own = mem_new(sizeof *state.own);
}

void client_count_open(int64_t ipv4_bits, int64_t ipv6_bits)
{
    int part, memory = service_clients_memory(&part);

    state.bits4 = (unsigned)ipv4_bits;
    state.bits6 = (unsigned)ipv6_bits;
    client_count_share(memory, part, service_limit());
}

unsigned client_network(struct addr *a)
{
    unsigned bits = a->family == AF_INET ? state.bits4 : state.bits6;

    if (a->family == AF_INET || a->family == AF_INET6)
        addr_mask(a, bits);
    return bits;
}

/* An IPv4 address as IPv6 writes it: none is 0. */
void client_key(const struct addr *a, uint64_t *high, uint64_t *low)
{
    struct addr network = *a;
    unsigned char bytes[16] = {[10] = 0xff, [11] = 0xff};

    client_network(&network);
    if (a->family == AF_INET6)
        memcpy(bytes, network.ip, sizeof bytes);
    else
        memcpy(bytes + 12, network.ip, 4);
    memcpy(high, bytes, sizeof *high);
    memcpy(low, bytes + 8, sizeof *low);
    if (*high == 0 && *low == 0)
        *low = 1;
}

static bool is_of(const struct client_count *c, uint64_t high, uint64_t low)
{
    return atomic_load_explicit(&c->low, memory_order_relaxed) == low &&
           atomic_load_explicit(&c->high, memory_order_relaxed) == high;
}

/* One more than the limit: who makes room for a new client goes after it has come. */
static int64_t count_in(const struct client_part *p, unsigned limit, uint64_t high, uint64_t low)
{
    unsigned used = atomic_load(&p->used);
    int64_t n = 0;

    if (used > limit + 1)
        used = limit + 1;
    for (unsigned i = 0; i < used && i < CLIENT_PLACES; i++)
        n += is_of(&p->clients[i], high, low);
    return n;
}

static int64_t count_all(uint64_t high, uint64_t low)
{
    int64_t n = 0;

    if (state.all == NULL)
        return count_in(state.own, CLIENT_PLACES, high, low);
    for (unsigned i = 0; i < SPAWN_PARTS; i++) {
        unsigned limit = atomic_load_explicit(&state.all->limits[i], memory_order_relaxed);
        if (limit != SPAWN_PART_UNUSED && limit != SPAWN_PART_ENDED)
            n += count_in(&state.all->parts[i], limit, high, low);
    }
    return n;
}

/* Null: none. */
static struct client_count *free_place(void)
{
    unsigned used = atomic_load(&state.own->used);

    for (unsigned i = 0; i < used; i++)
        if (is_of(&state.own->clients[i], 0, 0))
            return &state.own->clients[i];
    if (used == CLIENT_PLACES || (state.all != NULL && used > state.limit))
        return NULL;
    struct client_count *c = &state.own->clients[used];
    atomic_store(&c->low, 0);
    atomic_store(&c->high, 0);
    atomic_store(&state.own->used, used + 1);
    return c;
}

struct client_count *client_count_add(const struct addr *a, int64_t *all)
{
    uint64_t high, low;
    struct client_count *c = free_place();

    *all = INT64_MAX;
    if (c == NULL)
        return NULL;
    client_key(a, &high, &low);
    atomic_store(&c->high, high);
    atomic_store(&c->low, low);
    *all = count_all(high, low);
    return c;
}

/* The last places that are free are out of use. */
static void shorten(void)
{
    unsigned used = atomic_load(&state.own->used);

    while (used > 0 && is_of(&state.own->clients[used - 1], 0, 0))
        used--;
    atomic_store(&state.own->used, used);
}

void client_count_drop(struct client_count **c)
{
    if (*c != NULL) {
        atomic_store(&(*c)->low, 0);
        atomic_store(&(*c)->high, 0);
        shorten();
    }
    *c = NULL;
}
