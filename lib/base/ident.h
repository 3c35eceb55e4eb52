/* ident.h - unique names: Maildir files, GUIDs. Queue ids are in queue/qid.h */
#ifndef BASE_IDENT_H
#define BASE_IDENT_H

#include "base/buf.h"

/* The base of a Maildir file name, "seconds.MusecPpidQn.host": unique on this host. */
void ident_maildir(struct buf *out, const char *hostname);
/* 128 random bits as 32 hex digits. */
void ident_guid(struct buf *out);

#endif
