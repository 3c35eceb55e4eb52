/* proxy_header.h - who the client of a connection is that comes by way of a proxy */
#ifndef NET_PROXY_HEADER_H
#define NET_PROXY_HEADER_H

#include "net/addr.h"

struct stream;

/*
 * The PROXY protocol of haproxy (its doc/proxy-protocol.txt), versions 1 and 2. Whoever may connect
 * can say what he likes: the port must be open to the proxy alone. As Postfix, a client of which
 * the proxy does not know the address (UNKNOWN, or another family than TCP over IP) is malformed:
 * it would have the rights of the proxy's own.
 */
struct proxy_header {
    bool local; /* the proxy speaks for itself: a health check (version 2, LOCAL) */
    struct addr client, server;
};

enum { PROXY_HEADER_MOST = 2048 }; /* bytes */

/* From the bytes that have come so far. 1: *used of them are the header; 0: there must be more; -1
 * and why: it is none. */
int proxy_header_parse(struct str bytes, struct proxy_header *out, size_t *used, struct why *why);

/* (waits) Reads it from the socket of a stream that has read nothing yet, and nothing behind it,
 * which may belong to a TLS handshake. -1: why says what was wrong. */
int proxy_header_read(struct stream *s, int64_t deadline_ms, struct proxy_header *out,
                      struct why *why);

#endif
