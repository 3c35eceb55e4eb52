/* mime_7bit.h - a message for a way that takes 7 bits only, made while it streams by. RFC 2045 6 */
#ifndef MAIL_MIME_7BIT_H
#define MAIL_MIME_7BIT_H

#include "base/buf.h"

/*
 * Parts whose Content-Transfer-Encoding is 8bit or binary become quoted-printable, however deep
 * they lie in multiparts and messages; what encloses them is called 7bit (RFC 2045 6.4: composite
 * types are not encoded themselves). The new field ends its header block, and a message that says
 * no MIME-Version gets one then. Nothing else changes: header fields with 8-bit text, 8-bit text
 * that no field declares, preambles and epilogues stay as they are.
 *
 * Lines end in LF. Only one header field and the start of a line are kept at a time.
 */
struct mime_7bit_limits {
    size_t nesting; /* multiparts inside the second one, as Postfix counts; more: failure */
    size_t boundary; /* bytes of a boundary that are compared */
    size_t header; /* bytes of one header field; a longer one goes through unread */
};

struct mime_7bit;
struct mime_7bit *mime_7bit_new(const struct mime_7bit_limits *limits);
/* Appends what is ready: at most 4 bytes for each that came, and what was kept. */
void mime_7bit_put(struct mime_7bit *m, struct str bytes, struct buf *out);
void mime_7bit_end(struct mime_7bit *m, struct buf *out); /* the rest */
bool mime_7bit_failed(const struct mime_7bit *m); /* the nesting limit: do not use the output */
void mime_7bit_free(struct mime_7bit **m);

#endif
