/* encoded.h - decodes non-ASCII text in header fields. RFC 2047, RFC 2231 */
#ifndef MAIL_ENCODED_H
#define MAIL_ENCODED_H

#include "base/buf.h"

/* Appends the value as UTF-8: unfolded, with "=?charset?B?...?=" words decoded and blanks between
 * two of them removed. Words that cannot be decoded are copied. */
void encoded_to_utf8(struct str value, struct buf *out);
/* Appends the value of a parameter "name*", charset'language'percent-encoded, as UTF-8. RFC 2231 4
 */
void encoded_param_to_utf8(struct str value, struct buf *out);

#endif
