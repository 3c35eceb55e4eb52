/* crlf.h - converts line ends: LF in files, CR LF on the network */
#ifndef MAIL_CRLF_H
#define MAIL_CRLF_H

#include <stdint.h>

#include "base/buf.h"

/* Appends bytes, with CR LF for each LF that has no CR before it. *cr carries over from one piece
 * to the next whether the last byte was CR; start with false. */
void crlf_add(struct buf *out, struct str bytes, bool *cr);
/* Appends bytes, with LF for each CR LF. *cr carries over that a CR has been held back; start with
 * false. If it is set at the end of the text, append a CR. */
void crlf_drop(struct buf *out, struct str bytes, bool *cr);
uint64_t crlf_bare(struct str bytes, bool *cr); /* number of LF without CR before them */

#endif
