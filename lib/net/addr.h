/* addr.h - IP addresses, their text forms, prefixes, and lists of them such as mynetworks */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/why.h"

/* An IP address with a port, or a UNIX socket. IPv4-mapped IPv6 addresses are converted to IPv4,
 * except by addr_parse_mapped and in prefixes. family 0: no address. */
struct addr {
    sa_family_t family; /* AF_INET, AF_INET6, AF_UNIX or 0 */
    in_port_t port; /* host order */
    uint32_t scope; /* of link-local IPv6 */
    unsigned char ip[16]; /* network order; IPv4 in the first 4 */
};

enum { ADDR_TEXT = 64 }; /* enough for any of the text forms below, with the zero byte */

/* sa of an unknown family gives family 0. */
void addr_from_sockaddr(struct addr *a, const struct sockaddr *sa, socklen_t len);
/* The size of what was written to *sa; 0: there is no address in a. */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *sa);
bool addr_parse(struct str text, struct addr *a); /* 1.2.3.4 or 2001:db8::1, nothing else */
/* The same, but ::ffff:1.2.3.4 stays IPv6. For patterns, and for addresses compared with patterns.
 */
bool addr_parse_mapped(struct str text, struct addr *a);
/* RFC 5321 4.1.3: "[1.2.3.4]", "[IPv6:2001:db8::1]"; brackets included. */
bool addr_parse_literal(struct str text, struct addr *a);
const char *addr_text(const struct addr *a, char text[ADDR_TEXT]); /* "1.2.3.4", "2001:db8::1" */
const char *addr_literal(const struct addr *a, char text[ADDR_TEXT]); /* "[IPv6:2001:db8::1]" */
bool addr_same_host(const struct addr *a, const struct addr *b); /* ignores ports */
/* Sets all bits behind the first so many to zero: the network that counts as one client. */
void addr_mask(struct addr *a, unsigned bits);
bool addr_is_loopback(const struct addr *a); /* 127/8, ::1, and UNIX sockets */
/* "4.3.2.1.in-addr.arpa", "...ip6.arpa" (RFC 1035 3.5, RFC 3596 2.5); zone null for these, or a
 * DNS list's: "4.3.2.1.zone". */
void addr_reverse(const struct addr *a, const char *zone, struct buf *name);

/* "10.0.0.0/8", "2001:db8::/32", "[2001:db8::]/32", "[2001:db8::/32]", "1.2.3.4". Postfix refuses
 * bits set behind the prefix, and so does this. As with Postfix, "[::ffff:127.0.0.0]/104" is a
 * valid IPv6 prefix that no client matches, because clients with such an address count as IPv4. */
struct prefix {
    struct addr addr;
    unsigned bits;
};
int prefix_parse(struct str text, struct prefix *p, struct why *why);
bool prefix_has(const struct prefix *p, const struct addr *a);

/* Splits "host:port", "host", "[addr]:port", "[host]", ":port" is refused. port is empty if none;
 * bracketed: the brackets are off host (no MX lookup is wanted). */
struct hostport {
    struct str host, port;
    bool bracketed;
};
bool hostport_parse(struct str text, struct hostport *out);
bool port_parse(struct str text, in_port_t *port); /* number, or smtp lmtp submission smtps ... */

#endif
