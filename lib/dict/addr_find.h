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

/* ext, if not null, gets the extension with its delimiter ("+ext") when a part without it was
 * found, else "". is_local may be null: no domain is. */
enum dict_answer addr_find(struct maps *m, const char *address, unsigned parts,
                           addr_local_fn *is_local, struct buf *value, struct buf *ext,
                           struct why *why) __attribute__((warn_unused_result));

/* The length of "user" in "user+ext": up to the first character of recipient_delimiter, or the
 * whole length. Not split: what begins with a delimiter, postmaster, MAILER-DAEMON,
 * $double_bounce_sender, and at "-" owner-list and list-request (owner_request_special). */
size_t addr_user_length(struct str localpart);

/* domain, then parents: "a.b.c" looks up a.b.c, then b.c and c (parents) or .b.c and .c. */
enum dict_answer domain_find(struct maps *m, const char *domain, bool parents_match,
                             struct buf *value, struct why *why)
    __attribute__((warn_unused_result));

/* A client's address in an access table: 10.1.2.3, 10.1.2, 10.1, 10; an IPv6 address shrinks at its
 * colons. */
enum dict_answer hostaddr_find(struct maps *m, const char *address, struct buf *value,
                               struct why *why) __attribute__((warn_unused_result));

/* Does parent_domain_matches_subdomains name this parameter? */
bool parent_matches(const char *parameter);

#endif
