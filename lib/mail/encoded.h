/* encoded.h - non-ASCII text in header fields. RFC 2047, RFC 2231 */
#ifndef MAIL_ENCODED_H
#define MAIL_ENCODED_H

#include "base/buf.h"

/* Appends the value as UTF-8: unfolded, "=?charset?B?...?=" words decoded, blanks between two of
 * them dropped. What cannot be decoded stays as it is. */
void encoded_to_utf8(struct str value, struct buf *out);
/* The value of a parameter called "name*": charset'language'percent-encoded. RFC 2231 4 */
void encoded_param_to_utf8(struct str value, struct buf *out);

#endif
