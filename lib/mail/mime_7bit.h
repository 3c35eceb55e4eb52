/* mime_7bit.h - converts a message to 7 bits while its bytes pass. RFC 2045 6 */
#ifndef MAIL_MIME_7BIT_H
#define MAIL_MIME_7BIT_H

#include "base/buf.h"

/*
 * Parts whose Content-Transfer-Encoding is 8bit or binary are converted to quoted-printable, at any
 * depth. The multiparts and messages around them are labelled 7bit, because composite types are not
 * encoded themselves (RFC 2045 6.4). The new field is put at the end of the header block; a message
 * without MIME-Version gets one, too. Nothing else is changed: header fields with 8-bit text, 8-bit
 * text that no field declares, preambles and epilogues are copied.
 *
 * Lines end in LF. At most one header field and the start of a line are kept in memory.
 */
struct mime_7bit_limits {
    size_t nesting; /* depth of multiparts, counted from the second one as in Postfix; if deeper:
                       failure */
    size_t boundary; /* bytes of a boundary that are compared */
    size_t header; /* bytes of one header field; a longer one is copied without being read */
    bool keep_end; /* no empty line is put behind a header of 8-bit content that has none; what
                      follows is no field for whoever reads the output either */
};

struct mime_7bit;
/* limits is copied. */
struct mime_7bit *mime_7bit_new(const struct mime_7bit_limits *limits);
/* Appends the output that is ready: at most 4 bytes for each byte of input so far. */
void mime_7bit_put(struct mime_7bit *m, struct str bytes, struct buf *out);
void mime_7bit_end(struct mime_7bit *m, struct buf *out); /* the rest */
bool mime_7bit_failed(const struct mime_7bit *m); /* true: nested too deep, do not use the output */
void mime_7bit_free(struct mime_7bit **m);

#endif
