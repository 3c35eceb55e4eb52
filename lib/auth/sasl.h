/* sasl.h - the SASL mechanisms, both sides: what to say next, without waiting for anything */
#ifndef AUTH_SASL_H
#define AUTH_SASL_H

#include "base/why.h"

/*
 * RFC 4422. A mechanism is a row of the table in sasl.c. It never looks up a user itself: a step
 * says what it needs (SASL_PASSWORD: check user and password; SASL_SECRET: give the stored
 * credential), so the same code serves authd, the fuzz targets and tests. All bytes here are raw;
 * base64 is the business of the protocol around it.
 */
enum sasl_step {
    SASL_MORE, /* send out, then step again with the answer */
    SASL_PASSWORD, /* server: check user with password; the exchange is over */
    SASL_SECRET, /* server: call sasl_server_secret with what is stored for user */
    SASL_OK, /* server: the user is proven; client: nothing more to say */
    SASL_BAD, /* malformed, out of order, or the secret does not fit */
};

/* What a mechanism is, as bits: for smtpd_sasl_security_options and the like. */
enum auth_trait {
    AUTH_PLAINTEXT = 1, /* shows the password to whoever reads the connection */
    AUTH_DICTIONARY = 2, /* lets an eavesdropper try passwords */
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
    bool client_first; /* the client speaks first; without an initial response send "" */
    enum sasl_step (*server)(struct sasl_server *s, struct str in, struct buf *out);
    /* stored: as in the user table, "{SCHEME}data". Null: the mechanism asks for SASL_PASSWORD. */
    enum sasl_step (*secret)(struct sasl_server *s, struct str stored, const char *default_scheme);
    enum sasl_step (*client)(struct sasl_client *c, struct str in, struct buf *out);
    unsigned strength; /* the client takes the strongest that both know; 0: not for clients */
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
    struct buf user; /* who proves himself */
    struct buf authz; /* whom he wants to be; "" for himself */
    struct buf password; /* after SASL_PASSWORD; wiped by sasl_server_end */
    struct buf challenge, digest;
};

void sasl_server_begin(struct sasl_server *s, const struct sasl_mech *mech, const char *host);
/* in: the client's answer; has_in false on the first step without an initial response. */
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
/* challenge: "" before the first one; for mechanisms with client_first that first call makes the
 * initial response. SASL_MORE and SASL_OK: send out. */
enum sasl_step sasl_client_step(struct sasl_client *c, struct str challenge, struct buf *out);

/* "noplaintext, noanonymous" to traits: as smtpd_sasl_security_options names them. Those that a
 * mechanism must have (forward_secrecy, mutual_auth) go to require. -1: unknown word. */
int sasl_options(struct str words, unsigned *forbid, unsigned *require, struct why *why);
unsigned sasl_trait(struct str name); /* the wire's name: "plaintext"; 0: unknown */
void sasl_put_traits(struct buf *out, unsigned traits, char separator); /* "plaintext" in front of
                                                                          each the separator */

#endif
