/* transport.h - transport_maps: another transport or next hop for an address or a domain */
#ifndef ROUTE_TRANSPORT_H
#define ROUTE_TRANSPORT_H

#include "dict/maps.h"

/*
 * Looks up user+ext@domain, user@domain, domain, its parents (".parent", or "parent" if
 * parent_domain_matches_subdomains names transport_maps), and "*". What is found, "transport",
 * "transport:nexthop" or ":nexthop", changes transport and nexthop: a new transport without a next
 * hop gets the recipient's domain, error and retry a text.
 */
enum dict_answer transport_find(struct maps *m, const char *recipient, const char *domain,
                                struct buf *transport, struct buf *nexthop, struct why *why)
    __attribute__((warn_unused_result));

#endif
