/* match.h - lists that a name or address is in or not: mydestination, mynetworks, relay_domains */
#ifndef DICT_MATCH_H
#define DICT_MATCH_H

#include "dict/dict.h"

/*
 * Items in order, the first that matches decides, "!item" says no: names, [host]:port, 10.0.0.0/8
 * and [2001:db8::]/32, "/file/name" (its lines are items), "type:table" (any key counts as listed).
 * Opened before the jail. A wrong item or a table that cannot be opened fails each match that
 * reaches it, never passes. Compares without case.
 */
struct match;
struct match *match_open(const char *parameter, const char *items);
/* For match_host: what looks like an address or network must be a good one (conf_fault). */
struct match *match_open_hosts(const char *parameter, const char *items);
bool match_empty(const struct match *m);
void match_close(struct match **m);

/* DICT_FOUND: listed; DICT_NONE: not, or excluded; DICT_FAILED: not known, why says why. */
/* The name as a whole: mydestination, virtual_alias_domains. */
enum dict_answer match_string(struct match *m, const char *name, struct why *why)
    __attribute__((warn_unused_result));
/* A domain, or a parent of it: as ".parent", or "parent" if parent_domain_matches_subdomains names
 * the parameter: relay_domains. */
enum dict_answer match_domain(struct match *m, const char *domain, struct why *why)
    __attribute__((warn_unused_result));
/* A host by name and by address: mynetworks, smtpd_authorized_xclient_hosts. */
enum dict_answer match_host(struct match *m, const char *name, const char *address, struct why *why)
    __attribute__((warn_unused_result));

#endif
