/*
 * Stored passwords: a table of schemes. What is salted by crypt(3) says so in the hash itself.
 */
#include "auth/password.h"

#include <crypt.h>

#include "auth/password_hash.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

enum form { FORM_TEXT, FORM_BASE64, FORM_HEX };

struct scheme;
typedef enum password_answer check_fn(const struct scheme *s, struct str user, struct str plain,
                                      struct str data);
typedef bool make_fn(const struct scheme *s, struct str user, struct str plain, struct buf *data);

struct scheme {
    const char *name;
    check_fn *check;
    make_fn *make; /* null: not made here */
    enum form form; /* of the data, unless the scheme's name says otherwise */
    enum digest digest;
    const char *setting; /* crypt(3): what a hash of this kind begins with */
    bool salted; /* the salt follows the digest */
    bool slow;
};

static enum password_answer match(bool same)
{
    return same ? PASSWORD_MATCH : PASSWORD_MISMATCH;
}

static enum password_answer check_plain(const struct scheme *s, struct str user, struct str plain,
                                        struct str data)
{
    (void)s;
    (void)user;
    return match(digest_equal(plain, data));
}

static bool make_plain(const struct scheme *s, struct str user, struct str plain, struct buf *data)
{
    (void)s;
    (void)user;
    buf_add(data, plain);
    return true;
}

/* crypt(3) answers "*0" or "*1" to what it does not understand; no hash begins so. */
static bool run_crypt(struct str plain, struct str setting, struct buf *out)
{
    struct buf key = BUF(4096), how = BUF(4096);
    struct crypt_data *work = mem_new(sizeof *work);
    const char *got = NULL;

    buf_add(&key, plain);
    buf_add(&how, setting);
    if (buf_ok(&key) && buf_ok(&how) && str_find(plain, '\0') < 0)
        got = crypt_r(key.p, how.p, work);
    if (got != NULL && got[0] != '*')
        buf_addz(out, got);
    else
        got = NULL;
    explicit_bzero(work, sizeof *work);
    free(work);
    if (key.room > 0)
        explicit_bzero(key.p, key.room);
    buf_free(&key);
    buf_free(&how);
    return got != NULL;
}

static enum password_answer check_crypt(const struct scheme *s, struct str user, struct str plain,
                                        struct str data)
{
    /* fits: crypt_r gives 384 bytes at most */
    struct buf made = BUF(4096);
    enum password_answer answer = PASSWORD_UNKNOWN;

    (void)s;
    (void)user;
    /* An empty or locked ("!", "*") hash lets nobody in. */
    if (data.n == 0 || data.p[0] == '!' || data.p[0] == '*')
        answer = PASSWORD_MISMATCH;
    else if (run_crypt(plain, data, &made))
        answer = match(digest_equal(buf_str(&made), data));
    buf_free(&made);
    return answer;
}

static bool make_crypt(const struct scheme *s, struct str user, struct str plain, struct buf *data)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];

    (void)user;
    return crypt_gensalt_rn(s->setting, 0, NULL, 0, setting, sizeof setting) != NULL &&
           run_crypt(plain, strz(setting), data);
}

static enum password_answer check_digest(const struct scheme *s, struct str user, struct str plain,
                                         struct str data)
{
    unsigned char made[DIGEST_MAX];
    size_t size = digest_size(s->digest);

    (void)user;
    if (s->salted ? data.n <= size : data.n != size)
        return PASSWORD_UNKNOWN;
    const struct str parts[] = {plain, str_from(data, size)};
    if (!digest_make(s->digest, parts, 2, made))
        return PASSWORD_UNKNOWN;
    return match(digest_equal((struct str){(char *)made, size}, str_upto(data, size)));
}

static bool make_digest(const struct scheme *s, struct str user, struct str plain, struct buf *data)
{
    unsigned char made[DIGEST_MAX], salt[8];
    size_t nsalt = s->salted ? sizeof salt : 0;

    (void)user;
    random_bytes(salt, sizeof salt);
    const struct str parts[] = {plain, {(char *)salt, nsalt}};
    if (!digest_make(s->digest, parts, 2, made))
        return false;
    buf_add(data, (struct str){(char *)made, digest_size(s->digest)});
    buf_add(data, parts[1]);
    return true;
}

