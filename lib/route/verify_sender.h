/* verify_sender.h - who sends probes: address_verify_sender */
#ifndef ROUTE_VERIFY_SENDER_H
#define ROUTE_VERIFY_SENDER_H

#include "base/buf.h"

/* Appends it, complete, as of now; nothing if it is the null sender. With address_verify_sender_ttl
 * its local part ends in the number of the present period. */
void verify_sender(struct buf *out);
/* Is it this one, or that of the period before? */
bool verify_sender_is(const char *address);

#endif
