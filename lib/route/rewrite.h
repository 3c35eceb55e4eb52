/* rewrite.h - the canonical form of an address: user@domain */
#ifndef ROUTE_REWRITE_H
#define ROUTE_REWRITE_H

#include "base/buf.h"

/* Which domain is added to an incomplete address: $myorigin, or remote_header_rewrite_domain. */
enum rewrite { REWRITE_LOCAL, REWRITE_REMOTE };
bool rewrite_by_name(const char *name, enum rewrite *r); /* "local", "remote"; "" is local */
/* Are headers rewritten? For REWRITE_REMOTE only if remote_header_rewrite_domain is set. */
bool rewrite_active(enum rewrite r);

/*
 * Appends the canonical form to out: source route dropped (RFC 5321 appendix C), site!user
 * (swap_bangpath) and user%domain (allow_percent_hack) converted to user@domain, $myorigin added
 * to a name without domain (append_at_myorigin), .$mydomain to a domain without dot
 * (append_dot_mydomain), one dot at the end dropped. Both addresses are in internal form (local
 * part without quotes); "" stays "". No tables are looked up.
 */
void rewrite_address(enum rewrite r, const char *address, struct buf *out);

/* Can this local part stand without quotes? */
bool localpart_is_plain(struct str localpart);

#endif
