/* digest.h - digests and HMAC (OpenSSL inside) */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/buf.h"

enum digest { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA512 };
enum { DIGEST_MAX = 64 };

size_t digest_size(enum digest which); /* bytes: 16, 20, 32 or 64 */
/* Both write digest_size(which) bytes to out. digest_make hashes the parts as if they were joined.
 * False: OpenSSL does not offer this digest (MD5 in FIPS mode). */
bool digest_make(enum digest which, const struct str *parts, size_t nparts,
                 unsigned char out[DIGEST_MAX]);
bool digest_hmac(enum digest which, struct str key, struct str text, unsigned char out[DIGEST_MAX]);

/* Compares secrets. The time it takes does not tell where they differ. */
bool digest_equal(struct str a, struct str b);

/* CRC-32C, for records on disk. Start with crc 0; for further bytes pass the result of the call
 * before. */
unsigned digest_crc32c(unsigned crc, const void *p, size_t n);

#endif
