/*
 * CRAM-MD5 (RFC 2195) and APOP (RFC 1939 7): proof by digest of a challenge.
 */
#include "auth/password.h"
#include "auth/sasl_mechs.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/random.h"
#include "base/str.h"

enum { MD5_HEX = 32, MD5_SIZE = 16 };

static enum sasl_step cram_challenge(struct sasl_server *s, struct buf *out)
{
    buf_addc(&s->challenge, '<');
    random_token(&s->challenge, 20);
    buf_addf(&s->challenge, ".%lld@%s>", (long long)clock_wall(), s->host);
    buf_add(out, buf_str(&s->challenge));
    s->turn = 1;
    return SASL_MORE;
}

/* The answer is "user digest"; a user name may hold blanks, the digest is what follows the last. */
enum sasl_step sasl_cram_server(struct sasl_server *s, struct str in, struct buf *out)
{
    if (s->turn == 0)
        return in.n == 0 ? cram_challenge(s, out) : SASL_BAD;
    ptrdiff_t blank = str_rfind(in, ' ');
    if (s->turn != 1 || blank <= 0 || str_find(in, '\0') >= 0)
        return SASL_BAD;
    s->turn = 2;
    struct str hex = str_from(in, (size_t)blank + 1);
    buf_set(&s->user, str_upto(in, (size_t)blank));
    if (hex.n != MD5_HEX || !decode_hex(&s->digest, hex))
        return SASL_BAD;
    return SASL_SECRET;
}

enum sasl_step sasl_cram_secret(struct sasl_server *s, struct str stored,
                                const char *default_scheme)
{
    unsigned char want[DIGEST_MAX];

    if (s->turn != 2 || !password_cram_md5(stored, default_scheme, buf_str(&s->challenge), want))
        return SASL_BAD;
    bool same = digest_equal(buf_str(&s->digest), (struct str){(char *)want, MD5_SIZE});
    explicit_bzero(want, sizeof want);
    return same ? SASL_OK : SASL_BAD;
}

enum sasl_step sasl_cram_client(struct sasl_client *c, struct str in, struct buf *out)
{
    unsigned char mac[DIGEST_MAX];

    if (c->turn == 0 && in.n == 0) {
        c->turn = 1; /* the server speaks first */
        return SASL_MORE;
    }
    if (c->turn > 1 || in.n == 0)
        return SASL_BAD;
    c->turn = 2;
    if (!digest_hmac(DIGEST_MD5, c->password, in, mac))
        return SASL_BAD;
    buf_add(out, c->user);
    buf_addc(out, ' ');
    encode_hex(out, (struct str){(char *)mac, MD5_SIZE});
    return SASL_OK;
}

/*
 * In the authentication protocol the whole of APOP is one response: the greeting's stamp, the user
 * and the digest, between zero bytes. The stamp must be one of this connection of the front, or a
 * digest that was overheard elsewhere would do.
 */
enum sasl_step sasl_apop_server(struct sasl_server *s, struct str in, struct buf *out)
{
    (void)out;
    ptrdiff_t end = str_find(in, '\0');
    if (s->turn != 0 || end < 0)
        return SASL_BAD;
    s->turn = 1;
    struct str stamp = str_upto(in, (size_t)end);
    in = str_from(in, (size_t)end + 1);
    end = str_find(in, '\0');
    if (end <= 0 || in.n - (size_t)end - 1 != MD5_SIZE)
        return SASL_BAD;
    if (s->stamp == NULL || !str_starts(stamp, STR("<")) ||
        !str_starts(str_from(stamp, 1), strz(s->stamp)))
        return SASL_BAD;
    buf_set(&s->challenge, stamp);
    buf_set(&s->user, str_upto(in, (size_t)end));
    buf_set(&s->digest, str_from(in, (size_t)end + 1));
    return SASL_SECRET;
}

enum sasl_step sasl_apop_secret(struct sasl_server *s, struct str stored,
                                const char *default_scheme)
{
    unsigned char want[DIGEST_MAX];

    if (s->turn != 1 || !password_plain(stored, default_scheme, &s->password))
        return SASL_BAD;
    const struct str parts[] = {buf_str(&s->challenge), buf_str(&s->password)};
    bool made = digest_make(DIGEST_MD5, parts, 2, want);
    buf_clear(&s->password);
    if (!made)
        return SASL_BAD;
    bool same = digest_equal(buf_str(&s->digest), (struct str){(char *)want, MD5_SIZE});
    explicit_bzero(want, sizeof want);
    return same ? SASL_OK : SASL_BAD;
}
