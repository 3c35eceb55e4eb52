/* match.h - lists of names and addresses, such as mydestination, mynetworks, relay_domains */
#ifndef DICT_MATCH_H
#define DICT_MATCH_H

#include "dict/dict.h"

/*
 * A list of items. The first one that matches decides; "!item" excludes. An item is a name,
 * [host]:port, a network (10.0.0.0/8, [2001:db8::]/32), "/file/name" (the file holds more items) or
 * "type:table" (every key of it is listed). Case does not count. Open lists before the jail. If an
 * item is wrong or a table cannot be opened, each match that reaches it is DICT_FAILED.
 */
struct match;
struct match *match_open(const char *parameter, const char *items);
/* For lists used with match_host: an item that looks like an address or a network but is not a
 * valid one is reported with conf_fault. */
struct match *match_open_hosts(const char *parameter, const char *items);
bool match_empty(const struct match *m);
void match_close(struct match **m);

/* DICT_FOUND: listed. DICT_NONE: not listed, or excluded. DICT_FAILED: a table failed, why. */
/* Compares the name as a whole: mydestination, virtual_alias_domains. */
enum dict_answer match_string(struct match *m, const char *name, struct why *why)
    __attribute__((warn_unused_result));
/* Compares a domain and its parents, as ".parent", or as "parent" if the parameter is listed in
 * parent_domain_matches_subdomains: relay_domains. */
enum dict_answer match_domain(struct match *m, const char *domain, struct why *why)
    __attribute__((warn_unused_result));
/* Compares a host's name and its address: mynetworks. */
enum dict_answer match_host(struct match *m, const char *name, const char *address, struct why *why)
    __attribute__((warn_unused_result));

bool match_works(const struct match *m); /* all of it can be read: no lookup must fail */
/* Calls fn for each name of the list, and for each key of its tables whose type can tell. Not for
 * networks, and not for what is excluded. For check: reads whole tables. */
typedef void match_name_fn(void *arg, const char *name);
void match_names(const struct match *m, match_name_fn *fn, void *arg);

#endif
