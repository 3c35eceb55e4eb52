/* utf7.h - modified UTF-7, in which IMAP names folders. RFC 3501 5.1.3 */
#ifndef MAIL_UTF7_H
#define MAIL_UTF7_H

#include "base/buf.h"

/* Both append; false, with out as it was: not valid. */
bool utf7_from_utf8(struct str utf8, struct buf *out);
bool utf7_to_utf8(struct str utf7, struct buf *out); /* only the one right form of each name */

#endif
