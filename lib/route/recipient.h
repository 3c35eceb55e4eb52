/* recipient.h - does this address exist here? */
#ifndef ROUTE_RECIPIENT_H
#define ROUTE_RECIPIENT_H

#include "route/resolve.h"

/* Opens what resolve_open does, and canonical_maps, recipient_canonical_maps, virtual_alias_maps,
 * local_recipient_maps, virtual_mailbox_maps and relay_recipient_maps. Before the jail; once per
 * process. */
void recipient_open(void);
void recipient_close(void); /* for tests; resolve_close too */

/*
 * Looks up the resolved address r in the recipient table of its class. DICT_FOUND: it is listed,
 * its class has no table, or it is not an address of this host. DICT_NONE: unknown; why is "5.1.1
 * User unknown in local recipient table" or the like (the table is named only with
 * show_user_unknown_table_name), and *reply is the SMTP code of the unknown_*_reject_code
 * parameter. DICT_FAILED: why is 4.x.
 */
enum dict_answer recipient_find(const struct route *r, int *reply, struct why *why)
    __attribute__((warn_unused_result));

#endif
