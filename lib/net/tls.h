/* tls.h - TLS on a stream: contexts of servers and clients, and the handshake */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/why.h"

struct stream;

/*
 * A context is made once (before the jail when it reads private keys) and used for all
 * connections. Strings are copied. Empty or null ones mean: not set.
 */
struct tls_settings {
    bool server;
    const char *cert_file; /* PEM chain, leaf first; may hold the key too */
    const char *key_file; /* null: in cert_file */
    const char *chain_files; /* Postfix's *_tls_chain_files: key and chain in each file, separated
                                by commas; instead of the two above */
    const char *ca_file, *ca_path; /* who is trusted; null: nobody */
    const char *protocols; /* ">=TLSv1.2", "!SSLv2 !SSLv3", "TLSv1.2, TLSv1.3", "<=TLSv1.2" */
    const char *ciphers; /* grade: high medium low export null; or an OpenSSL list */
    const char *exclude_ciphers; /* "aNULL, MD5" */
    bool ask_client_cert; /* server: smtpd_tls_ask_ccert */
    bool require_client_cert; /* server: the handshake fails without a valid one */
    int64_t session_life; /* seconds that sessions can be resumed; 0: no resumption */
    const char *fingerprint_digest; /* "sha256" */
};
struct tls_context;
struct tls_context *tls_context_new(const struct tls_settings *settings, struct why *why);
void tls_context_free(struct tls_context **c); /* connections that use it go on */
/* The files that the context was made from have changed on disk (looked at once a second at most):
 * make a new one, or let the service refresh. Does not need to read them, only to stat. */
bool tls_context_stale(struct tls_context *c);

/* The session's facts, for log lines, headers and policy; valid as long as the stream. */
struct tls_info {
    const char *protocol; /* "TLSv1.3" */
    const char *cipher; /* "TLS_AES_256_GCM_SHA384" */
    int bits, of_bits; /* 256/256 */
    const char *summary; /* "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)" and, for
                            1.3, key exchange and signature as Postfix logs them */
    bool resumed;
    bool has_cert; /* the peer sent one */
    bool trusted; /* its chain leads to a CA that we trust */
    bool name_ok; /* and it is for the name that was asked for */
    const char *verify_error; /* "self-signed certificate" or "" */
    const char *cert_name; /* the peer's: matching name, or CN, or "" */
    const char *issuer; /* CN or O of the issuer, or "" */
    const char *cert_fingerprint, *key_fingerprint; /* "AB:CD:..", or "" */
};

/*
 * (waits) The handshake, within the stream's limits. Refused (-1) when input was read
 * ahead. On failure the stream has failed too, and why has 4.7.5 and OpenSSL's reason. On success
 * all later reads and writes of the stream are inside TLS.
 */
int tls_accept(struct stream *s, struct tls_context *c, const struct tls_info **info,
               struct why *why);
struct tls_peer { /* what a client expects */
    const char *sni; /* sent to the server, or null */
    const char *const *names; /* null-ended: one must match (RFC 6125; ".x" matches subdomains) */
    const char *session_key; /* sessions are kept and resumed by it; null: not */
};
/* Certificates are never required here: look at info (opportunistic TLS goes on without). */
int tls_connect(struct stream *s, struct tls_context *c, const struct tls_peer *peer,
                const struct tls_info **info, struct why *why);
const struct tls_info *tls_info(const struct stream *s); /* null: no TLS */
/* The channel's binding for SCRAM-PLUS: RFC 9266 tls-exporter, or for 1.2 tls-unique. False: none.
 */
bool tls_binding(const struct stream *s, const char **type, struct buf *out);

#endif
