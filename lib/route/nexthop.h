/* nexthop.h - what smtp and lmtp take as the next hop: "[host]:port", "host", "unix:path" */
#ifndef ROUTE_NEXTHOP_H
#define ROUTE_NEXTHOP_H

#include <netinet/in.h>

#include "base/why.h"

struct nexthop {
    struct str host; /* or the path of a UNIX socket */
    in_port_t port; /* 0: none is named */
    bool bracketed; /* no MX lookup is wanted */
    bool is_unix;
};

/* One next hop. lmtp: "unix:path" and "inet:host" are known, too. The result points into text. -1:
 * why says what is wrong with it, as a temporary failure (4.3.5): the administrator has written
 * it. */
int nexthop_parse(struct str text, bool lmtp, struct nexthop *out, struct why *why);
/* The same for each next hop of a list, and the host must be an address or a possible name. For
 * settings that nobody has used yet. */
int nexthop_check(struct str list, bool lmtp, struct why *why);

#endif