/* RFC 2831 2.1.2.1: MD5 of user:realm:password; the realm is what follows the last '@'. */
static bool make_digest_md5(const struct scheme *s, struct str user, struct str plain,
                            struct buf *data)
{
    unsigned char made[DIGEST_MAX];
    ptrdiff_t at = str_rfind(user, '@');
    struct str name = at < 0 ? user : str_upto(user, (size_t)at);
    struct str realm = at < 0 ? STR("") : str_from(user, (size_t)at + 1);
    const struct str parts[] = {name, STR(":"), realm, STR(":"), plain};

    if (!digest_make(s->digest, parts, 5, made))
        return false;
    buf_add(data, (struct str){(char *)made, digest_size(s->digest)});
    return true;
}

static enum password_answer check_digest_md5(const struct scheme *s, struct str user,
                                             struct str plain, struct str data)
{
    /* fits: one digest */
    struct buf made = BUF(DIGEST_MAX);
    bool known = data.n == digest_size(s->digest) && make_digest_md5(s, user, plain, &made);
    bool same = known && digest_equal(buf_str(&made), data);

    buf_free(&made);
    return known ? match(same) : PASSWORD_UNKNOWN;
}

static bool make_cram(const struct scheme *s, struct str user, struct str plain, struct buf *data)
{
    unsigned char state[HMAC_MD5_STATE];

    (void)s;
    (void)user;
    hmac_md5_state(plain, state);
    buf_add(data, (struct str){(char *)state, sizeof state});
    explicit_bzero(state, sizeof state);
    return true;
}

static enum password_answer check_cram(const struct scheme *s, struct str user, struct str plain,
                                       struct str data)
{
    /* fits: one state */
    struct buf made = BUF(HMAC_MD5_STATE);

    make_cram(s, user, plain, &made);
    bool same = digest_equal(buf_str(&made), data);
    buf_free(&made);
    return data.n == HMAC_MD5_STATE ? match(same) : PASSWORD_UNKNOWN;
}

static enum password_answer check_pbkdf2(const struct scheme *s, struct str user, struct str plain,
                                         struct str data)
{
    bool same = false;

    (void)s;
    (void)user;
    return pbkdf2_check(plain, data, &same) ? match(same) : PASSWORD_UNKNOWN;
}

static bool make_pbkdf2(const struct scheme *s, struct str user, struct str plain, struct buf *data)
{
    (void)s;
    (void)user;
    return pbkdf2_make(plain, data);
}

/* The first of the names of one thing is the one that is made. clang-format off */
static const struct scheme schemes[] = {
    {"CRYPT", check_crypt, make_crypt, .setting = NULL, .slow = true},
    {"SHA512-CRYPT", check_crypt, make_crypt, .setting = "$6$", .slow = true},
    {"SHA256-CRYPT", check_crypt, make_crypt, .setting = "$5$", .slow = true},
    {"MD5-CRYPT", check_crypt, make_crypt, .setting = "$1$", .slow = true},
    {"MD5", check_crypt, make_crypt, .setting = "$1$", .slow = true},
    {"DES-CRYPT", check_crypt, make_crypt, .setting = "", .slow = true},
    {"BLF-CRYPT", check_crypt, make_crypt, .setting = "$2b$", .slow = true},
    {"YESCRYPT", check_crypt, make_crypt, .setting = "$y$", .slow = true},
    {"ARGON2I", check_crypt, NULL, .setting = "$argon2i$", .slow = true},
    {"ARGON2ID", check_crypt, NULL, .setting = "$argon2id$", .slow = true},
    {"PBKDF2", check_pbkdf2, make_pbkdf2, .slow = true},
    {"PLAIN", check_plain, make_plain},
    {"CLEARTEXT", check_plain, make_plain},
    {"CLEAR", check_plain, make_plain},
    {"SHA", check_digest, make_digest, FORM_BASE64, DIGEST_SHA1},
    {"SHA1", check_digest, make_digest, FORM_BASE64, DIGEST_SHA1},
    {"SHA256", check_digest, make_digest, FORM_BASE64, DIGEST_SHA256},
    {"SHA512", check_digest, make_digest, FORM_BASE64, DIGEST_SHA512},
    {"SSHA", check_digest, make_digest, FORM_BASE64, DIGEST_SHA1, .salted = true},
    {"SSHA256", check_digest, make_digest, FORM_BASE64, DIGEST_SHA256, .salted = true},
    {"SSHA512", check_digest, make_digest, FORM_BASE64, DIGEST_SHA512, .salted = true},
    {"SMD5", check_digest, make_digest, FORM_BASE64, DIGEST_MD5, .salted = true},
    {"LDAP-MD5", check_digest, make_digest, FORM_BASE64, DIGEST_MD5},
    {"PLAIN-MD5", check_digest, make_digest, FORM_HEX, DIGEST_MD5},
    {"DIGEST-MD5", check_digest_md5, make_digest_md5, FORM_HEX, DIGEST_MD5},
    {"CRAM-MD5", check_cram, make_cram, FORM_HEX},
    {"HMAC-MD5", check_cram, make_cram, FORM_HEX},
};
/* clang-format on */

