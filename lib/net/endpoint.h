/* endpoint.h - where a service listens that is asked over a stream: a mail filter, a policy service
 */
#ifndef NET_ENDPOINT_H
#define NET_ENDPOINT_H

#include <netinet/in.h>

#include "base/why.h"

struct endpoint {
    char *host; /* null: a UNIX socket */
    in_port_t port; /* from 1 */
    char *path; /* of the UNIX socket, at most 107 bytes; null: TCP */
};

/*
 * Reads "inet:host:port", "inet:port" (of this host), "unix:path" or "local:path". bare: what
 * begins with neither inet: nor unix: is host:port or a port, also of a host that is called local.
 * Names of ports are those of /etc/services; in the jail, those that were found before it. -1: why
 * says what is wrong (4.3.5), and *out is empty. The caller frees what is in *out with
 * endpoint_free.
 */
int endpoint_parse(struct str text, bool bare, struct endpoint *out, struct why *why);
/* (waits) A connected socket. The host is looked up each time, for the service may have moved; its
 * addresses are tried one after the other until deadline_ms, each for its share of the time.
 * families: DNS_INET and so on. -1: why.
 */
int endpoint_connect(const struct endpoint *e, unsigned families, int64_t deadline_ms,
                     struct why *why);
void endpoint_free(struct endpoint *e); /* what it holds */

#endif
