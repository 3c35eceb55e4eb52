/* client_count.h - how many clients of one address a service has, over all its processes */
#ifndef SERVICE_CLIENT_COUNT_H
#define SERVICE_CLIENT_COUNT_H

#include "net/addr.h"

/*
 * The processes of the service have the counts in common memory (service_shared, which cannot be
 * used for anything else then). So many addresses at a time that they find no room are beyond a
 * limit per address: what is not counted must not be refused.
 */
struct client_count;

void client_count_open(void); /* in service.open */
/* One more of that address. all: its clients now, with this one; 0 and null: there was no room. */
struct client_count *client_count_add(const struct addr *a, int64_t *all);
void client_count_drop(struct client_count **c); /* sets null; null is accepted */

#endif
