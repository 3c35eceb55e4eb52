/* received.h - makes the Received: header. RFC 5321 4.4 */
#ifndef MAIL_RECEIVED_H
#define MAIL_RECEIVED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* What is known of the client's TLS certificate. */
struct received_cert {
    bool asked; /* for a certificate; false: nothing else counts */
    bool sent, trusted;
    const char *name, *issuer; /* "" if not known */
};

/*
 * How a message came in. Parts that are null or "" are left out. The header is made in two pieces,
 * because only cleanup knows the queue id: "Received: ", received_before, "id ", the queue id,
 * received_after. Both functions append. Lines are separated by "\n\t". Blanks and control
 * characters in values become '?'.
 */
struct received {
    const char *helo, *client_name, *client_addr; /* from a network client */
    const char *tls; /* "TLSv1.3 with cipher X (256/256 bits) key-exchange ...": made of lines */
    const struct received_cert *cert; /* with tls: of the client */
    const char *login; /* Authenticated sender */
    bool hidden; /* nothing is said of the client, nor how the message came */
    long uid; /* from a local user when client_addr is null */
    const char *login_name;
    const char *host, *mail_name, *protocol; /* by host (mail_name) with protocol */
    const char *rcpt; /* the only recipient, external form */
    bool has_priority; /* the client asked for one */
    int priority; /* which it got. RFC 6710 4.3 */
    int64_t wall; /* seconds since 1970 */
};
void received_before(const struct received *r, struct buf *out);
void received_after(const struct received *r, struct buf *out);

#endif
