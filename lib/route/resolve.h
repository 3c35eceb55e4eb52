/* resolve.h - from an address to who delivers it: transport, next hop, recipient */
#ifndef ROUTE_RESOLVE_H
#define ROUTE_RESOLVE_H

#include "route/classes.h"

struct route {
    struct buf transport; /* a service of master.cf: "local", "smtp", "error" */
    struct buf nexthop; /* depends on the transport: a domain, [host]:port, the text of an error */
    struct buf recipient; /* user@domain, the local domains stripped of routing */
    enum class class;
    bool bad_address; /* not a valid address: bounce with 5.1.3 "bad address syntax" */
    bool routed; /* the local part still contains @, % or !: not relayed for strangers */
};
/* asked: by resolve_address, and by whoever fills it in otherwise */
#define ROUTE ((struct route){BUF(65536), BUF(65536), BUF(65536), CLASS_DEFAULT, false, false})

enum resolve_for { RESOLVE_MAIL, RESOLVE_VERIFY /* address_verify_* parameters */ };

/* Opens the classes, transport_maps, relocated_maps and the sender_dependent_* tables. Before the
 * jail; once per process. */
void resolve_open(void);
void resolve_close(void); /* for tests, the classes too */

/*
 * Fills in r. sender is looked up in the sender_dependent_* tables. The caller must look at
 * r->bad_address; the transport may be "error" or "retry". -1: a table failed; defer with why.
 * (waits) if a table is of a remote type.
 */
int resolve_address(enum resolve_for what, const char *sender, const char *address, struct route *r,
                    struct why *why);
/* Only checks the form: false if resolve_address would set bad_address. If a table fails, the
 * address counts as valid. */
bool resolve_is_valid(const char *address);
void route_free(struct route *r);

/* Calls fn for each value of transport_maps and the sender_dependent_* tables, for check. */
struct resolve_value {
    const char *parameter, *table, *where; /* see maps_value_fn */
    const char *value;
    bool is_relayhost; /* a next hop alone, else a transport */
};
typedef void resolve_value_fn(void *arg, const struct resolve_value *v);
void resolve_values(resolve_value_fn *fn, void *arg);

#endif
