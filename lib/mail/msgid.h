/* msgid.h - Message-ID and References. RFC 5322 3.6.4 */
#ifndef MAIL_MSGID_H
#define MAIL_MSGID_H

#include <stdint.h>

#include "base/buf.h"

/* Appends a Message-ID made of the time in UTC (wall: seconds since 1970), the queue id and the
 * host:
 * "<20261123012207.4F6J1k2QzVz9wrq@mx.example.com>". */
void msgid_format(int64_t wall, const char *queue_id, const char *host, struct buf *out);

/*
 * Cuts the next identifier off *rest, without its angle brackets. Folding and comments are skipped;
 * a quoted left part keeps its quotes. For References, In-Reply-To and Message-ID. False: no more.
 */
bool msgid_next(struct str *rest, struct str *id);

#endif
