/* dns_wire.h - the message codec of the DNS: RFC 1035 4, bounded and without trust */
#ifndef NET_DNS_WIRE_H
#define NET_DNS_WIRE_H

#include "net/dns.h"

/*
 * Parses an answer. Compression pointers only go backwards (so there are no loops), names are at
 * most 255 bytes and 63 a label, at most 500 records are taken. CNAME chains are followed within
 * the message (at most 16). The status is DNS_FAILED for anything that is not a well-formed answer
 * to (name, type), NOERROR or NXDOMAIN. ttl: seconds that the answer may be kept, from its records
 * or the SOA (RFC 2308 5).
 */
enum dns_status dns_wire_parse(struct str message, const char *name, enum dns_type type,
                               struct arena *mem, struct dns_answer *answer, uint32_t *ttl);
/* False: not a name that can be asked for (RFC 1035 2.3.4). */
bool dns_wire_name_ok(const char *name);
/* Adds a recursive question of class IN that asks for the AD bit, with EDNS0 if wanted; false as
 * above. */
bool dns_wire_query(struct buf *out, unsigned id, const char *name, enum dns_type type, bool edns);

#endif
