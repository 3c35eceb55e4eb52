/* utf7.h - modified UTF-7, the encoding of folder names in IMAP. RFC 3501 5.1.3 */
#ifndef MAIL_UTF7_H
#define MAIL_UTF7_H

#include "base/buf.h"

/* Both append. False: the name is not valid, and out is unchanged. */
bool utf7_from_utf8(struct str utf8, struct buf *out);
bool utf7_to_utf8(struct str utf7, struct buf *out); /* accepts only the canonical form of a name */

#endif
