/* login.h - what the fronts of pop3d and imapd share: a connection before login */
#ifndef LOGIN_LOGIN_H
#define LOGIN_LOGIN_H

#include <stdint.h>

#include "auth/auth_client.h"

struct arena;
struct peer;
struct stream;

/*
 * A front (a login process in Dovecot's terms: imapd, pop3d) speaks the commands before login and
 * nothing else: it opens no file and no mailbox, and it can name a user to authd only. Every
 * connection is a task; login_session is its body. Limits: login_timeout for everything before the
 * login, login_max_line_length, login_max_commands, login_max_attempts,
 * login_client_connection_count_limit; each ends the connection after a message to the client. When
 * the service is full, the oldest connection that waits for its client is evicted for each new one.
 */
struct login;

enum login_next {
    LOGIN_GO_ON,
    LOGIN_BYE, /* the command has said good-bye */
    LOGIN_OVER, /* handed over, or the client has gone */
};

/* What a front says in its protocol's words. */
struct login_front {
    const char *service; /* "imap", "pop3" */
    bool (*wrappermode)(void); /* TLS from the first byte */
    void (*greet)(struct login *l);
    enum login_next (*command)(struct login *l, struct str line); /* (waits) a whole line came */
    /* A login did not succeed. code and reason: see auth_client.h. */
    void (*refuse)(struct login *l, const char *tag, enum auth_answer answer, const char *code,
                   const char *reason);
    void (*bye)(struct login *l, const char *text); /* the connection is closed for this reason */
};

struct login {
    const struct login_front *front;
    struct stream *client;
    const struct peer *peer;
    struct arena *mem;
    struct client_count *count; /* until it has logged in */
    bool tls, secured;
    bool may_start_tls; /* a certificate is set, and TLS not yet on */
    bool handed_over; /* the session has it */
    bool perhaps_passed; /* nobody has said so, but a session may have the socket, or get it yet */
    int relay; /* the session's end of a TLS connection; -1: none */
    int attempts, commands;
    int refusals; /* attempts refused before authd was asked; they count for login_max_attempts, too
                   */
    int64_t session_pid; /* 0: not known */
    int64_t began; /* task time of the connection's start */
    const char *method; /* the mechanism that was tried last, for the log; "" for none */
    const char *refused; /* why it was not even tried, in Dovecot's words; null: it was */
    bool in_sasl; /* a mechanism waits for the client */
    char session[16];
    char client_port[8], server_address[64], server_port[8];
    struct buf stamp; /* of the APOP greeting, with "<>"; "" if there is none */
    struct str name; /* what was tried last, for the log */
    struct str given; /* of USER, for the PASS that follows */
};

/* service.open and service.session of a front, which calls them with its table. */
void login_open(const struct login_front *front);
void login_session(const struct login_front *front, struct stream *client, const struct peer *peer,
                   struct arena *mem);
void login_drain(void); /* service.drain */

/* May the client send its password as plain text? False only without TLS, from another host, and
 * with disable_plaintext_auth. */
bool login_may_plain(const struct login *l);
/* (waits) Appends the SASL mechanisms to offer, separated by blanks; those that send the password
 * only if login_may_plain. */
void login_mechs(struct login *l, struct buf *names);
/* (waits) Fills l->stamp if authd has APOP. */
void login_make_stamp(struct login *l);

/* (waits) The handshake, after the command was answered. False: the connection is over. */
bool login_start_tls(struct login *l);

/*
 * (waits) An attempt to log in, with what SASL says between "+ " lines, and the hand-over. initial:
 * base64 as it came, p null for none. LOGIN_GO_ON: refused, and told to the client.
 */
enum login_next login_sasl(struct login *l, const char *tag, struct str mech, struct str initial);
/* The same with raw bytes for a mechanism that needs no challenge: LOGIN and USER/PASS as PLAIN. */
enum login_next login_plain(struct login *l, const char *tag, struct str user, struct str password);
enum login_next login_raw(struct login *l, const char *tag, const char *mech, struct str response);

/* (waits) Reads a line into buf. False: the connection is over, and the client has been told why.
 */
bool login_line(struct login *l, struct buf *line);

#endif
