/* auth_client_inside.h - what the files of the authentication client share */
#ifndef AUTH_AUTH_CLIENT_INSIDE_H
#define AUTH_AUTH_CLIENT_INSIDE_H

#include "auth/auth_client.h"
#include "auth/auth_wire.h"
#include "base/vec.h"
#include "net/endpoint.h"

struct hash;
struct task;

struct mech {
    char *name;
    unsigned traits;
};

/* A task that waits for the hand-shake or for an answer; it stands on that task's stack. */
struct waiter {
    struct waiter *next;
    struct task *task;
};

struct auth_client {
    char *path; /* as it was written, for messages */
    struct endpoint at;
    int fd; /* -1: not connected */
    bool for_tokens; /* says no CPID and asks about tokens only */
    bool connecting, ready; /* ready: the server's DONE has come */
    uint64_t heard; /* how often something has come */
    struct buf in;
    VEC(struct mech) mechs;
    char *stamp; /* "spid.cuid" */
    uint32_t last_id;
    struct hash *logins; /* outstanding, by id */
    struct waiter *waiting; /* for the hand-shake */
};

enum { ATTEMPTS = 10 }; /* to send what a server has not answered before it ended */

enum login_state { LOGIN_IDLE, LOGIN_ASKED, LOGIN_ANSWERED, LOGIN_LOST };

struct auth_login {
    struct auth_client *client;
    uint32_t id;
    enum login_state state;
    enum auth_answer answer;
    uint64_t heard; /* client->heard when it asked */
    struct task *task; /* parked here */
    struct buf challenge, user, token, code, reason;
    struct ticket *ticket; /* of auth_client_exchange, else null */
    struct user *found; /* of a token: filled by the answer, texts in mem */
    struct arena *mem;
};

/* ---- auth_client.c: the connection and its hand-shake */
struct str auth_id_key(const uint32_t *id); /* for client->logins */
/* (waits) until the hand-shake is complete; connects if need be. -1: 4.7.0. */
int auth_client_ready(struct auth_client *c, int64_t deadline_ms, struct why *why);
/* Sends it at once. False: the connection has ended, and all that wait on it have been told. */
bool auth_client_send(struct auth_client *c, const struct buf *lines);
/* The connection is over: whoever waits for something on it is told. */
void auth_client_hang_up(struct auth_client *c);
int auth_no_answer(const struct auth_client *c, struct why *why); /* -1, 4.7.0 */

/* ---- auth_login.c: requests and their answers */
void auth_login_answer(struct auth_client *c, const struct auth_msg *m); /* a line of the server */
void auth_login_lost(struct auth_login *l); /* the connection ended before its answer */
struct auth_login *auth_login_new(struct auth_client *c); /* with a number of its own */
/* (waits) Sends the first line of a request, which may be repeated on the next connection when
 * this one ends without an answer, and waits for the answer. */
enum auth_answer auth_login_ask(struct auth_login *l, const struct buf *line, int64_t deadline_ms,
                                struct why *why);

void auth_wipe(struct buf *line); /* frees it; what it held is gone */

/* ---- auth_redeem.c */
enum auth_answer auth_redeem_answer(struct auth_login *l, const struct auth_msg *m);

#endif
