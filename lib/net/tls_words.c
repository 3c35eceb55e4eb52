/*
 * Settings that are lists of words: protocols, ciphers, OpenSSL's options.
 */
#include <string.h>

#include "base/num.h"
#include "base/str.h"
#include "net/tls_inside.h"

static const struct {
    const char *name;
    int version;
    unsigned long off;
} versions[] = {
    {"SSLv2", 0, 0},
    {"SSLv3", SSL3_VERSION, SSL_OP_NO_SSLv3},
    {"TLSv1", TLS1_VERSION, SSL_OP_NO_TLSv1},
    {"TLSv1.1", TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
    {"TLSv1.2", TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
    {"TLSv1.3", TLS1_3_VERSION, SSL_OP_NO_TLSv1_3},
};
enum { VERSIONS = sizeof versions / sizeof versions[0], CIPHERS_LIMIT = 32 * 1024 };

static int find_version(struct str name)
{
    for (int i = 0; i < VERSIONS; i++)
        if (str_ieqz(name, versions[i].name))
            return i;
    return -1;
}

/* The name of a version, or the number that it has on the wire: "TLSv1.2", "0303", "0x0303". One
 * that OpenSSL does not have is taken only where no version that it has is behind the bound. */
static bool set_bound(SSL_CTX *ctx, struct str text, bool low)
{
    int i = find_version(text);
    uint64_t version = 0;

    if (i >= 0)
        version = (uint64_t)versions[i].version;
    else if (!num_parse_hex(str_from(text, str_istarts(text, STR("0x")) ? 2 : 0), &version))
        return false;
    if (i >= 0 && version == 0) /* SSLv2: for OpenSSL 0 is no bound at all */
        return false;
    if (version > TLS1_3_VERSION)
        return !low;
    if (version > 0 && version < SSL3_VERSION)
        return low;
    return low ? SSL_CTX_set_min_proto_version(ctx, (int)version)
               : SSL_CTX_set_max_proto_version(ctx, (int)version);
}

/* ">=TLSv1.2, !TLSv1.3": bounds, exclusions, or a list of those that are allowed. */
static int set_protocols(SSL_CTX *ctx, const char *text, struct why *why)
{
    struct str rest = strz(text), word;
    unsigned long off = 0, allowed = 0, all = 0;

    for (int i = 0; i < VERSIONS; i++)
        all |= versions[i].off;
    while (str_word(&rest, " \t,:", &word)) {
        bool low = str_starts(word, STR(">=")), high = str_starts(word, STR("<="));
        bool bar = str_starts(word, STR("!"));
        int i = low || high ? -1 : find_version(str_from(word, bar));
        if (low || high ? !set_bound(ctx, str_from(word, 2), low) : i < 0)
            return why_set(why, "4.3.5", "invalid TLS protocol: \"%.*s\"", (int)word.n, word.p);
        if (bar)
            off |= versions[i].off;
        else if (i >= 0)
            allowed |= versions[i].off;
    }
    if (allowed != 0)
        off |= all & ~allowed;
    SSL_CTX_set_options(ctx, off);
    return 0;
}

/* Of two ciphers that are as strong the one without a certificate comes first. */
#define GRADE(list)                                                                                \
    "aNULL:-aNULL:" list ":!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:@STRENGTH"

/* The list of a grade; null: it is none of those that can be set. */
static const char *grade_list(struct str name, const struct tls_settings *s)
{
    if (str_ieqz(name, "high"))
        return tls_given(s->high_ciphers) ? s->high_ciphers : GRADE("HIGH");
    if (str_ieqz(name, "medium") || str_ieqz(name, "low") || str_ieqz(name, "export"))
        return tls_given(s->medium_ciphers) ? s->medium_ciphers : GRADE("HIGH:MEDIUM");
    return NULL;
}

/* A list of OpenSSL's, or a grade. */
static void add_grade(const char *name, const struct tls_settings *s, struct buf *list)
{
    const char *grade = grade_list(strz(name), s);

    if (grade != NULL)
        buf_addf(list, "%s%s", grade, s->anonymous ? "" : ":!aNULL");
    else
        buf_addz(list, str_ieqz(strz(name), "null") ? "eNULL:!aNULL" : name);
}

static int set_ciphers(SSL_CTX *ctx, const char *ciphers, const struct tls_settings *s,
                       struct why *why)
{
    struct buf list = BUF(CIPHERS_LIMIT);
    struct str rest = strz(s->exclude_ciphers), word;
    int ok;

    add_grade(ciphers, s, &list);
    while (str_word(&rest, " \t,:", &word))
        buf_addf(&list, ":!%.*s", (int)word.n, word.p);
    ok = buf_ok(&list) ? SSL_CTX_set_cipher_list(ctx, list.p) : 0;
    buf_free(&list);
    return ok == 1 ? 0 : tls_fail(why, "ciphers ", ciphers);
}

/* Compression and renegotiation are off without being asked. */
static const struct {
    const char *name;
    uint64_t bit;
} options[] = {
    {"NO_COMPRESSION", SSL_OP_NO_COMPRESSION},
    {"NO_RENEGOTIATION", SSL_OP_NO_RENEGOTIATION},
    {"NO_SESSION_RESUMPTION_ON_RENEGOTIATION", SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION},
    {"NO_TICKET", SSL_OP_NO_TICKET},
    {"ENABLE_MIDDLEBOX_COMPAT", SSL_OP_ENABLE_MIDDLEBOX_COMPAT},
    {"LEGACY_SERVER_CONNECT", SSL_OP_LEGACY_SERVER_CONNECT},
    {"PRIORITIZE_CHACHA", SSL_OP_PRIORITIZE_CHACHA},
    {"ENABLE_KTLS", 0}, /* records are made outside of the kernel: no difference but in speed */
};

static bool find_option(struct str name, uint64_t *bit)
{
    if (str_starts(name, STR("0x")))
        return num_parse_hex(str_from(name, 2), bit);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (str_ieqz(name, options[i].name)) {
            *bit = options[i].bit;
            return true;
        }
    return false;
}

static int set_options(SSL_CTX *ctx, const char *text, struct why *why)
{
    struct str rest = strz(text), word;
    uint64_t bit;

    while (str_word(&rest, " \t,\n", &word)) {
        if (!find_option(word, &bit))
            return why_set(why, "4.3.5",
                           "tls_ssl_options: unknown option \"%.*s\": known are NO_COMPRESSION, "
                           "NO_RENEGOTIATION, NO_SESSION_RESUMPTION_ON_RENEGOTIATION, NO_TICKET, "
                           "ENABLE_MIDDLEBOX_COMPAT, LEGACY_SERVER_CONNECT, PRIORITIZE_CHACHA, "
                           "ENABLE_KTLS",
                           (int)word.n, word.p);
        SSL_CTX_set_options(ctx, bit);
    }
    return 0;
}

int tls_set_words(SSL_CTX *ctx, const struct tls_settings *s, struct why *why)
{
    if (tls_given(s->protocols) && set_protocols(ctx, s->protocols, why) < 0)
        return -1;
    if (tls_given(s->ssl_options) && set_options(ctx, s->ssl_options, why) < 0)
        return -1;
    if (s->prefer_own_ciphers)
        SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    return set_ciphers(ctx, tls_given(s->ciphers) ? s->ciphers : "medium", s, why);
}
