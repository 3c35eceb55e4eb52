/* header.h - one header field: name, value, folding. RFC 5322 2.2 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include "base/buf.h"

/*
 * A field as it stands in a message: "Name: value", folded lines parted by LF or CR LF, each going
 * on with a blank or tab. name has no blanks at its end, value none at its front; both point into
 * text. False: not a header field.
 */
bool header_split(struct str text, struct str *name, struct str *value);
bool header_continues(struct str line); /* this line belongs to the field before it */

/* Without the line ends inside: what RFC 5322 2.2.3 calls unfolded. Appends. */
void header_unfold(struct str value, struct buf *out);
/*
 * Appends "Name: value" on lines of at most width bytes where blanks allow, parted by "\n\t" (the
 * blank at the break is the tab). value must be unfolded. No line end at the end.
 */
void header_fold(struct str name, struct str value, size_t width, struct buf *out);

/* The field called name in a whole header block (lines ending in LF or CR LF, up to an empty line),
 * the first at or behind *at; value is raw. False: no more. */
bool header_find(struct str block, const char *name, size_t *at, struct str *value);

#endif
