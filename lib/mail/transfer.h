/* transfer.h - content transfer encodings: quoted-printable and base64. RFC 2045 6 */
#ifndef MAIL_TRANSFER_H
#define MAIL_TRANSFER_H

#include <stdint.h>

#include "base/buf.h"

enum transfer_encoding { TRANSFER_IDENTITY, TRANSFER_QP, TRANSFER_BASE64, TRANSFER_UNKNOWN };

enum transfer_encoding
transfer_named(struct str name); /* IDENTITY for 7bit, 8bit, binary, and if name.p is null */

/* State of decoding in pieces. Initialize with {.encoding = ...}. Malformed input is skipped. */
struct transfer {
    enum transfer_encoding encoding;
    uint32_t held; /* bits of base64 */
    unsigned bits;
    bool ended; /* "=" of base64 was seen */
    char tail[3]; /* an unfinished "=X" of quoted-printable */
    size_t ntail;
    size_t blanks; /* at the end of the line so far; dropped there (RFC 2045 6.7 (3)) */
};
/* Appends the decoded bytes. */
void transfer_decode(struct transfer *t, struct str bytes, struct buf *out);

/* Encode a whole body: append lines of at most 76 bytes that end in LF. The text has LF line ends.
 */
void transfer_encode_qp(struct str text, struct buf *out);
void transfer_encode_base64(struct str bytes, struct buf *out);

#endif
