/* domain.h - checks host names, domains and address literals. RFC 1123 2.1, RFC 5321 4.1.3 */
#ifndef MAIL_DOMAIN_H
#define MAIL_DOMAIN_H

#include "base/buf.h"

/* Letters, digits, "-", and "_", which is in use although it is not allowed; labels of 1 to 63
 * bytes, 255 bytes in all, not only digits. A dot at the end is allowed. */
bool domain_valid(struct str name);
bool domain_is_fqdn(struct str name); /* valid, with a dot inside */
bool domain_is_ipv4(struct str text);
bool domain_is_ipv6(struct str text); /* without "IPv6:" and brackets */
/* "[192.0.2.1]" or "[IPv6:::1]". address, if not null, is set to the part inside, without the tag.
 */
bool domain_is_literal(struct str name, struct str *address);

#endif
