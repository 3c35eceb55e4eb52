/* dns_hosts.h - /etc/hosts, read once before the jail */
#ifndef NET_DNS_HOSTS_H
#define NET_DNS_HOSTS_H

#include "net/addr.h"

struct hosts_line {
    struct addr addr;
    const char *names; /* separated by blanks; the first is the canonical one */
};

/* A missing file counts as an empty one. At most 10,000 lines are kept. */
void hosts_read(const char *path);
void hosts_free(void);
/* The next line that contains the name; start with *cursor = 0. Null: no more. */
const struct hosts_line *hosts_find(const char *name, size_t *cursor);
/* The first name of an address, followed by a zero byte; empty if there is none. */
struct str hosts_name_of(const struct addr *addr);

#endif
