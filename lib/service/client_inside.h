/* client_inside.h - what each process of a service writes of its clients, for client_count.c and
 * client_rate.c */
#ifndef SERVICE_CLIENT_INSIDE_H
#define SERVICE_CLIENT_INSIDE_H

#include <stdatomic.h>

#include "service/client_rate.h"
#include "service/spawned.h"

/* A client: its network. Both 0: a place that is free. */
struct client_count {
    _Atomic uint64_t high, low;
};

/* What the clients of a network have done since a time. Both 0: free. */
struct client_rate {
    _Atomic uint64_t high, low;
    _Atomic int64_t since_ms; /* monotonic */
    _Atomic uint32_t counts[CLIENT_EVENTS];
};

/* A network has its rate in one of a few places, which follow from its bytes and the seed. */
enum {
    CLIENT_HEAD = 16,
    CLIENT_PLACES = (SPAWN_PLACES_SIZE - CLIENT_HEAD) / sizeof(struct client_count),
    CLIENT_RATES = (SPAWN_PART_SIZE - SPAWN_PLACES_SIZE) / sizeof(struct client_rate),
};

struct client_part {
    atomic_uint used; /* places of clients; those behind it are free */
    _Atomic uint64_t seed; /* 0: no rates yet */
    struct client_count clients[CLIENT_PLACES];
    struct client_rate rates[CLIENT_RATES];
};
_Static_assert(sizeof(struct client_part) == SPAWN_PART_SIZE, "as master knows it");

struct client_part *client_part_own(void); /* of this process, which only it writes */
/* The parts of the other processes, also of those that have ended. *n is 0 before the first; null
 * after the last. */
const struct client_part *client_part_next(unsigned *n);
void client_key(const struct addr *a, uint64_t *high, uint64_t *low); /* of its network */

#endif
