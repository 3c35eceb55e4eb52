/*
 * Whom a context trusts: certificates of authorities, from a file, a directory and the system's.
 *
 * OpenSSL would look into a directory when it needs an authority, which is in the jail, where the
 * directory cannot be reached (nor what its links lead to). So all of it is read at once.
 */
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/msg.h"
#include "base/str.h"
#include "net/tls_inside.h"

/* What OpenSSL looks for in a directory: a hash of the subject, a dot, a number ("5ed36f99.0"). */
static bool is_hash_name(const char *name)
{
    enum { HASH_DIGITS = 8 };
    const char *number = name + HASH_DIGITS + 1;

    return strspn(name, "0123456789abcdef") == HASH_DIGITS && name[HASH_DIGITS] == '.' &&
           number[0] != 0 && number[strspn(number, "0123456789")] == 0;
}

struct tally {
    unsigned good, bad;
    struct buf first; /* why a certificate could not be read */
};

static void load_entry(X509_STORE *store, const char *dir, const char *name, struct tally *t)
{
    struct buf path = BUF(5000);
    char text[200];

    buf_addf(&path, "%s/%s", dir, name);
    if (buf_ok(&path) && X509_STORE_load_file(store, path.p) == 1)
        t->good++;
    else if (t->bad++ == 0)
        buf_addf(&t->first, "%s: %s", name, tls_error(text, sizeof text));
    ERR_clear_error();
    buf_free(&path);
}

static void load_directory(X509_STORE *store, const char *dir)
{
    struct tally t = {.first = BUF_TEXT(500)};
    DIR *d = opendir(dir);

    if (d == NULL)
        msg_warn("TLS: no CA certificates in %s: %m", dir);
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (is_hash_name(e->d_name))
            load_entry(store, dir, e->d_name, &t);
    if (d != NULL && t.good + t.bad == 0)
        msg_warn("TLS: no CA certificates in %s: none is named by its hash, see openssl rehash",
                 dir);
    if (t.bad > 0)
        msg_warn("TLS: %u of %u CA certificates in %s cannot be read: %s", t.bad, t.good + t.bad,
                 dir, t.first.p);
    if (d != NULL)
        closedir(d);
    buf_free(&t.first);
}

/* As SSL_CTX_set_default_verify_paths finds them; what is not there adds nobody. */
static void load_default(X509_STORE *store)
{
    const char *file = secure_getenv(X509_get_default_cert_file_env());
    const char *dir = secure_getenv(X509_get_default_cert_dir_env());

    X509_STORE_load_file(store, file != NULL ? file : X509_get_default_cert_file());
    ERR_clear_error();
    load_directory(store, dir != NULL ? dir : X509_get_default_cert_dir());
}

static int load_file(struct tls_context *c, const struct tls_settings *s, struct why *why)
{
    if (X509_STORE_load_file(SSL_CTX_get_cert_store(c->ctx), s->ca_file) != 1)
        return tls_fail(why, "cannot load CA certificates from ", s->ca_file);
    tls_watch_file(c, s->ca_file);
    if (s->ask_client_cert)
        SSL_CTX_set_client_CA_list(c->ctx, SSL_load_client_CA_file(s->ca_file));
    return 0;
}

int tls_load_trust(struct tls_context *c, const struct tls_settings *s, struct why *why)
{
    X509_STORE *store = SSL_CTX_get_cert_store(c->ctx);

    if (tls_given(s->ca_file) && load_file(c, s, why) < 0)
        return -1;
    if (tls_given(s->ca_path)) {
        load_directory(store, s->ca_path);
        tls_watch_file(c, s->ca_path);
    }
    if (s->default_ca && (tls_given(s->ca_file) || tls_given(s->ca_path)))
        load_default(store);
    return 0;
}
