#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "net/tls_inside.h"
#include "task/task.h"

/* Certificate and key are replaced one after the other: who reads them in between has no TLS. */
enum { SETTLE_MS = 2000 };

const char *tls_error(char *text, size_t n)
{
    unsigned long code = ERR_peek_last_error(), first = ERR_peek_error();

    /* What comes after the cause of a file's trouble says only "system lib" or "PEM lib". */
    if (ERR_GET_LIB(first) == ERR_LIB_PEM)
        code = first;
    if (ERR_SYSTEM_ERROR(first))
        snprintf(text, n, "%s", strerrordesc_np(ERR_GET_REASON(first)));
    else if (code == 0)
        snprintf(text, n, "%s", errno != 0 ? strerrordesc_np(errno) : "lost connection");
    else if (ERR_reason_error_string(code) != NULL)
        snprintf(text, n, "%s", ERR_reason_error_string(code));
    else
        ERR_error_string_n(code, text, n);
    ERR_clear_error();
    return text;
}

int tls_fail(struct why *why, const char *what, const char *of)
{
    char text[200];

    return why_set(why, "4.3.0", "TLS: %s%s: %s", what, of, tls_error(text, sizeof text));
}

bool tls_given(const char *s)
{
    return s != NULL && s[0] != 0;
}

/* Before it is read: what is replaced meanwhile has changed. */
void tls_watch_file(struct tls_context *c, const char *path)
{
    struct track t = {0};

    if (!track_begin(&t, path))
        return;
    track_entries(&t); /* of a CApath */
    *VEC_ADD(&c->files) = t;
}

