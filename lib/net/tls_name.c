/*
 * What a finished handshake tells: versions for the log, who the peer is, does the certificate
 * match.
 */
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/addr.h"
#include "net/tls_inside.h"

enum { TEXT_MOST = 500 };

static char *taken(struct buf *b)
{
    char *text = mem_dupz(b->p);

    buf_free(b);
    return text;
}

static const char *fingerprint(const unsigned char *der, int n, const char *digest)
{
    const EVP_MD *md = EVP_get_digestbyname(digest);
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    struct buf text = BUF(TEXT_MOST); /* fits: 64 bytes in hex */

    if (md != NULL && n > 0 && EVP_Digest(der, (size_t)n, sum, &len, md, NULL) == 1)
        for (unsigned i = 0; i < len; i++)
            buf_addf(&text, "%s%02X", i > 0 ? ":" : "", sum[i]);
    return taken(&text);
}

static void set_fingerprints(struct tls_info *info, X509 *cert, const char *digest)
{
    unsigned char *der = NULL;
    int n = i2d_X509(cert, &der);

    info->cert_fingerprint = fingerprint(der, n, digest);
    OPENSSL_free(der);
    der = NULL;
    n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    info->key_fingerprint = fingerprint(der, n, digest);
    OPENSSL_free(der);
}

/* One part of a name, without what could fool a log reader; "" if it is too long for a name. */
static const char *name_part(X509_NAME *name, int nid)
{
    struct buf text = BUF(TEXT_MOST);
    int at = name != NULL ? X509_NAME_get_index_by_NID(name, nid, -1) : -1;
    unsigned char *utf8 = NULL;
    int n = at < 0 ? -1
                   : ASN1_STRING_to_UTF8(&utf8,
                                         X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));

    for (int i = 0; i < n; i++)
        buf_addc(&text, utf8[i] < ' ' || utf8[i] == 127 ? '?' : (char)utf8[i]);
    OPENSSL_free(utf8);
    if (!buf_ok(&text))
        buf_clear(&text);
    return taken(&text);
}

static bool matches(X509 *cert, const char *const *names, const char **found)
{
    struct addr numeric;

    for (; names != NULL && *names != NULL; names++) {
        char *name = NULL;
        if (addr_parse(strz(*names), &numeric)) {
            if (X509_check_ip_asc(cert, *names, 0) == 1) {
                *found = mem_dupz(*names);
                return true;
            }
        } else if (X509_check_host(cert, *names, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, &name) ==
                   1) {
            *found = mem_dupz(name != NULL ? name : *names);
            OPENSSL_free(name);
            return true;
        }
    }
    return false;
}

static void set_peer(struct tls *t, const char *const *names)
{
    struct tls_info *info = &t->info;
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    long result = SSL_get_verify_result(t->ssl);

    info->verify_error = info->cert_name = info->issuer = "";
    info->cert_fingerprint = info->key_fingerprint = "";
    if (cert == NULL)
        return;
    info->has_cert = true;
    info->trusted = result == X509_V_OK;
    if (!info->trusted)
        info->verify_error = X509_verify_cert_error_string(result);
    info->name_ok = matches(cert, names, &info->cert_name);
    if (!info->name_ok)
        info->cert_name = name_part(X509_get_subject_name(cert), NID_commonName);
    info->issuer = name_part(X509_get_issuer_name(cert), NID_commonName);
    if (info->issuer[0] == 0) {
        free((char *)(uintptr_t)info->issuer);
        info->issuer = name_part(X509_get_issuer_name(cert), NID_organizationName);
    }
    set_fingerprints(info, cert, t->context->digest);
}

/* " key-exchange X25519" */
static void add_key_exchange(SSL *ssl, struct buf *text)
{
    EVP_PKEY *key = NULL;
    char group[80] = "";

    if (SSL_get_peer_tmp_key(ssl, &key) != 1 || key == NULL)
        return;
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
        const char *nist = EC_curve_nid2nist(OBJ_txt2nid(group));
        buf_addf(text, " key-exchange ECDHE (%s)", nist != NULL ? nist : group);
        break;
    case EVP_PKEY_DH:
        buf_addf(text, " key-exchange DHE (%d bits)", EVP_PKEY_get_bits(key));
        break;
    default:
        buf_addf(text, " key-exchange %s", OBJ_nid2sn(EVP_PKEY_get_base_id(key)));
    }
    EVP_PKEY_free(key);
}

/* " server-signature RSA-PSS (2048 bits) server-digest SHA256" */
static void add_signature(SSL *ssl, bool own, const char *who, X509 *cert, struct buf *text)
{
    EVP_PKEY *key = cert != NULL ? X509_get0_pubkey(cert) : NULL;
    int type = 0, digest = 0;
    char group[80] = "";

    if (key == NULL || (own ? SSL_get_signature_type_nid(ssl, &type)
                            : SSL_get_peer_signature_type_nid(ssl, &type)) != 1)
        return;
    switch (type) {
    case EVP_PKEY_RSA_PSS:
        buf_addf(text, " %s-signature RSA-PSS (%d bits)", who, EVP_PKEY_get_bits(key));
        break;
    case EVP_PKEY_EC:
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
        buf_addf(text, " %s-signature ECDSA (%s)", who, group); /* "prime256v1", as Postfix */
        break;
    default:
        buf_addf(text, " %s-signature %s (%d bits)", who, OBJ_nid2sn(type), EVP_PKEY_get_bits(key));
    }
    if ((own ? SSL_get_signature_nid(ssl, &digest) : SSL_get_peer_signature_nid(ssl, &digest)) ==
            1 &&
        digest != NID_undef)
        buf_addf(text, " %s-digest %s", who, OBJ_nid2sn(digest));
}

static void add_details(struct tls *t, struct buf *text)
{
    X509 *own = SSL_get_certificate(t->ssl), *peer = SSL_get0_peer_certificate(t->ssl);
    bool server = t->context->server;

    if (SSL_version(t->ssl) < TLS1_3_VERSION)
        return;
    add_key_exchange(t->ssl, text);
    if (t->info.resumed)
        return;
    add_signature(t->ssl, server, "server", server ? own : peer, text);
    if (server ? peer != NULL : own != NULL)
        add_signature(t->ssl, !server, "client", server ? peer : own, text);
}

void tls_describe(struct tls *t, const char *const *names)
{
    struct tls_info *info = &t->info;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(t->ssl);
    struct buf text = BUF_TEXT(TEXT_MOST);

    info->protocol = SSL_get_version(t->ssl);
    info->cipher = SSL_CIPHER_get_name(cipher);
    info->bits = SSL_CIPHER_get_bits(cipher, &info->of_bits);
    info->resumed = SSL_session_reused(t->ssl);
    info->sni = t->asked != NULL ? t->asked : "";
    set_peer(t, names);
    buf_addf(&text, "%s with cipher %s (%d/%d bits)", info->protocol, info->cipher, info->bits,
             info->of_bits);
    add_details(t, &text);
    info->summary = taken(&text);
}

void tls_forget(struct tls_info *info)
{
    free((char *)(uintptr_t)info->summary);
    if (!info->has_cert)
        return;
    free((char *)(uintptr_t)info->cert_name);
    free((char *)(uintptr_t)info->issuer);
    free((char *)(uintptr_t)info->cert_fingerprint);
    free((char *)(uintptr_t)info->key_fingerprint);
}
