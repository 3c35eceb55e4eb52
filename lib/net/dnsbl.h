/* dnsbl.h - an entry of a DNS block list or welcome list: "zen.example=127.0.0.[2..11]". RFC 5782
 */
#ifndef NET_DNSBL_H
#define NET_DNSBL_H

#include "net/addr.h"

/* The domain, and which of its answers count. Each number of an answer is one in the pattern: a
 * number, or several of them and ranges in brackets: "[0;2..11;255]". */
struct dnsbl {
    char *domain;
    bool any; /* no pattern: all addresses count */
    uint64_t octets[4][4]; /* bits of 0 to 255 for each number of the address */
};
/* 0, or -1 and why, in words for the administrator. The caller frees it with dnsbl_free. */
int dnsbl_parse(struct str text, struct dnsbl *out, struct why *why);
void dnsbl_free(struct dnsbl *d);
bool dnsbl_counts(const struct dnsbl *d, const struct addr *answer); /* false for IPv6 */

/*
 * Appends the name to ask for. The address of a UNIX socket, and a name that is no domain, whose
 * last label is a number, or that would be longer than a domain may be, are in no list: false.
 */
bool dnsbl_name_of_addr(const struct dnsbl *d, const struct addr *a, struct buf *name);
bool dnsbl_name_of_domain(const struct dnsbl *d, struct str domain, struct buf *name);

#endif
