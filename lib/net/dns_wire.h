/* dns_wire.h - makes and parses DNS messages, RFC 1035 4. Answers are not trusted */
#ifndef NET_DNS_WIRE_H
#define NET_DNS_WIRE_H

#include "net/dns.h"

/*
 * Parses an answer. Compression pointers must point backwards (so there are no loops), a name has
 * at most 255 bytes and a label 63, and at most 500 records are read. Chains of CNAMEs are followed
 * within the message, at most 16 steps. The status is DNS_FAILED for anything that is not a
 * well-formed answer to (name, type), NOERROR or NXDOMAIN. ttl: seconds that the answer may be
 * kept, from its records or the SOA (RFC 2308 5).
 */
enum dns_status dns_wire_parse(struct str message, const char *name, enum dns_type type,
                               struct arena *mem, struct dns_answer *answer, uint32_t *ttl);
/* False: not a name that can be asked for (RFC 1035 2.3.4). */
bool dns_wire_name_ok(const char *name);
/* Appends a question of class IN with the RD and AD bits set, and with EDNS0 if edns is true.
 * False: the name is not valid, as above. */
bool dns_wire_query(struct buf *out, unsigned id, const char *name, enum dns_type type, bool edns);

#endif