static int load_pair(struct tls_context *c, const char *cert, const char *key, struct why *why)
{
    tls_watch_file(c, cert);
    if (SSL_CTX_use_certificate_chain_file(c->ctx, cert) != 1)
        return tls_fail(why, "cannot load the certificate ", cert);
    if (key != cert)
        tls_watch_file(c, key);
    if (SSL_CTX_use_PrivateKey_file(c->ctx, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(c->ctx) != 1)
        return tls_fail(why, "cannot load the private key ", key);
    return 0;
}

/* The key may be in the file of the certificate. */
static int load_cert_and_key(struct tls_context *c, const char *cert, const char *key,
                             struct why *why)
{
    return tls_given(cert) ? load_pair(c, cert, tls_given(key) ? key : cert, why) : 0;
}

static int load_certificates(struct tls_context *c, const struct tls_settings *s, struct why *why)
{
    struct str rest = strz(s->chain_files), word;

    while (str_word(&rest, ", \t", &word)) {
        char *path = mem_dup(word.p, word.n);
        int r = load_pair(c, path, path, why);
        free(path);
        if (r < 0)
            return -1;
    }
    if (tls_given(s->chain_files))
        return 0;
    if (load_cert_and_key(c, s->cert_file, s->key_file, why) < 0)
        return -1;
    return load_cert_and_key(c, s->ec_cert_file, s->ec_key_file, why);
}

/* The same certificates, keys and authorities as another context has. */
static int share_files(struct tls_context *c, struct tls_context *other, struct why *why)
{
    STACK_OF(X509) * chain;
    long more = SSL_CTX_set_current_cert(other->ctx, SSL_CERT_SET_FIRST);

    c->like = other;
    other->users++;
    SSL_CTX_set1_cert_store(c->ctx, SSL_CTX_get_cert_store(other->ctx));
    while (more == 1) {
        SSL_CTX_get0_chain_certs(other->ctx, &chain);
        if (SSL_CTX_use_cert_and_key(c->ctx, SSL_CTX_get0_certificate(other->ctx),
                                     SSL_CTX_get0_privatekey(other->ctx), chain, 1) != 1)
            return tls_fail(why, "cannot use the certificate", "");
        more = SSL_CTX_set_current_cert(other->ctx, SSL_CERT_SET_NEXT);
    }
    return 0;
}

static int load_files(struct tls_context *c, const struct tls_settings *s, struct why *why)
{
    if (s->like != NULL)
        return share_files(c, s->like, why);
    if (load_certificates(c, s, why) < 0)
        return -1;
    return tls_load_trust(c, s, why);
}

/* Who is not trusted may speak: what that means is decided after the handshake. */
static int accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

static void set_verify(struct tls_context *c, const struct tls_settings *s)
{
    int mode = SSL_VERIFY_NONE;

    if (s->server && s->require_client_cert)
        mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    else if (s->server && s->ask_client_cert)
        mode = SSL_VERIFY_PEER;
    SSL_CTX_set_verify(c->ctx, mode, s->require_client_cert ? NULL : accept_any);
    SSL_CTX_set_verify_depth(c->ctx, (int)s->verify_depth + 1);
}

static void set_modes(struct tls_context *c)
{
    static const unsigned char id[] = "pombal";

    SSL_CTX_set_mode(c->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(c->ctx, 1); /* one recv per packet instead of two per record */
    SSL_CTX_set_options(c->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                    SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_dh_auto(c->ctx, 1);
    SSL_CTX_set_session_id_context(c->ctx, id, sizeof id - 1);
}

static int configure(struct tls_context *c, const struct tls_settings *s, struct why *why)
{
    set_modes(c);
    set_verify(c, s);
    if (s->old_peers)
        SSL_CTX_set_security_level(c->ctx, 0);
    if (tls_set_words(c->ctx, s, why) < 0 || tls_set_groups(c->ctx, s, why) < 0)
        return -1;
    if (load_files(c, s, why) < 0)
        return -1;
    if (s->server && tls_tickets_setup(c) < 0)
        return tls_fail(why, "session tickets", "");
    if (s->server && s->chain_of != NULL)
        tls_sni_setup(c);
    if (!s->server)
        tls_sessions_setup(c);
    return 0;
}

struct tls_context *tls_context_new(const struct tls_settings *settings, struct why *why)
{
    struct tls_context *c = mem_new(sizeof *c);
    const char *digest = settings->fingerprint_digest;

    ERR_clear_error();
    c->users = 1;
    c->server = settings->server;
    c->require_cert = settings->require_client_cert;
    c->session_life = settings->session_life;
    c->chain_of = settings->chain_of;
    c->digest = mem_dupz(tls_given(digest) ? digest : "sha256");
    list_init(&c->ticket_keys);
    c->ctx = SSL_CTX_new(settings->server ? TLS_server_method() : TLS_client_method());
    if (c->ctx == NULL)
        tls_fail(why, "no context", "");
    if (c->ctx == NULL || configure(c, settings, why) < 0) {
        tls_context_drop(c);
        return NULL;
    }
    return c;
}

void tls_context_drop(struct tls_context *c)
{
    if (--c->users > 0)
        return;
    tls_tickets_free(c);
    tls_sessions_free(c);
    SSL_CTX_free(c->ctx);
    tls_context_free(&c->like);
    VEC_EACH (&c->files, t)
        track_end(t);
    VEC_FREE(&c->files);
    free(c->digest);
    free(c);
}

void tls_context_free(struct tls_context **c)
{
    if (*c != NULL)
        tls_context_drop(*c);
    *c = NULL;
}

static bool files_changed(struct tls_context *c)
{
    VEC_EACH (&c->files, t)
        if (track_changed(t))
            return true;
    return false;
}

bool tls_context_stale(struct tls_context *c)
{
    int64_t now = task_now();

    if (c->like != NULL)
        return tls_context_stale(c->like);
    if (c->changed_at_ms == 0 && now - c->looked_at_ms >= 1000) {
        c->looked_at_ms = now;
        if (files_changed(c))
            c->changed_at_ms = now;
    }
    return c->changed_at_ms != 0 && now - c->changed_at_ms >= SETTLE_MS;
}
