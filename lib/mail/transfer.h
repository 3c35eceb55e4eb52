/* transfer.h - content transfer encodings: quoted-printable and base64. RFC 2045 6 */
#ifndef MAIL_TRANSFER_H
#define MAIL_TRANSFER_H

#include <stdint.h>

#include "base/buf.h"

enum transfer_encoding { TRANSFER_IDENTITY, TRANSFER_QP, TRANSFER_BASE64, TRANSFER_UNKNOWN };

enum transfer_encoding transfer_named(struct str name); /* "7bit", "8bit", "binary", null too */

/* Decoding piece by piece; what is not well formed is passed over. Init with {.encoding = ...}. */
struct transfer {
    enum transfer_encoding encoding;
    uint32_t held; /* bits of base64 */
    unsigned bits;
    bool ended; /* "=" of base64 was seen */
    char tail[3]; /* an unfinished "=X" of quoted-printable */
    size_t ntail;
    size_t blanks; /* at the end of a line so far: they do not count (RFC 2045 6.7 (3)) */
};
void transfer_decode(struct transfer *t, struct str bytes, struct buf *out);

/* A whole body: lines of at most 76 bytes that end in LF. Line ends of the text are LF. */
void transfer_encode_qp(struct str text, struct buf *out);
void transfer_encode_base64(struct str bytes, struct buf *out);

#endif
