/* header.h - header fields: splitting, folding, finding. RFC 5322 2.2 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include "base/buf.h"

/*
 * Splits a field as it is in a message: "Name: value", with folded lines that are separated by LF
 * or CR LF and begin with a blank or tab. name has no blanks at its end, value none at its start.
 * Both point into text. False: not a header field.
 */
bool header_split(struct str text, struct str *name, struct str *value);
bool header_continues(struct str line); /* this line belongs to the field before it */

/* Appends the value without line ends inside, unfolded in the sense of RFC 5322 2.2.3. */
void header_unfold(struct str value, struct buf *out);
/*
 * Appends "Name: value", with "\n\t" in place of blanks so that lines have at most width bytes
 * where the blanks allow it. value must be unfolded. No line end is added at the end.
 */
void header_fold(struct str name, struct str value, size_t width, struct buf *out);

/* Finds the next field with this name in a header block (lines that end in LF or CR LF, up to an
 * empty line), from position *at on, which moves behind it. value is not unfolded. False: no more.
 */
bool header_find(struct str block, const char *name, size_t *at, struct str *value);

#endif
