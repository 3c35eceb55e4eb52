/* client_rate.h - how often one client does something, over all processes of its service */
#ifndef SERVICE_CLIENT_RATE_H
#define SERVICE_CLIENT_RATE_H

#include "net/addr.h"

/*
 * Beside the list of its clients (client_count.h, which is opened first) each process counts what
 * they do, in the same part of common memory: for each network since when, and how many events. The
 * rate is the sum of what all processes have counted; all begin anew at the same time, when
 * the time unit is over. What a process has counted holds until then, also if it ends meanwhile.
 *
 * A look-up costs the same whatever is in the memory: 8 places in the part of each process. Where
 * all places of a network are taken, the one makes room whose client has no session in this process
 * and began to be counted first. If all have sessions, the client cannot be counted, and every
 * limit is passed for it: a full memory refuses, it does not let in.
 */
struct client_rate;

enum client_event {
    CLIENT_CONNECTS,
    CLIENT_MESSAGES,
    CLIENT_RECIPIENTS,
    CLIENT_TLS_SESSIONS,
    CLIENT_LOGINS,
    CLIENT_EVENTS
};

void client_rate_open(int64_t unit_ms); /* after client_count_open */
/* A session of this address begins, whose events are to be counted. Null: there is no place. */
struct client_rate *client_rate_enter(const struct addr *a);
/* One more event, and how many there were with it. INT64_MAX: r is null. */
int64_t client_rate_add(struct client_rate *r, enum client_event event);
int64_t client_rate_look(const struct client_rate *r, enum client_event event); /* none more */
void client_rate_leave(struct client_rate **r); /* the session ends; null is accepted; sets null */
/* The most networks that this process has kept since the last call, and since when (seconds since
 * 1970). Forgets those that nothing depends on. Looks at all of its memory: now and then only. */
int64_t client_rate_networks(int64_t *since);
/* Cuts a down to the network that counts as one client; its leading bits. */
unsigned client_network(struct addr *a);

#endif
