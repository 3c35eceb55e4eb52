/* digest.h - digests and HMAC (OpenSSL inside) */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/buf.h"

enum digest { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA512 };
enum { DIGEST_MAX = 64 };

size_t digest_size(enum digest which);
/* Both fill out with digest_size bytes; parts are hashed one after the other. False: not available
 * (FIPS). */
bool digest_make(enum digest which, const struct str *parts, size_t nparts,
                 unsigned char out[DIGEST_MAX]);
bool digest_hmac(enum digest which, struct str key, struct str text, unsigned char out[DIGEST_MAX]);

/* Compares secrets in time that does not depend on where they differ. */
bool digest_equal(struct str a, struct str b);

/* CRC-32C of bytes, for records on disk; start with crc 0, feed on with the result. */
unsigned digest_crc32c(unsigned crc, const void *p, size_t n);

#endif
