/* addr_find.h - the order in which the parts of a mail address, a domain or a host address are
 * looked up */
#ifndef DICT_ADDR_FIND_H
#define DICT_ADDR_FIND_H

#include "dict/maps.h"

/*
 * Which parts, in this order. Tables of patterns see the whole address only, once. Addresses come
 * in internal form (local part not quoted); a local part that needs quotes is looked up with them
 * first, then without.
 */
enum addr_part {
    ADDR_FULL = 1, /* user+ext@domain */
    ADDR_NOEXT = 2, /* user@domain */
    ADDR_LOCALPART_IF_LOCAL = 4, /* user+ext, user: if the domain is ours (is_local) */
    ADDR_LOCALPART_AT_IF_LOCAL = 8, /* the same as user+ext@, user@ */
    ADDR_AT_DOMAIN = 16, /* @domain */
    ADDR_DOMAIN = 32, /* domain */
    ADDR_PARENTS = 64, /* the parent domains, without a dot (.. matches_subdomains) */
    ADDR_DOT_PARENTS = 128, /* .parent domains */
    ADDR_LOCALPART_AT = 256, /* user+ext@, user@: always, after the domains (access tables) */
    /* canonical, virtual, local_recipient_maps and most others */
    ADDR_DEFAULT = ADDR_FULL | ADDR_NOEXT | ADDR_LOCALPART_IF_LOCAL | ADDR_AT_DOMAIN,
};

/* Is the domain of this address ours, so that "user" alone means the same? route/classes.h has the
 * one that is always meant: $myorigin, $mydestination, $inet_interfaces, $proxy_interfaces. */
typedef enum dict_answer addr_local_fn(const char *domain, struct why *why);

struct addr_query {
    unsigned parts;
    const char *delimiters; /* recipient_delimiter: "", "+", "+-" */
    addr_local_fn *is_local; /* null: no domain is */
};

/* ext, if not null, gets the extension with its delimiter ("+ext") when a part without it was
 * found, else "". */
enum dict_answer addr_find(struct maps *m, const char *address, const struct addr_query *q,
                           struct buf *value, struct buf *ext, struct why *why)
    __attribute__((warn_unused_result));

/* Splits "user+ext" at the first delimiter that is neither first nor last; the length of "user" or
 * the whole length. owner-x and x-request are not split at "-", nor postmaster, MAILER-DAEMON and
 * double-bounce at all (owner_request_special: see conf). */
size_t addr_ext_at(struct str localpart, const char *delimiters, bool owner_request_special);

/* domain, then parents: "a.b.c" looks up a.b.c, then b.c and c (parents) or .b.c and .c. */
enum dict_answer domain_find(struct maps *m, const char *domain, bool parents_match,
                             struct buf *value, struct why *why)
    __attribute__((warn_unused_result));

/* A client's address in an access table: 10.1.2.3, 10.1.2, 10.1, 10; 2001:db8::1, 2001:db8:0:0:..
 * shrinking at colons as the text form has them. */
enum dict_answer hostaddr_find(struct maps *m, const char *address, struct buf *value,
                               struct why *why) __attribute__((warn_unused_result));

/* Does parent_domain_matches_subdomains name this parameter? */
bool parents_match(const char *parameter);

#endif
