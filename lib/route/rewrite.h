/* rewrite.h - the canonical form of an address: user@domain */
#ifndef ROUTE_REWRITE_H
#define ROUTE_REWRITE_H

#include "base/buf.h"

/* Whose domain completes an address: ours, or remote_header_rewrite_domain. */
enum rewrite { REWRITE_LOCAL, REWRITE_REMOTE };
bool rewrite_by_name(const char *name, enum rewrite *r); /* "local", "remote"; "" is local */
/* Does this context change headers at all? Remote ones only with remote_header_rewrite_domain. */
bool rewrite_active(enum rewrite r);

/*
 * Appends the canonical form to out: source route dropped (RFC 5321 appendix C), site!user
 * (swap_bangpath) and user%domain (allow_percent_hack) turned around, $myorigin appended to a
 * user alone (append_at_myorigin), .$mydomain to a host without dot (append_dot_mydomain), one dot
 * at the end dropped. Internal form (local part unquoted) in and out; "" stays "". No tables are
 * asked.
 */
void rewrite_address(enum rewrite r, const char *address, struct buf *out);

/* Can this local part stand without quotes? */
bool localpart_is_plain(struct str localpart);

#endif
