/* charset.h - converts text of any character set to UTF-8 */
#ifndef MAIL_CHARSET_H
#define MAIL_CHARSET_H

#include "base/buf.h"

/*
 * UTF-8, US-ASCII, ISO-8859-1, ISO-8859-15 and windows-1252 are built in. The others are done by
 * iconv(3), whose modules are files that cannot be opened in the jail: call charset_preload before.
 */
bool charset_known(struct str charset);
/* True if a byte below 128 always means its ASCII character, so that the text can be searched for
 * ASCII without conversion. False for stateful and multi-byte sets, and for unknown ones. */
bool charset_is_ascii_based(struct str charset);
/* Appends text as UTF-8. Invalid bytes become U+FFFD. False: the charset is unknown, and nothing
 * was appended. */
bool charset_to_utf8(struct str charset, struct str text, struct buf *out);
/* The same. pause(arg), which may wait, is called after each piece of a long text. */
bool charset_to_utf8_in_pieces(struct str charset, struct str text, struct buf *out,
                               void (*pause)(void *), void *arg);
/* The length of the longest piece of at most most bytes that does not end inside a character. */
size_t charset_utf8_piece(struct str utf8, size_t most);
/* As charset_to_utf8, but also false if the text contains invalid bytes. For SEARCH. */
bool charset_to_utf8_strict(struct str charset, struct str text, struct buf *out);
void charset_preload(void); /* loads the common ones, until the process ends */

/* Appends the text in a form for comparisons without case (simple case folding of the common
 * alphabets). Bytes that are not UTF-8 are copied. */
void charset_fold(struct str utf8, struct buf *out);

#endif
