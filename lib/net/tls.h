/* tls.h - TLS on a stream: contexts of servers and clients, and the handshake */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/why.h"

struct stream;

/*
 * Settings of a context, which is made once and used for all connections. Make it before the jail
 * if it reads private keys. Strings are copied; null or "" means not set.
 */
struct tls_settings {
    bool server;
    const char *cert_file; /* PEM chain, leaf first; may hold the key too */
    const char *key_file; /* null: in cert_file */
    const char *ec_cert_file, *ec_key_file; /* a second pair, with another kind of key */
    const char *chain_files; /* Postfix's *_tls_chain_files: key and chain in each file, separated
                                by commas; instead of the four above */
    const char *ca_file; /* certificates of trusted authorities; no file and no path: nobody is */
    const char *ca_path; /* a directory of them, named by their hashes: all are read at once */
    bool default_ca; /* OpenSSL's own file and directory, too, if one of the two is given */
    /* Certificates, keys and authorities are those of this one, so no file is read, and it can be
     * made in the jail. Kept until the new one is freed. Null: the ones above. */
    struct tls_context *like;
    const char *protocols; /* ">=TLSv1.2", "!SSLv2 !SSLv3", "TLSv1.2, TLSv1.3", "<=TLSv1.2" */
    const char *ciphers; /* grade: high medium low export null; or an OpenSSL list */
    /* What these grades mean, as OpenSSL lists; low and export are medium. Null: as in Postfix. */
    const char *high_ciphers, *medium_ciphers;
    const char *exclude_ciphers; /* "aNULL, MD5" */
    bool anonymous; /* the grades have ciphers without a certificate, too */
    bool old_peers; /* these alone decide; false: OpenSSL's security level, too, for which old
                       versions, short keys and old hashes are not good enough */
    bool prefer_own_ciphers; /* server: in the order of ours, not of the client's */
    const char *ssl_options; /* "NO_TICKET, PRIORITIZE_CHACHA", "0x800": see tls_ssl_options */
    const char *curves, *ffdhe_groups; /* of the key exchange, the best first; what OpenSSL does not
                                          know is left out. Neither is given: OpenSSL's own list */
    int64_t verify_depth; /* authorities between a peer's certificate and a trusted one, at most,
                             and one less: as Postfix counts */
    bool ask_client_cert; /* server: smtpd_tls_ask_ccert */
    bool require_client_cert; /* server: the handshake fails without a valid one */
    int64_t session_life; /* seconds that sessions can be resumed; 0: no resumption */
    const char *fingerprint_digest; /* "sha256" */
    /* Server: (waits) looks for the keys and certificates that a client shall see who asks for this
     * name (SNI, RFC 6066 3). 1: pem has them, each private key before its chain; 0: those of the
     * context; -1: the handshake fails, and why has the reason. Null: no name counts. */
    int (*chain_of)(const char *name, struct buf *pem, struct why *why);
};
struct tls_context;
struct tls_context *tls_context_new(const struct tls_settings *settings, struct why *why);
void tls_context_free(struct tls_context **c); /* connections that use it are not affected */
/* True if the files from which the context was made have changed on disk, or a link on the way to
 * them (base/track.h), and the change is two seconds old, so that the key has changed, too: let the
 * service start a new process. Looks at most once a second; works in the jail. */
bool tls_context_stale(struct tls_context *c);

/* -1: why says what is wrong with what chain_of would answer. */
int tls_chain_check(struct str pem, struct why *why);

/* Properties of a TLS session, for the log, for headers and for decisions. Valid as long as the
 * stream. */
struct tls_info {
    const char *protocol; /* "TLSv1.3" */
    const char *cipher; /* "TLS_AES_256_GCM_SHA384" */
    int bits, of_bits; /* 256/256 */
    const char *summary; /* "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)" and, for
                            1.3, key exchange and signature as Postfix logs them */
    const char *sni; /* server: the name that the client asked for, or "" */
    bool sni_found; /* its chain was shown */
    bool resumed;
    bool has_cert; /* the peer sent one */
    bool trusted; /* its chain leads to a trusted authority */
    bool name_ok; /* and it has one of the expected names */
    const char *verify_error; /* "self-signed certificate" or "" */
    const char *cert_name; /* the peer's: matching name, or CN, or "" */
    const char *issuer; /* CN or O of the issuer, or "" */
    const char *cert_fingerprint, *key_fingerprint; /* "AB:CD:..", or "" */
};

/*
 * (waits) The handshake of a server, within the stream's time limits. On success all further reads
 * and writes of the stream are inside TLS. -1: why is 4.7.5 with OpenSSL's reason, and the stream
 * has failed. Also -1 if input has been read ahead.
 */
int tls_accept(struct stream *s, struct tls_context *c, const struct tls_info **info,
               struct why *why);
struct tls_peer { /* what a client expects */
    const char *sni; /* sent to the server, or null */
    const char *const
        *names; /* ends in null: one of them must match (RFC 6125; ".x" matches subdomains) */
    const char *session_key; /* under this key the session is kept and resumed; null: not */
};
/* (waits) The handshake of a client. It succeeds whatever the server's certificate is, as
 * opportunistic TLS needs it: the caller must look at info. */
int tls_connect(struct stream *s, struct tls_context *c, const struct tls_peer *peer,
                const struct tls_info **info, struct why *why);
const struct tls_info *tls_info(const struct stream *s); /* null: no TLS */
/* Appends the channel binding for SCRAM-PLUS: tls-exporter (RFC 9266), or tls-unique for TLS 1.2.
 * False: there is none. */
bool tls_binding(const struct stream *s, const char **type, struct buf *out);

#endif
