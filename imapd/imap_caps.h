/* imap_caps.h - the capabilities of IMAP, before and after login. RFC 3501 6.1.1 */
#ifndef IMAP_CAPS_H
#define IMAP_CAPS_H

#include <stdbool.h>

#include "base/buf.h"

/* What some capabilities depend on. */
struct imap_caps_facts {
    bool logged_in;
    bool may_start_tls; /* before login */
    bool may_plain; /* before login: a password may be sent as it is */
};

/*
 * Appends the names with blanks between, from the one table that imapd and imap share; a new
 * extension gets one line there. imap_capability replaces or extends the table's words, in both
 * states as in Dovecot, but not those that depend on facts. AUTH= is not included: see login_mechs.
 */
void imap_caps_put(const struct imap_caps_facts *facts, struct buf *out);

#endif
