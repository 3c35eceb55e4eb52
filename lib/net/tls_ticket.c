/*
 * Resumed sessions. Server: tickets (RFC 5077, RFC 8446 4.6.1) under keys that change; who has the
 * memory of this process tomorrow cannot read what was said today. Client: the last session of each
 * destination.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "net/tls_inside.h"

enum { SESSIONS_MOST = 1000 };

struct ticket_key {
    struct list list;
    unsigned char name[16], aes[32], hmac[32];
    int64_t made;
};

/* A key encrypts for one session life and decrypts for one more. */
static void rotate(struct tls_context *c)
{
    int64_t now = task_now(), life = c->session_life * 1000;
    struct ticket_key *newest =
        list_empty(&c->ticket_keys) ? NULL : LIST_OF(c->ticket_keys.next, struct ticket_key, list);

    LIST_EACH (&c->ticket_keys, l) {
        struct ticket_key *k = LIST_OF(l, struct ticket_key, list);
        if (now - k->made < 2 * life)
            continue;
        if (k == newest)
            newest = NULL;
        list_drop(l);
        OPENSSL_cleanse(k, sizeof *k);
        free(k);
    }
    if (newest != NULL && now - newest->made < life)
        return;
    newest = mem_new(sizeof *newest);
    random_bytes(newest->name, sizeof newest->name);
    random_bytes(newest->aes, sizeof newest->aes);
    random_bytes(newest->hmac, sizeof newest->hmac);
    newest->made = now;
    list_push(&c->ticket_keys, &newest->list);
}

static struct ticket_key *find_key(struct tls_context *c, const unsigned char name[16])
{
    LIST_EACH (&c->ticket_keys, l) {
        struct ticket_key *k = LIST_OF(l, struct ticket_key, list);
        if (memcmp(k->name, name, sizeof k->name) == 0)
            return k;
    }
    return NULL;
}

static int use_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                   EVP_MAC_CTX *mac, int encrypt)
{
    struct tls *t = SSL_get_app_data(ssl);
    char sha256[] = "SHA256";
    struct ticket_key *k;

    rotate(t->context);
    if (encrypt) {
        k = LIST_OF(t->context->ticket_keys.next, struct ticket_key, list);
        memcpy(name, k->name, sizeof k->name);
        random_bytes(iv, (size_t)EVP_CIPHER_get_iv_length(EVP_aes_256_cbc()));
    } else if ((k = find_key(t->context, name)) == NULL) {
        return 0;
    }
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->hmac, sizeof k->hmac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_end()};
    if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv, encrypt) != 1 ||
        EVP_MAC_CTX_set_params(mac, params) != 1)
        return -1;
    /* 2: give a new ticket. RFC 8446 C.4: clients use each only once. */
    bool newest = &k->list == t->context->ticket_keys.next;
    return encrypt || (newest && SSL_version(ssl) < TLS1_3_VERSION) ? 1 : 2;
}

int tls_tickets_setup(struct tls_context *c)
{
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
    if (c->session_life <= 0) {
        SSL_CTX_set_options(c->ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(c->ctx, 0);
        return 0;
    }
    SSL_CTX_set_timeout(c->ctx, (long)c->session_life);
    SSL_CTX_set_num_tickets(c->ctx, 1);
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(c->ctx, use_key) == 1 ? 0 : -1;
}

void tls_tickets_free(struct tls_context *c)
{
    LIST_EACH (&c->ticket_keys, l) {
        struct ticket_key *k = LIST_OF(l, struct ticket_key, list);
        list_drop(l);
        OPENSSL_cleanse(k, sizeof *k);
        free(k);
    }
}

static void free_session(void *session)
{
    SSL_SESSION_free(session);
}

/* Called when the server gives a session; returns 1 to keep it. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *t = SSL_get_app_data(ssl);
    struct hash *sessions = t->context->sessions;
    SSL_SESSION *old;

    if (t->session_key == NULL)
        return 0;
    if (hash_count(sessions) >= SESSIONS_MOST) { /* begin anew rather than keep an order */
        hash_free(&t->context->sessions, free_session);
        sessions = t->context->sessions = hash_new();
    }
    old = hash_put(sessions, strz(t->session_key), session);
    SSL_SESSION_free(old);
    return 1;
}

void tls_sessions_setup(struct tls_context *c)
{
    if (c->session_life <= 0) {
        SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
        return;
    }
    c->sessions = hash_new();
    SSL_CTX_set_timeout(c->ctx, (long)c->session_life);
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->ctx, keep_session);
}

void tls_sessions_free(struct tls_context *c)
{
    if (c->sessions != NULL)
        hash_free(&c->sessions, free_session);
}

void tls_session_offer(struct tls *t)
{
    SSL_SESSION *session;

    if (t->context->sessions == NULL)
        return;
    session = hash_find(t->context->sessions, strz(t->session_key));
    if (session == NULL)
        return;
    if (SSL_SESSION_is_resumable(session))
        SSL_set_session(t->ssl, session);
    /* RFC 8446 C.4: a ticket is used once; the server gives the next one. */
    hash_drop(t->context->sessions, strz(t->session_key));
    SSL_SESSION_free(session);
}
