/* classes.h - the address classes: local, virtual alias, virtual mailbox, relay, default */
#ifndef ROUTE_CLASSES_H
#define ROUTE_CLASSES_H

#include "dict/dict.h"
#include "dict/maps.h"

struct addr; /* net/addr.h */

enum class { CLASS_LOCAL, CLASS_VIRTUAL_ALIAS, CLASS_VIRTUAL_MAILBOX, CLASS_RELAY, CLASS_DEFAULT };

/* Opens mydestination, virtual_alias_domains, virtual_mailbox_domains, relay_domains,
 * inet_interfaces and proxy_interfaces. Before the jail, once per process; more calls do nothing.
 */
void classes_open(void);

/* The class of a domain (without a dot at its end) or of an address such as "[10.0.0.1]". Warns if
 * two lists contain the domain (helpful_warnings). DICT_FAILED: a table of a list failed. */
enum dict_answer class_of(const char *domain, enum class *c, struct why *why)
    __attribute__((warn_unused_result));
/* The same, for a domain that the caller knows is not local: DICT_FOUND or DICT_FAILED. */
enum dict_answer class_of_foreign(const char *domain, enum class *c, struct why *why)
    __attribute__((warn_unused_result));
/* The same, for a domain that is local: returns DICT_FOUND after the warning, if one is due. */
enum dict_answer class_of_local(const char *domain);
/* For check: the warning for each domain that two lists contain, as far as lists and tables name
 * their domains. */
void classes_tell_overlaps(void);
void classes_close(void); /* for tests: the next classes_open reads main.cf's lists again */

/* The address of this family in inet_interfaces, if there is exactly one; else null. */
const struct addr *classes_only_address(int family);

bool classes_have_address(const struct addr *a); /* is it in inet_interfaces? */

/* Is the domain delivered by $local_transport: in mydestination, or an [address] of this host? */
enum dict_answer domain_is_local(const char *domain, struct why *why)
    __attribute__((warn_unused_result));
/* The same, or $myorigin. This is the addr_local_fn of all address lookups. */
enum dict_answer domain_has_users(const char *domain, struct why *why)
    __attribute__((warn_unused_result));

/* addr_find with ADDR_DEFAULT and domain_has_users: the lookup that canonical, virtual, relocated
 * and recipient tables have in common. ext may be null. */
enum dict_answer route_find(struct maps *m, const char *address, struct buf *value, struct buf *ext,
                            struct why *why) __attribute__((warn_unused_result));

#endif
