/* imap_text.h - makes ENVELOPE, BODY and BODYSTRUCTURE from the tree of a message. RFC 3501
 * 7.4.2 */
#ifndef MAIL_IMAP_TEXT_H
#define MAIL_IMAP_TEXT_H

#include "base/buf.h"

struct mime_part;
struct mime_values;

/* Both append. Strings are quoted where that is possible, and literals otherwise, as in Dovecot. */
void imap_text_envelope(const struct mime_part *message, struct buf *out);
void imap_text_structure(const struct mime_part *part, struct buf *out);
/* Appends BODY, which is BODYSTRUCTURE without extension data, made from the text of the latter.
 * False: structure is not such a text. */
bool imap_text_body(struct str structure, struct buf *out);

/* Appends an nstring: NIL if s.p is null, "quoted" if possible, else a literal. */
void imap_text_nstring(struct str s, struct buf *out);
/* The same for text that people read: several blanks become one, and a text that contains quotes is
 * sent as a literal. */
void imap_text_human(struct str s, struct buf *out);
/* Appends the addresses of all fields as one list "((name route mailbox host)...)", or NIL if there
 * are none. */
void imap_text_addresses(const struct mime_values *fields, struct buf *out);
/* Appends the same addresses as words, for searching: "name <mailbox@domain>, ". Encoded words stay
 * as they are. */
void imap_text_address_words(const struct mime_values *fields, struct buf *out);

#endif
