/* received.h - the trace field. RFC 5321 4.4 */
#ifndef MAIL_RECEIVED_H
#define MAIL_RECEIVED_H

#include <stdint.h>

#include "base/buf.h"

/*
 * What is known of how a message came in. Null or "" leaves a part out. The text is made in two
 * pieces, since the queue id is known only to cleanup: "Received: ", before, "id ", the queue id,
 * after. Lines are parted by "\n\t". Values are cleaned: blanks and control characters become '?'.
 */
struct received {
    const char *helo, *client_name, *client_addr; /* from a network client */
    const char *tls; /* "TLSv1.3 with cipher X (256/256 bits)" */
    const char *login; /* Authenticated sender */
    long uid; /* from a local user when client_addr is null */
    const char *login_name;
    const char *host, *mail_name, *protocol; /* by host (mail_name) with protocol */
    const char *rcpt; /* the only recipient, external form */
    int64_t wall;
};
void received_before(const struct received *r, struct buf *out);
void received_after(const struct received *r, struct buf *out);

#endif
