/*
 * OpenSSL inside: MD5 with its state laid open, and PBKDF2.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "auth/password_hash.h"

#include <openssl/evp.h>
#include <openssl/md5.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/num.h"
#include "base/random.h"
#include "base/str.h"

enum { BLOCK = 64, PBKDF2_SIZE = 20, PBKDF2_ROUNDS = 5000, PBKDF2_ROUNDS_MAX = 10000000 };

static void put_word(unsigned char *p, MD5_LONG w)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(w >> (8 * i));
}

static MD5_LONG get_word(const unsigned char *p)
{
    return (MD5_LONG)p[0] | (MD5_LONG)p[1] << 8 | (MD5_LONG)p[2] << 16 | (MD5_LONG)p[3] << 24;
}

static void state_after(const unsigned char key[BLOCK], unsigned char pad, unsigned char out[16])
{
    unsigned char block[BLOCK];
    MD5_CTX md5;

    for (size_t i = 0; i < BLOCK; i++)
        block[i] = key[i] ^ pad;
    MD5_Init(&md5);
    MD5_Transform(&md5, block);
    put_word(out, md5.A);
    put_word(out + 4, md5.B);
    put_word(out + 8, md5.C);
    put_word(out + 12, md5.D);
    explicit_bzero(block, sizeof block);
}

void hmac_md5_state(struct str key, unsigned char state[HMAC_MD5_STATE])
{
    unsigned char padded[BLOCK] = {0};

    if (key.n > BLOCK)
        MD5((const unsigned char *)key.p, key.n, padded);
    else if (key.n > 0)
        memcpy(padded, key.p, key.n);
    state_after(padded, 0x5c, state);
    state_after(padded, 0x36, state + 16);
    explicit_bzero(padded, sizeof padded);
}

static void resume(MD5_CTX *md5, const unsigned char state[16])
{
    MD5_Init(md5);
    md5->A = get_word(state);
    md5->B = get_word(state + 4);
    md5->C = get_word(state + 8);
    md5->D = get_word(state + 12);
    md5->Nl = BLOCK * 8; /* one block has been hashed */
}

void hmac_md5_from_state(const unsigned char state[HMAC_MD5_STATE], struct str text,
                         unsigned char mac[16])
{
    MD5_CTX md5;
    unsigned char inner[16];

    resume(&md5, state + 16);
    MD5_Update(&md5, text.p, text.n);
    MD5_Final(inner, &md5);
    resume(&md5, state);
    MD5_Update(&md5, inner, sizeof inner);
    MD5_Final(mac, &md5);
}

bool pbkdf2_check(struct str plain, struct str stored, bool *same)
{
    struct str version, salt, rounds_text;
    struct buf want = BUF(PBKDF2_SIZE);
    unsigned char made[PBKDF2_SIZE];
    uint32_t rounds;

    if (!str_starts(stored, STR("$")))
        return false;
    stored = str_from(stored, 1);
    if (!str_split(&stored, '$', &version) || !str_eqz(version, "1") ||
        !str_split(&stored, '$', &salt) || !str_split(&stored, '$', &rounds_text) ||
        !num_parse_u32(rounds_text, 1, PBKDF2_ROUNDS_MAX, &rounds) || stored.n != 2 * PBKDF2_SIZE ||
        !decode_hex(&want, stored) || plain.n > 4096)
        return false;
    bool ok = PKCS5_PBKDF2_HMAC_SHA1(plain.p, (int)plain.n, (const unsigned char *)salt.p,
                                     (int)salt.n, (int)rounds, PBKDF2_SIZE, made) == 1;
    *same = ok && digest_equal((struct str){(char *)made, PBKDF2_SIZE}, buf_str(&want));
    buf_free(&want);
    return ok;
}

bool pbkdf2_make(struct str plain, struct buf *out)
{
    /* fits: 16 bytes */
    struct buf salt = BUF(16);
    unsigned char made[PBKDF2_SIZE];

    random_token(&salt, 16);
    bool ok = plain.n <= 4096 &&
              PKCS5_PBKDF2_HMAC_SHA1(plain.p, (int)plain.n, (const unsigned char *)salt.p,
                                     (int)salt.n, PBKDF2_ROUNDS, PBKDF2_SIZE, made) == 1;
    if (ok) {
        buf_addf(out, "$1$%s$%d$", salt.p, PBKDF2_ROUNDS);
        encode_hex(out, (struct str){(char *)made, PBKDF2_SIZE});
    }
    buf_free(&salt);
    return ok;
}
