/* encode.h - bytes as text: base64, hex, percent, xtext */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include "base/buf.h"

/* All append to out. Decoders return false and leave out unchanged if the input is malformed. */
void encode_base64(struct buf *out, struct str s); /* RFC 4648 4, with padding */
bool decode_base64(struct buf *out, struct str s); /* strict: padding needed, nothing else inside */
int decode_base64_digit(char c); /* 0 to 63; -1: not a base64 digit */
void encode_hex(struct buf *out, struct str s); /* lower case */
bool decode_hex(struct buf *out, struct str s);
void encode_percent(
    struct buf *out, struct str s,
    const char *special); /* encodes these, control characters, '%' and bytes from 128 on */
bool decode_percent(struct buf *out, struct str s);
void encode_xtext(struct buf *out, struct str s); /* RFC 3461 4 */
bool decode_xtext(struct buf *out, struct str s);
void encode_escapes(struct buf *out, struct str s); /* for the log: "\r\n", "\\", "\003" as in C */

#endif
