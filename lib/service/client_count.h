/* client_count.h - how many clients of one address a service has, over all its processes */
#ifndef SERVICE_CLIENT_COUNT_H
#define SERVICE_CLIENT_COUNT_H

#include "net/addr.h"

/*
 * Each process of the service lists its clients in a part of common memory that only it can write,
 * and counts in those of all. So one that is an intruder's can hide its own clients, and name as
 * many as it may have, and no more: master says how many that are (service/spawned.h).
 *
 * Addresses with the same first so many bits count as one client: whoever has an IPv6 network has
 * all its addresses.
 */
struct client_count;

void client_count_open(int64_t ipv4_bits, int64_t ipv6_bits); /* in service.open */
/* For client_count_open: the part of the memory is this process's, which has that many clients at a
 * time. -1: memory of its own. Before the jail. */
void client_count_share(int memory, int part, int limit);
/* One more of that address. all: its clients now, with this one. Null, and all is INT64_MAX: it
 * could not be counted at all, and should be refused where there is a limit. */
struct client_count *client_count_add(const struct addr *a, int64_t *all);
void client_count_drop(struct client_count **c); /* one client less; sets null; null is accepted */

#endif
