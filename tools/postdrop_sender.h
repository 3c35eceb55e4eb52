/* postdrop_sender.h - which senders a local user may have: local_login_sender_maps */
#ifndef TOOLS_POSTDROP_SENDER_H
#define TOOLS_POSTDROP_SENDER_H

#include "base/str.h"
#include "base/why.h"

/* May whoever has started this process send as that address (internal form; empty: the null
 * sender)? 0, or -1 and why: 5.7.1 if not, 4.3.0 if a table cannot be asked. (waits) */
int postdrop_may_send(struct str sender, struct why *why);

/* Is one of these patterns, parted by blanks or commas, that of the sender? Extensions do not count
 * (recipient_delimiter). One of more than 70000 bytes has none. */
bool postdrop_is_allowed(struct str patterns, struct str sender);

#endif
