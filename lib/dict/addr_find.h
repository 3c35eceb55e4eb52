/* addr_find.h - the order in which the parts of a mail address, a domain or a host address are
 * looked up */
#ifndef DICT_ADDR_FIND_H
#define DICT_ADDR_FIND_H

#include "dict/maps.h"

/*
 * The parts to look up, in this order. Tables of patterns see the whole address only, once.
 * Addresses are in internal form (local part without quotes). If a local part needs quotes, it is
 * looked up with quotes first, and then without.
 */
enum addr_part {
    ADDR_FULL = 1, /* user+ext@domain */
    ADDR_NOEXT = 2, /* user@domain */
    ADDR_LOCALPART_IF_LOCAL = 4, /* user+ext, user: if is_local says so of the domain */
    ADDR_LOCALPART_AT_IF_LOCAL = 8, /* the same as user+ext@, user@ */
    ADDR_AT_DOMAIN = 16, /* @domain */
    ADDR_DOMAIN = 32, /* domain */
    ADDR_PARENTS = 64, /* the parent domains, without a dot (.. matches_subdomains) */
    ADDR_DOT_PARENTS = 128, /* .parent domains */
    ADDR_LOCALPART_AT = 256, /* user+ext@, user@: always, after the domains (access tables) */
    /* canonical, virtual, local_recipient_maps and most others */
    ADDR_DEFAULT = ADDR_FULL | ADDR_NOEXT | ADDR_LOCALPART_IF_LOCAL | ADDR_AT_DOMAIN,
};

/* Does a user name without a domain mean the same as one in this domain? Usually this is
 * domain_has_users of route/classes.h: $myorigin, $mydestination, $inet_interfaces,
 * $proxy_interfaces. */
typedef enum dict_answer addr_local_fn(const char *domain, struct why *why);

/* Looks up the parts until one is found. ext, if not null, is set to the extension with its
 * delimiter ("+ext") if a part without extension was found, else to "". If is_local is null, no
 * domain is local. */
enum dict_answer addr_find(struct maps *m, const char *address, unsigned parts,
                           addr_local_fn *is_local, struct buf *value, struct buf *ext,
                           struct why *why) __attribute__((warn_unused_result));

/* The length of the user in "user+ext": up to the first character of recipient_delimiter, or all of
 * it. Names that begin with a delimiter, postmaster, MAILER-DAEMON and $double_bounce_sender have
 * no extension; with owner_request_special, owner-list and list-request are not split at "-". */
size_t addr_user_length(struct str localpart);

/* Looks up a domain and then its parents: for a.b.c also b.c and c if parents_match, else .b.c and
 * .c. A number such as 10.1.2.3 has no parents. */
enum dict_answer domain_find(struct maps *m, const char *domain, bool parents_match,
                             struct buf *value, struct why *why)
    __attribute__((warn_unused_result));

/* Looks up a client's address and shorter parts of it: 10.1.2.3, 10.1.2, 10.1, 10. An IPv6 address
 * is cut at its colons. */
enum dict_answer hostaddr_find(struct maps *m, const char *address, struct buf *value,
                               struct why *why) __attribute__((warn_unused_result));

/* Does parent_domain_matches_subdomains name this parameter? */
bool parent_matches(const char *parameter);

#endif
