/* sasl.h - the SASL mechanisms of servers and clients. They compute the next message and do not
 * wait */
#ifndef AUTH_SASL_H
#define AUTH_SASL_H

#include "base/why.h"

/*
 * RFC 4422. A mechanism is a row of the table in sasl.c. It never looks up a user itself: a step
 * says what it needs (SASL_PASSWORD: check user and password; SASL_SECRET: give the stored
 * credential), so the same code serves authd, the fuzz targets and tests. All bytes here are raw;
 * the caller encodes them in base64.
 */
enum sasl_step {
    SASL_MORE, /* send out, then call step again with the answer */
    SASL_PASSWORD, /* server: check user with password; the exchange is over */
    SASL_SECRET, /* server: call sasl_server_secret with what is stored for user */
    SASL_OK, /* server: the login succeeds; client: out is the last message */
    SASL_BAD, /* malformed, out of order, or wrong */
};

/* Properties of a mechanism, for smtpd_sasl_security_options and the like. */
enum auth_trait {
    AUTH_PLAINTEXT = 1, /* sends the password in clear */
    AUTH_DICTIONARY = 2, /* an eavesdropper can test guesses of the password */
    AUTH_ACTIVE = 4, /* open to active attack */
    AUTH_ANONYMOUS = 8,
    AUTH_FORWARD_SECRECY = 16,
    AUTH_MUTUAL = 32,
    AUTH_PRIVATE = 64, /* not to be offered: APOP */
};

struct sasl_server;
struct sasl_client;

struct sasl_mech {
    const char *name;
    unsigned traits; /* enum auth_trait */
    bool client_first; /* the client begins; if it has sent no initial response, send "" */
    enum sasl_step (*server)(struct sasl_server *s, struct str in, struct buf *out);
    /* stored: as in the user table, "{SCHEME}data". Null: the mechanism asks for SASL_PASSWORD. */
    enum sasl_step (*secret)(struct sasl_server *s, struct str stored, const char *default_scheme);
    enum sasl_step (*client)(struct sasl_client *c, struct str in, struct buf *out);
    unsigned strength; /* a client chooses the strongest one; 0: not for clients */
};

const struct sasl_mech *sasl_find(struct str name); /* without case; null: unknown */
const struct sasl_mech *sasl_each(size_t n); /* the n-th of the table; null at the end */

/* ---- server ---- */
enum { SASL_FIELD_MAX = 1024 }; /* a user name, a password */

struct sasl_server {
    const struct sasl_mech *mech;
    const char *host; /* for challenges */
    const char *stamp; /* APOP: what the greeting's stamp must begin with, without "<" */
    int turn;
    struct buf user; /* authentication identity: whose password it is */
    struct buf authz; /* authorization identity: whose mail is wanted; "" the same */
    struct buf password; /* after SASL_PASSWORD; wiped by sasl_server_end */
    struct buf challenge, digest;
};

/* A new exchange by this mechanism; host, which is borrowed, names the server in challenges. s may
 * be one that sasl_server_end has freed. */
void sasl_server_begin(struct sasl_server *s, const struct sasl_mech *mech, const char *host);
/* in: what the client has sent. has_in is false in the first step if there is no initial response.
 */
enum sasl_step sasl_server_step(struct sasl_server *s, bool has_in, struct str in, struct buf *out);
enum sasl_step sasl_server_secret(struct sasl_server *s, struct str stored,
                                  const char *default_scheme);
void sasl_server_end(struct sasl_server *s);

/* ---- client ---- */
struct sasl_client {
    const struct sasl_mech *mech;
    struct str user, password; /* borrowed */
    int turn;
};

/* The strongest mechanism of a list ("PLAIN LOGIN", any separators of blanks and commas) that has
 * none of the forbidden traits; null: none fits. */
const struct sasl_mech *sasl_client_pick(struct str offered, unsigned forbid);
void sasl_client_begin(struct sasl_client *c, const struct sasl_mech *mech, struct str user,
                       struct str password);
/* challenge: what the server has sent; "" in the first call, which makes the initial response of
 * mechanisms with client_first. On SASL_MORE and SASL_OK send out. */
enum sasl_step sasl_client_step(struct sasl_client *c, struct str challenge, struct buf *out);

/* Parses a value of smtpd_sasl_security_options: "noplaintext, noanonymous" set bits of forbid;
 * forward_secrecy and mutual_auth set bits of require. -1: unknown word. */
int sasl_options(struct str words, unsigned *forbid, unsigned *require, struct why *why);
unsigned sasl_trait(struct str name); /* the wire's name: "plaintext"; 0: unknown */
void sasl_put_traits(struct buf *out, unsigned traits, char separator); /* "plaintext" in front of
                                                                          each the separator */

#endif
