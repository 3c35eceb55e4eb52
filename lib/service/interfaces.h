/* interfaces.h - where an inet service of master.cf listens */
#ifndef SERVICE_INTERFACES_H
#define SERVICE_INTERFACES_H

#include "base/vec.h"
#include "base/why.h"
#include "net/addr.h"

struct interfaces {
    VEC(struct addr) at; /* with ports */
    bool standing_in; /* at stands for whatever there is: "all", "loopback-only" */
};

/*
 * Appends the addresses of a service name: "smtp", "25" and ":25" at each of inet_interfaces;
 * "127.0.0.1:25", "[::1]:25", "host:smtp". Only those of inet_protocols count; that none is left is
 * an error, but if inet_protocols is empty. Names of hosts and ports are asked of libc, which
 * blocks: for start and reload. -1: why.
 */
int interfaces_of(const char *service, struct interfaces *out, struct why *why);
/* Is an IPv6 address, of those that stand for what there is, missing on this machine? */
bool interfaces_may_miss(const struct interfaces *list, const struct addr *a, int error);
void interfaces_free(struct interfaces *list);

#endif
