/*
 * The name that a client asks for (SNI): keys and certificates of that name in the place of the
 * context's own.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/tls_inside.h"

enum { PEM_MOST = 1024 * 1024, NAME_MOST = 255 };

/* ---- the name ---- */

static size_t number16(const unsigned char *p)
{
    return (size_t)p[0] << 8 | p[1];
}

char *tls_sni_name(const unsigned char *p, size_t n)
{
    if (n < 5 || number16(p) != n - 2 || p[2] != TLSEXT_NAMETYPE_host_name)
        return NULL;
    size_t len = number16(p + 3);
    if (len == 0 || len > NAME_MOST || len > n - 5 || memchr(p + 5, 0, len) != NULL)
        return NULL; /* OpenSSL ends the handshake if it is malformed */
    return mem_dup((const char *)p + 5, len);
}

/* Stops the handshake, so that a task may look the name up, and wait. */
static int take_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls *t = SSL_get_app_data(ssl);
    const unsigned char *p;
    size_t n;

    (void)alert;
    (void)arg;
    if (t->asked == NULL && SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) == 1)
        t->asked = tls_sni_name(p, n);
    else
        return SSL_CLIENT_HELLO_SUCCESS;
    return t->asked != NULL ? SSL_CLIENT_HELLO_RETRY : SSL_CLIENT_HELLO_SUCCESS;
}

static int acknowledge(SSL *ssl, int *alert, void *arg)
{
    struct tls *t = SSL_get_app_data(ssl);

    (void)alert;
    (void)arg;
    return t->info.sni_found ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

void tls_sni_setup(struct tls_context *c)
{
    SSL_CTX_set_client_hello_cb(c->ctx, take_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(c->ctx, acknowledge);
}

/* ---- its chains ---- */

/* A private key and the certificates behind it. */
struct chain {
    EVP_PKEY *key;
    X509 *leaf;
    STACK_OF(X509) * others;
};

static void chain_free(struct chain *c)
{
    EVP_PKEY_free(c->key);
    X509_free(c->leaf);
    sk_X509_pop_free(c->others, X509_free);
    *c = (struct chain){0};
}

/* Into ssl, or nowhere: then it is only looked at. */
static int chain_use(struct chain *c, SSL *ssl, struct why *why)
{
    int result = 0;

    if (c->key == NULL)
        return 0;
    if (c->leaf == NULL)
        result = why_set(why, "4.3.5", "TLS: a private key without a certificate behind it");
    else if (X509_check_private_key(c->leaf, c->key) != 1)
        result = tls_fail(why, "the private key is not that of the certificate behind it", "");
    else if (ssl != NULL && SSL_use_cert_and_key(ssl, c->leaf, c->key, c->others, 1) != 1)
        result = tls_fail(why, "cannot use the certificate", "");
    chain_free(c);
    return result;
}

static int add_cert(struct chain *c, const unsigned char *der, long n, struct why *why)
{
    X509 *cert = d2i_X509(NULL, &der, n);

    if (cert == NULL)
        return tls_fail(why, "cannot read a certificate", "");
    if (c->key == NULL) {
        X509_free(cert);
        return why_set(why, "4.3.5", "TLS: a certificate without a private key before it");
    }
    if (c->leaf == NULL)
        c->leaf = cert;
    else if ((c->others == NULL && (c->others = sk_X509_new_null()) == NULL) ||
             sk_X509_push(c->others, cert) == 0) {
        X509_free(cert);
        return tls_fail(why, "too many certificates", "");
    }
    return 0;
}

static int add_block(struct chain *c, SSL *ssl, const char *kind, const unsigned char *der, long n,
                     struct why *why)
{
    if (strcmp(kind, PEM_STRING_X509) == 0)
        return add_cert(c, der, n, why);
    if (!str_ends(strz(kind), STR("PRIVATE KEY")))
        return 0; /* parameters of a curve, and the like */
    if (chain_use(c, ssl, why) < 0)
        return -1;
    c->key = d2i_AutoPrivateKey(NULL, &der, n);
    return c->key != NULL ? 0 : tls_fail(why, "cannot read a private key", "");
}

static int use_blocks(BIO *bio, SSL *ssl, struct why *why)
{
    struct chain chain = {0};
    char *kind, *header;
    unsigned char *der;
    long n;
    int result = 0, found = 0;

    ERR_clear_error();
    while (result == 0 && PEM_read_bio(bio, &kind, &header, &der, &n) == 1) {
        result = add_block(&chain, ssl, kind, der, n, why);
        found++;
        OPENSSL_free(kind);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)n);
    }
    if (result == 0 && found > 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        result = tls_fail(why, "malformed PEM", "");
    ERR_clear_error();
    if (result == 0 && chain.key == NULL)
        result = why_set(why, "4.3.5", "TLS: there is no private key");
    if (result == 0)
        result = chain_use(&chain, ssl, why);
    chain_free(&chain);
    return result;
}

static int use_pem(struct str pem, SSL *ssl, struct why *why)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);

    if (bio == NULL)
        return tls_fail(why, "out of memory", "");
    int result = use_blocks(bio, ssl, why);
    BIO_free(bio);
    return result;
}

int tls_chain_check(struct str pem, struct why *why)
{
    return use_pem(pem, NULL, why);
}

int tls_sni_answer(struct tls *t, struct why *why)
{
    struct buf pem = BUF(PEM_MOST); /* asked: by who fills it */
    int found = t->context->chain_of(t->asked, &pem, why);

    if (found > 0) {
        SSL_certs_clear(t->ssl); /* of another kind of key, too */
        found = use_pem(buf_str(&pem), t->ssl, why) < 0 ? -1 : 1;
    }
    t->info.sni_found = found > 0;
    if (pem.p != NULL)
        OPENSSL_cleanse(pem.p, pem.n);
    buf_free(&pem);
    return found < 0 ? -1 : 0;
}
