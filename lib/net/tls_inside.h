/* tls_inside.h - shared by the tls_*.c files, the only ones of lib/net that include OpenSSL */
#ifndef NET_TLS_INSIDE_H
#define NET_TLS_INSIDE_H

#include <openssl/ssl.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/track.h"
#include "net/stream.h"
#include "net/tls.h"

struct tls_context {
    SSL_CTX *ctx;
    struct tls_context *like; /* whose files it uses, or null */
    unsigned users; /* its owner, each connection, and each context that is like it */
    bool server, require_cert;
    char *digest;
    int64_t session_life;
    int (*chain_of)(const char *name, struct buf *pem, struct why *why); /* as in tls_settings */
    VEC(struct track) files; /* it was made from */
    int64_t looked_at_ms, changed_at_ms; /* the latter 0: they are as they were */
    struct hash *sessions; /* client: by session_key */
    struct list ticket_keys; /* server: newest first */
};

/* One connection: the layer's self. */
struct tls {
    SSL *ssl;
    struct stream_io below;
    struct tls_context *context;
    struct tls_info info;
    char *session_key;
    char *asked; /* server: the name that the client asked for, or null */
    short waits_for;
    struct buf held; /* records that are not written to the socket yet */
    size_t taken; /* bytes of the write whose record is held: reported when it is out */
    bool broken; /* do not send a close alert */
};
extern const struct stream_layer tls_layer;

/* OpenSSL's last error as text; empties its queue. */
const char *tls_error(char *text, size_t n);
/* -1, and why is 4.3.0 "TLS: WHATOF: OpenSSL's last error". */
int tls_fail(struct why *why, const char *what, const char *of);
bool tls_given(const char *setting); /* neither null nor "" */
void tls_watch_file(struct tls_context *c, const char *path); /* or a directory: for "stale" */
void tls_context_drop(struct tls_context *c);

/* tls_trust.c: reads all certificates of authorities. -1: why is set. */
int tls_load_trust(struct tls_context *c, const struct tls_settings *s, struct why *why);

/* tls_words.c: protocols, options and ciphers. -1: why is set. */
int tls_set_words(SSL_CTX *ctx, const struct tls_settings *s, struct why *why);

/* tls_groups.c. -1: OpenSSL knows none of them, why is set. */
int tls_set_groups(SSL_CTX *ctx, const struct tls_settings *s, struct why *why);

/* tls_sni.c: of servers whose settings have chain_of */
void tls_sni_setup(struct tls_context *c);
/* RFC 6066 3: a list, of which a client sends one entry, a host name; null: it has sent none. The
 * caller frees it. */
char *tls_sni_name(const unsigned char *p, size_t n);
/* (waits) The handshake has stopped for the client's first message. -1: it fails, why is set. */
int tls_sni_answer(struct tls *t, struct why *why);

/* tls_name.c */
void tls_describe(struct tls *t, const char *const *names);
void tls_forget(struct tls_info *info);

/* tls_ticket.c */
int tls_tickets_setup(struct tls_context *c);
void tls_tickets_free(struct tls_context *c);
void tls_sessions_setup(struct tls_context *c); /* client */
void tls_sessions_free(struct tls_context *c);
void tls_session_offer(struct tls *t);

#endif
