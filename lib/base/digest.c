#include "base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>

static const EVP_MD *type(enum digest which)
{
    switch (which) {
    case DIGEST_MD5:
        return EVP_md5();
    case DIGEST_SHA1:
        return EVP_sha1();
    case DIGEST_SHA256:
        return EVP_sha256();
    case DIGEST_SHA512:
        return EVP_sha512();
    }
    return NULL;
}

size_t digest_size(enum digest which)
{
    return (size_t)EVP_MD_get_size(type(which));
}

bool digest_make(enum digest which, const struct str *parts, size_t nparts,
                 unsigned char out[DIGEST_MAX])
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = c != NULL && EVP_DigestInit_ex(c, type(which), NULL);

    for (size_t i = 0; good && i < nparts; i++)
        good = EVP_DigestUpdate(c, parts[i].p, parts[i].n);
    good = good && EVP_DigestFinal_ex(c, out, NULL);
    EVP_MD_CTX_free(c);
    return good;
}

bool digest_hmac(enum digest which, struct str key, struct str text, unsigned char out[DIGEST_MAX])
{
    return HMAC(type(which), key.p, (int)key.n, (const unsigned char *)text.p, text.n, out, NULL) !=
           NULL;
}

bool digest_equal(struct str a, struct str b)
{
    return a.n == b.n && CRYPTO_memcmp(a.p, b.p, a.n) == 0;
}

static unsigned crc_byte(unsigned crc, unsigned char byte)
{
    crc ^= byte;
    for (int i = 0; i < 8; i++)
        crc = crc >> 1 ^ (0x82f63b78u & -(crc & 1));
    return crc;
}

#ifdef __x86_64__
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static unsigned crc_fast(unsigned crc, const char *p, size_t n)
{
    uint64_t wide = crc;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (unsigned)wide;
    for (; n > 0; p++, n--)
        crc = _mm_crc32_u8(crc, (unsigned char)*p);
    return crc;
}
#endif

unsigned digest_crc32c(unsigned crc, const void *p, size_t n)
{
    const char *bytes = p;

    crc = ~crc;
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_fast(crc, bytes, n);
#endif
    for (size_t i = 0; i < n; i++)
        crc = crc_byte(crc, (unsigned char)bytes[i]);
    return ~crc;
}
