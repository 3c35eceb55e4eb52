/* imap_text.h - ENVELOPE, BODY and BODYSTRUCTURE as text, from the tree of a message. RFC
 * 3501 7.4.2 */
#ifndef MAIL_IMAP_TEXT_H
#define MAIL_IMAP_TEXT_H

#include "base/buf.h"

struct mime_part;
struct mime_values;

/* Both append; strings are as Dovecot sends them: quoted where that is possible, else literals. */
void imap_text_envelope(const struct mime_part *message, struct buf *out);
void imap_text_structure(const struct mime_part *part, struct buf *out);
/* BODY is BODYSTRUCTURE without its extension data: made from that text. False: not such a text. */
bool imap_text_body(struct str structure, struct buf *out);

/* nstring: NIL if s.p is null, "quoted" if it can be, else a literal. */
void imap_text_nstring(struct str s, struct buf *out);
/* For people: runs of blanks become one, quotes are not escaped but sent in a literal. */
void imap_text_human(struct str s, struct buf *out);
/* The address lists of header fields as one: "((name route mailbox host)...)", or NIL if empty. */
void imap_text_addresses(const struct mime_values *fields, struct buf *out);
/* Appends the same addresses as words, for searching: "name <mailbox@domain>, ". Encoded words stay
 * as they are. */
void imap_text_address_words(const struct mime_values *fields, struct buf *out);

#endif
