/* crlf.h - line ends: LF on disk, CR LF on the wire */
#ifndef MAIL_CRLF_H
#define MAIL_CRLF_H

#include <stdint.h>

#include "base/buf.h"

/* Appends bytes with each bare LF made CR LF. *cr: the byte before was CR; carries over pieces. */
void crlf_add(struct buf *out, struct str bytes, bool *cr);
/* Appends bytes with each CR LF made LF. *cr: a CR is held back; carries over pieces: add a CR at
 * the end if it is still set. */
void crlf_drop(struct buf *out, struct str bytes, bool *cr);
uint64_t crlf_bare(struct str bytes, bool *cr); /* how many LF have no CR before them */

#endif
