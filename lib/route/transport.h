/* transport.h - transport_maps: another transport or next hop for an address or a domain */
#ifndef ROUTE_TRANSPORT_H
#define ROUTE_TRANSPORT_H

#include "dict/maps.h"

/*
 * Looks up user+ext@domain, user@domain, domain, its parents (".parent", or "parent" if
 * parent_domain_matches_subdomains names transport_maps), and "*". The result, "transport",
 * "transport:nexthop" or ":nexthop", changes transport and nexthop. If it has a transport without a
 * next hop, that becomes the recipient's domain, or a text for error and retry. DICT_NONE: nothing
 * was found, and both stay as they are.
 */
enum dict_answer transport_find(struct maps *m, const char *recipient, const char *domain,
                                struct buf *transport, struct buf *nexthop, struct why *why)
    __attribute__((warn_unused_result));

#endif
