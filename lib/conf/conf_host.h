/* conf_host.h - defaults that depend on this machine */
#ifndef CONF_CONF_HOST_H
#define CONF_CONF_HOST_H

#include "base/buf.h"

/* The host name with its domain, as gethostname(2) says it; may have no dot. */
void conf_host_name(struct buf *out);

/* The networks of this host's interfaces for mynetworks, as style says: "host" the addresses alone,
 * "subnet" with their netmasks, "class" by the classes of old. want_ipv4, want_ipv6: families. */
void conf_host_networks(const char *style, bool want_ipv4, bool want_ipv6, struct buf *out);

#endif