static const struct scheme *find_scheme(struct str name)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (str_ieqz(name, schemes[i].name))
            return &schemes[i];
    return NULL;
}

/* What is stored, taken apart. form: how data is written. */
struct stored {
    const struct scheme *scheme; /* null: unknown */
    struct str name, data;
    enum form form;
};

static bool take_form(struct str suffix, enum form *form)
{
    if (str_ieqz(suffix, "b64") || str_ieqz(suffix, "base64"))
        *form = FORM_BASE64;
    else if (str_ieqz(suffix, "hex"))
        *form = FORM_HEX;
    else
        return false;
    return true;
}

static struct stored take_apart(struct str text, const char *default_scheme)
{
    struct stored s = {.name = strz(default_scheme), .data = text};

    ptrdiff_t brace = str_starts(text, STR("{")) ? str_find(text, '}') : -1;
    if (brace > 0) {
        s.name = str_part(text, 1, (size_t)brace - 1);
        s.data = str_from(text, (size_t)brace + 1);
    } else if (str_starts(text, STR("$"))) {
        s.name = STR("CRYPT");
    }
    ptrdiff_t dot = str_rfind(s.name, '.');
    struct str base = dot < 0 ? s.name : str_upto(s.name, (size_t)dot);
    s.scheme = find_scheme(base);
    if (s.scheme == NULL)
        return s;
    s.form = s.scheme->form;
    if (dot >= 0 && !take_form(str_from(s.name, (size_t)dot + 1), &s.form)) {
        s.scheme = NULL;
    } else if (dot < 0 && s.form != FORM_TEXT && !s.scheme->salted) {
        /* Both ways of writing a digest of known size are in use under the plain name. */
        size_t size =
            s.scheme->check == check_cram ? HMAC_MD5_STATE : digest_size(s.scheme->digest);
        s.form = s.data.n == size * 2 ? FORM_HEX : FORM_BASE64;
    }
    return s;
}

/* The bytes that data stands for. A missing padding of base64 is forgiven: tools leave it out. */
static bool decode(const struct stored *s, struct buf *out)
{
    struct buf padded = BUF(8192);

    if (s->form == FORM_TEXT) {
        buf_add(out, s->data);
        return buf_ok(out);
    }
    if (s->form == FORM_HEX)
        return decode_hex(out, s->data);
    buf_add(&padded, s->data);
    for (size_t n = s->data.n; n % 4 != 0; n++)
        buf_addc(&padded, '=');
    bool ok = buf_ok(&padded) && decode_base64(out, buf_str(&padded));
    buf_free(&padded);
    return ok;
}

bool password_is_scheme(const char *name)
{
    return take_apart(STR(""), name).scheme != NULL;
}

static int unknown_scheme(const struct stored *s, struct why *why)
{
    return why_set(why, "4.3.5", "unknown password scheme \"%.*s\"", (int)s->name.n, s->name.p);
}

