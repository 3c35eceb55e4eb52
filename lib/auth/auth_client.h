/* auth_client.h - asking authd, or a real Dovecot, whether somebody may log in */
#ifndef AUTH_AUTH_CLIENT_H
#define AUTH_AUTH_CLIENT_H

#include <stdint.h>

#include "auth/sasl.h"

/*
 * One connection to the authentication socket, shared by all tasks of the process: requests of many
 * clients are outstanding on it at once. It is opened when first needed and again after it broke;
 * what was outstanding is then asked again, except conversations: they end as AUTH_LATER. The
 * protocol is Dovecot's authentication protocol 1.1 (auth_wire.h). Challenges and responses are
 * passed as the client's protocol carries them, in base64; they are checked here, so what a client
 * sent may be handed in as it is. A connection on which nothing comes until the deadline of a
 * request is given up: the next request opens another one.
 */
struct auth_client;

enum auth_answer {
    AUTH_OK, /* auth_login_user() may go in */
    AUTH_MORE, /* send auth_login_challenge() to the client, then call auth_login_reply() */
    AUTH_DENIED, /* wrong password, unknown user, malformed response: 535 */
    AUTH_LATER, /* authd cannot say: 454; why has the reason */
};

/* path: of the socket, relative to the queue directory ("private/auth") or absolute. */
struct auth_client *auth_client_new(const char *path);
/* As auth_client_new, but where may be "inet:host:port" or "unix:path", too: smtpd_sasl_path. Null:
 * why says what is wrong with it. */
struct auth_client *auth_client_open(const char *where, struct why *why);
/* The port of "inet:host:port", which the jail must leave open; 0: a UNIX socket. */
int auth_client_port(const struct auth_client *c);
void auth_client_free(struct auth_client **c);

/*
 * (waits) Appends the names of the mechanisms, between blanks, that have none of the forbidden
 * traits and all of the required ones; private ones never. -1: the socket does not answer (4.7.0).
 */
int auth_client_mechs(struct auth_client *c, unsigned forbid, unsigned require, struct buf *names,
                      int64_t deadline_ms, struct why *why);
/* (waits) Is this mechanism known, and not shut out by these traits? Case does not matter. 1: yes;
 * 0: no; -1: the socket does not answer (4.7.0), which says nothing of the mechanism. */
int auth_client_has(struct auth_client *c, struct str mech, unsigned forbid, unsigned require,
                    int64_t deadline_ms, struct why *why) __attribute__((warn_unused_result));
/* (waits) "<pid>.<connection>" of this connection, the start of an APOP stamp; -1: no answer. */
int auth_client_stamp(struct auth_client *c, struct buf *out, int64_t deadline_ms, struct why *why);

/*
 * Tokens, on a client of their own that asks about nothing else.
 *
 * A login for imap or pop3 gives its front a token (auth_login_token). The mailbox broker exchanges
 * it, once, for the name of the user and a ticket; the program that starts sessions redeems the
 * ticket, once, for all it must know of the user. So nobody who has no password gets a session, and
 * the program believes nothing that the broker or a front says of the user.
 *
 * (waits) AUTH_OK: the result is filled, its texts in mem. AUTH_DENIED: no such token or ticket
 * (any more), of another service, not ours to ask about, or the user has no mailbox; why has the
 * reason.
 */
struct arena;
struct user;
struct ticket {
    const char *user; /* the name */
    const char *text;
};
struct auth_client *auth_client_new_tokens(const char *path);
enum auth_answer auth_client_exchange(struct auth_client *c, const char *token, const char *service,
                                      int64_t deadline_ms, struct ticket *t, struct arena *mem,
                                      struct why *why);
enum auth_answer auth_client_redeem(struct auth_client *c, const char *ticket, const char *service,
                                    int64_t deadline_ms, struct user *u, struct arena *mem,
                                    struct why *why);

struct auth_ask {
    const char *service; /* "smtp", "imap", "pop3" */
    struct str mech;
    struct str initial; /* base64; p null: the client sent none. "=" is the empty response */
    const char *client_address, *client_port; /* text; null: unknown */
    const char *server_address, *server_port;
    bool tls; /* the client's connection is encrypted */
    bool secured; /* encrypted, or from this host: plaintext mechanisms may be used */
};

/* One attempt. It ends with any answer but AUTH_MORE; free it in any case. */
struct auth_login;

/* (waits) Starts an attempt. *login is never null after it. */
enum auth_answer auth_login_start(struct auth_client *c, const struct auth_ask *ask,
                                  int64_t deadline_ms, struct auth_login **login, struct why *why);
/* (waits) The client's answer to the challenge, in base64, as it came. A line of "*" alone is the
 * caller's to see: it then frees the attempt, which tells authd. */
enum auth_answer auth_login_reply(struct auth_login *l, struct str base64, int64_t deadline_ms,
                                  struct why *why);
void auth_login_free(struct auth_login **l);

/* Valid until the next call on the attempt. "" if there is none. */
const char *auth_login_challenge(const struct auth_login *l); /* base64 */
const char *auth_login_user(const struct auth_login *l);
const char *auth_login_token(const struct auth_login *l); /* for the mailbox broker */
/* After AUTH_DENIED: "" or a code of RFC 5530 as authd gave it: "user_disabled", "pass_expired",
 * "authz", and text fit for the client. */
const char *auth_login_code(const struct auth_login *l);
const char *auth_login_reason(const struct auth_login *l);

#endif
