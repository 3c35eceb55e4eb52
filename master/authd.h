/* authd.h - what the files of authd share: connections, attempts to log in, who answers for them */
#ifndef MASTER_AUTHD_H
#define MASTER_AUTHD_H

#include <stdatomic.h>
#include <sys/types.h>

#include "auth/auth_wire.h"
#include "auth/sasl.h"
#include "auth/user_source.h"
#include "base/list.h"

struct arena;
struct hash;
struct stream;
struct task;
struct user;

enum { STAMP_MAX = 32 };

/* What kind of questions a connection asks. */
enum conn_state {
    CONN_NEW,
    CONN_VERSION,
    CONN_CLIENT, /* AUTH: fronts, smtpd */
    CONN_BROKER, /* EXCHANGE: the mailbox broker */
    CONN_OPENER, /* REQUEST: imap and pop3, which start sessions */
};

/*
 * A connection. Its task reads and takes lines apart. Each attempt has a task of its own, so that
 * what waits for a table, a hash or its time delays nobody. Answers go out at once; what the client
 * does not read is kept, up to auth_answer_limit, and written by one more task.
 */
struct authd_conn {
    struct list all;
    enum conn_state state;
    struct stream *stream;
    struct task *task; /* reads */
    struct task *writer; /* null: all answers are out */
    struct buf out; /* answers that are not */
    bool broken; /* it must end: malformed, or it does not read */
    bool has_asked; /* something at all */
    struct hash *attempts; /* by id; those that were cancelled are no longer in it */
    unsigned nrunning; /* attempts whose tasks have not ended */
    pid_t client; /* 0: unknown */
    char stamp[STAMP_MAX]; /* pid and number of the connection: what APOP stamps begin with */
};

/* ---- authd_conn.c */
void conn_session(struct stream *client); /* (waits) until the connection ends */
/* Sends a whole line, or keeps it. Never waits; nothing if the connection is broken. */
void conn_say(struct authd_conn *c, const struct buf *line);
void conn_break(struct authd_conn *c); /* ends it at its next chance */
/* The hand-shake's lines; before the first connection. -1: a mechanism is unknown. */
void conn_open(void);
void conn_drain(void);
const char *conn_keep(struct arena *mem,
                      struct str s); /* "" for null, or if there is a zero in it */

/* An attempt to log in, from AUTH to OK or FAIL: a task. */
struct attempt {
    uint32_t id; /* the client's */
    struct authd_conn *conn;
    struct arena *mem;
    struct task *task;
    struct sasl_server sasl;
    const char *service, *client_address; /* "" if unknown */
    struct buf name; /* after auth_username_format */
    struct buf response; /* base64 of the client, when has_response */
    bool has_response, wants_response;
    bool in_conn; /* in the connection's table: an answer is expected */
    int64_t started; /* its last step */
    const char *fail_code, *fail_reason; /* for the client; "" if none */
};

/* ---- authd_attempt.c */
void attempt_start(struct authd_conn *c, const struct auth_msg *m, const struct sasl_mech *mech);
/* False: none is wanted now. */
bool attempt_respond(struct attempt *a, struct str base64);
void attempt_cancel(struct attempt *a); /* no answer; its task ends at its next chance */

/* ---- authd_session.c: tokens and tickets; true, or false: the connection is over */
bool session_exchange(struct authd_conn *c, const struct auth_msg *m);
bool session_redeem(struct authd_conn *c, const struct auth_msg *m);

/* ---- authd_users.c: the tables */
void users_open(void); /* before the jail */
void users_paths(void);
/* (waits) The entry of whoever wants to log in; its texts are in mem. kind: for the log. */
enum user_found users_password(struct str name, struct arena *mem, struct passwd_entry *e,
                               const char **kind, struct why *why);
/* (waits) Ids, home and mail of a name. USER_UNKNOWN: or not acceptable; why has the reason. */
enum user_found users_find(struct str name, struct arena *mem, struct user *u, struct why *why);

/* ---- authd_reader.c: opens tables that authd itself may not read */
void reader_start(void); /* before the jail; nothing if we are not root */
void reader_watch(void);
void reader_allow(const char *path); /* before reader_start */
/* (waits) A descriptor, or -1 and why. */
int reader_open(const char *path, struct why *why);

/* ---- authd_worker.c: slow hashes, in processes of their own */
void workers_start(void); /* before the jail */
void workers_watch(void); /* in the loop */
/* (waits) An enum password_answer, or -1: nobody could say. why has the problem, if there is one.
 */
int workers_check(struct str user, struct str plain, struct str stored, struct why *why);

/* ---- authd_cache.c: slow hashes that were right */
void cache_open(void);
bool cache_has(struct str user, struct str plain, struct str stored, int64_t now);
void cache_add(struct str user, struct str plain, struct str stored, int64_t now);

/* ---- authd_penalty.c: answers to failed logins are delayed */
/* Counts a failure of the address; how many milliseconds its answer is delayed. */
int64_t penalty_failed(const char *address, int64_t now);
void penalty_ok(const char *address);

/*
 * Tokens and stamps are slots in memory that the next process of authd has, too: what was begun
 * before a reload or a change of a table still comes to its end. Two processes may use it at the
 * same time, one of them draining: a slot belongs to whoever sets its state to SLOT_HELD.
 */
enum slot_state { SLOT_FREE, SLOT_HELD, SLOT_LIVE };

static inline bool slot_hold(atomic_uint *state, enum slot_state from)
{
    unsigned expected = from;

    return atomic_compare_exchange_strong(state, &expected, SLOT_HELD);
}

/* ---- authd_stamp.c: which connection of an earlier process a greeting's stamp names */
size_t stamps_size(void);
void stamps_open(void *shared); /* as tokens_open */
/* The connection of that client ends, but not what it has greeted with. */
void stamp_keep(const char *stamp, pid_t client, int64_t now);
/* What the text begins with, if that was kept for the same client; else null. */
const char *stamp_find(struct str text, pid_t client, int64_t now, struct arena *mem);

/* ---- authd_token.c: from a login over the broker to the session */
enum token_kind {
    TOKEN_OF_FRONT, /* for a login; the mailbox broker exchanges it for the next kind */
    TOKEN_OF_BROKER, /* a ticket; the program that starts sessions redeems it */
};
enum { TOKEN_MAX = 100 }; /* ceiling of its text */
size_t tokens_size(void);
void tokens_open(void *shared); /* so much memory that the processes of authd have in common */
/* text is empty before. False: too many have not been redeemed. If all slots are taken, the ticket
 * that would end first goes. */
bool token_make(enum token_kind kind, struct str name, const char *service, int64_t now,
                struct buf *text);
/* Null: name is who it was made for. Else the reason why it is refused. It is gone in both cases.
 */
const char *token_redeem(enum token_kind kind, struct str text, struct str service, int64_t now,
                         struct buf *name);

#endif