static int malformed(const struct stored *s, struct why *why)
{
    return why_set(why, "4.3.5", "password of scheme %s is malformed or not supported here",
                   s->scheme->name);
}

int password_understood(struct str stored, const char *default_scheme, struct why *why)
{
    struct stored s = take_apart(stored, default_scheme);
    struct buf data = BUF(8192); /* asked: by decode() */
    int result = 0;

    if (s.scheme == NULL)
        return unknown_scheme(&s, why);
    if (!decode(&s, &data))
        result = malformed(&s, why);
    if (data.room > 0)
        explicit_bzero(data.p, data.room);
    buf_free(&data);
    return result;
}

enum password_answer password_check(struct str user, struct str plain, struct str stored,
                                    const char *default_scheme, struct why *why)
{
    struct stored s = take_apart(stored, default_scheme);
    struct buf data = BUF(8192); /* asked: by decode() */
    enum password_answer answer = PASSWORD_UNKNOWN;

    if (s.scheme == NULL) {
        unknown_scheme(&s, why);
        return PASSWORD_UNKNOWN;
    }
    if (decode(&s, &data))
        answer = s.scheme->check(s.scheme, user, plain, buf_str(&data));
    if (answer == PASSWORD_UNKNOWN)
        malformed(&s, why);
    if (data.room > 0)
        explicit_bzero(data.p, data.room);
    buf_free(&data);
    return answer;
}

bool password_is_slow(struct str stored, const char *default_scheme)
{
    struct stored s = take_apart(stored, default_scheme);
    return s.scheme != NULL && s.scheme->slow;
}

bool password_plain(struct str stored, const char *default_scheme, struct buf *plain)
{
    struct stored s = take_apart(stored, default_scheme);

    return s.scheme != NULL && s.scheme->check == check_plain && decode(&s, plain);
}

bool password_cram_md5(struct str stored, const char *default_scheme, struct str text,
                       unsigned char *mac)
{
    struct stored s = take_apart(stored, default_scheme);
    struct buf state = BUF(HMAC_MD5_STATE), plain = BUF(8192); /* asked: by decode() */
    bool ok = false;

    if (password_plain(stored, default_scheme, &plain)) {
        unsigned char made[DIGEST_MAX];
        ok = digest_hmac(DIGEST_MD5, buf_str(&plain), text, made);
        memcpy(mac, made, digest_size(DIGEST_MD5));
    } else if (s.scheme != NULL && s.scheme->check == check_cram && decode(&s, &state) &&
               state.n == HMAC_MD5_STATE) {
        hmac_md5_from_state((unsigned char *)state.p, text, mac);
        ok = true;
    }
    if (plain.room > 0)
        explicit_bzero(plain.p, plain.room);
    buf_free(&plain);
    buf_free(&state);
    return ok;
}

int password_make(const char *scheme, struct str user, struct str plain, struct buf *out,
                  struct why *why)
{
    struct stored s = {.name = strz(scheme)};
    struct buf data = BUF(8192);

    ptrdiff_t dot = str_rfind(s.name, '.');
    s.scheme = find_scheme(dot < 0 ? s.name : str_upto(s.name, (size_t)dot));
    if (s.scheme == NULL || s.scheme->make == NULL)
        return why_set(why, "5.3.5", "unknown password scheme \"%s\"", scheme);
    s.form = s.scheme->form;
    if (dot >= 0 && !take_form(str_from(s.name, (size_t)dot + 1), &s.form))
        return why_set(why, "5.3.5", "unknown password encoding in \"%s\"", scheme);
    bool ok = s.scheme->make(s.scheme, user, plain, &data) && buf_ok(&data);
    if (ok) {
        buf_addf(out, "{%s}", scheme);
        if (s.form == FORM_HEX)
            encode_hex(out, buf_str(&data));
        else if (s.form == FORM_BASE64)
            encode_base64(out, buf_str(&data));
        else
            buf_add(out, buf_str(&data));
    }
    buf_free(&data);
    if (!ok)
        return why_set(why, "5.3.5", "cannot make a password of scheme %s", scheme);
    return 0;
}
