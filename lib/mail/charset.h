/* charset.h - text of any character set as UTF-8 */
#ifndef MAIL_CHARSET_H
#define MAIL_CHARSET_H

#include "base/buf.h"

/*
 * UTF-8, US-ASCII, ISO-8859-1, ISO-8859-15 and windows-1252 are built in; others are iconv(3)'s,
 * whose modules are files that a jailed process may not be able to load: charset_preload does it
 * before.
 */
bool charset_known(struct str charset);
/* Every byte below 128 stands for its ASCII character, and nothing else does: the text can be
 * searched for ASCII as it stands. False for stateful and multi-byte sets, and for those that are
 * not known. */
bool charset_is_ascii_based(struct str charset);
/* Appends; what is not valid becomes U+FFFD. False: the charset is not known, nothing was appended.
 */
bool charset_to_utf8(struct str charset, struct str text, struct buf *out);
/* As above, but false too if the text is not valid in it: for SEARCH. */
bool charset_to_utf8_strict(struct str charset, struct str text, struct buf *out);
void charset_preload(void); /* the common ones stay loaded until the process ends */

/* Appends UTF-8 without case (simple folding of the common alphabets), for comparing. What is not
 * UTF-8 is kept as it is. */
void charset_fold(struct str utf8, struct buf *out);

#endif
