/* ident.h - makes unique names: of Maildir files, and GUIDs. For queue ids see queue/qid.h */
#ifndef BASE_IDENT_H
#define BASE_IDENT_H

#include "base/buf.h"

/* Appends the base of a Maildir file name, "seconds.MusecPpidQn.host", unique on this host: 170
 * bytes at most, for only the first 100 bytes of the host name are taken. */
void ident_maildir(struct buf *out, const char *hostname);
/* Appends 128 random bits as 32 hexadecimal digits. */
void ident_guid(struct buf *out);

#endif
