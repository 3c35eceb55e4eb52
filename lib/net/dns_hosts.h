/* dns_hosts.h - /etc/hosts, read once before the jail: names to addresses and back */
#ifndef NET_DNS_HOSTS_H
#define NET_DNS_HOSTS_H

#include "net/addr.h"

struct hosts_line {
    struct addr addr;
    const char *names; /* separated by blanks; the first is the canonical one */
};

/* A file that is missing is an empty one; at most 10,000 lines are kept. */
void hosts_read(const char *path);
void hosts_free(void);
/* Walks the lines that have the name, from *cursor = 0; null at the end. */
const struct hosts_line *hosts_find(const char *name, size_t *cursor);
/* The canonical name of an address, with a zero byte, or empty. */
struct str hosts_name_of(const struct addr *addr);

#endif
