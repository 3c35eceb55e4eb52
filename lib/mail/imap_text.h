/* imap_text.h - ENVELOPE, BODY and BODYSTRUCTURE as text, from the tree of a message. RFC
 * 3501 7.4.2 */
#ifndef MAIL_IMAP_TEXT_H
#define MAIL_IMAP_TEXT_H

#include "base/arena.h"

struct mime_part;

void imap_text_envelope(const struct mime_part *message, struct arena *mem, struct buf *out);
void imap_text_structure(const struct mime_part *part, struct arena *mem, struct buf *out);
/* BODY is BODYSTRUCTURE without its extension data: made from that text. False: not such a text. */
bool imap_text_body(struct str structure, struct buf *out);

/* nstring: NIL if s.p is null, "quoted" if it can be, else a literal. */
void imap_text_nstring(struct str s, struct buf *out);
void imap_text_string(struct str s, struct buf *out);

#endif
