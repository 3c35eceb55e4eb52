/* conf_host.h - defaults that depend on this machine */
#ifndef CONF_CONF_HOST_H
#define CONF_CONF_HOST_H

#include "base/buf.h"

/* Appends the name of this host as gethostname(2) returns it. It may have no dot. */
void conf_host_name(struct buf *out);

/* Appends the networks of this host's interfaces, as a value for mynetworks. style is "host" (only
 * the addresses), "subnet" (with their netmasks) or "class" (class A, B, C networks). want_ipv4 and
 * want_ipv6 say which address families. */
void conf_host_networks(const char *style, bool want_ipv4, bool want_ipv6, struct buf *out);

#endif
