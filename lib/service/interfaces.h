/* interfaces.h - where an inet service of master.cf listens */
#ifndef SERVICE_INTERFACES_H
#define SERVICE_INTERFACES_H

#include "base/vec.h"
#include "base/why.h"
#include "net/addr.h"

struct interfaces {
    VEC(struct addr) at; /* with ports */
    bool standing_in; /* no address was named, but "all" or "loopback-only" */
};

/*
 * Appends the addresses of a service name: "smtp", "25" and ":25" at each of inet_interfaces;
 * "127.0.0.1:25", "[::1]:25", "host:smtp". Only addresses of the families in inet_protocols are
 * taken. It is an error if none is left, unless inet_protocols is empty. Names of hosts and ports
 * are asked of libc, which blocks: for start and reload. -1: why.
 */
int interfaces_of(const char *service, struct interfaces *out, struct why *why);
/* May listening at a fail with this errno and be ignored? True for an IPv6 address that only "all"
 * or "loopback-only" asked for, on a machine without IPv6, where IPv4 is used, too. */
bool interfaces_may_miss(const struct interfaces *list, const struct addr *a, int error);
void interfaces_free(struct interfaces *list);

#endif
