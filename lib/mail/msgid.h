/* msgid.h - Message-ID and References. RFC 5322 3.6.4 */
#ifndef MAIL_MSGID_H
#define MAIL_MSGID_H

#include <stdint.h>

#include "base/buf.h"

/* "<20261123012207.4F6J1k2QzVz9wrq@mx.example.com>": the second in UTC, the queue id, the host. */
void msgid_format(int64_t wall, const char *queue_id, const char *host, struct buf *out);

/*
 * The next identifier off *rest, without its angle brackets, folding and comments skipped; quoted
 * left parts as they stand. False: no more. For References, In-Reply-To and Message-ID.
 */
bool msgid_next(struct str *rest, struct str *id);

#endif
