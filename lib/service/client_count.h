/* client_count.h - how many clients of one address a service has, over all its processes */
#ifndef SERVICE_CLIENT_COUNT_H
#define SERVICE_CLIENT_COUNT_H

#include "net/addr.h"

/*
 * The processes of the service have the counts in common memory (service_shared, which cannot be
 * used for anything else then): 30,000 pairs of process and address at a time. Addresses with the
 * same first so many bits count as one client: whoever has an IPv6 network has all its addresses.
 *
 * If there is no room for an address, its clients are counted together with those of others that
 * have found none, as if all of them were one address: a flood from many addresses cannot switch
 * the limit off.
 */
struct client_count;

void client_count_open(int64_t ipv4_bits, int64_t ipv6_bits); /* in service.open */
/* One more of that address. all: its clients now, with this one. Null, and all is INT64_MAX: it
 * could not be counted at all, and should be refused where there is a limit. */
struct client_count *client_count_add(const struct addr *a, int64_t *all);
void client_count_drop(struct client_count **c); /* one client less; sets null; null is accepted */

#endif
