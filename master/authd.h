/* authd.h - what the files of authd share: connections, login attempts, and the parts that decide
 * them */
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
 * what waits for a table, a hash or its time delays nobody. Answers are sent at once. Those that a
 * slow client does not read are kept, up to auth_answer_limit bytes, and written by another task.
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
    bool over; /* nothing more is read of it */
    struct hash *attempts; /* by id; those that were cancelled are no longer in it */
    unsigned nrunning; /* attempts whose tasks have not ended */
    pid_t client; /* 0: unknown */
    char stamp[STAMP_MAX]; /* pid and number of the connection: what APOP stamps begin with */
};

/* ---- authd_conn.c */
void conn_session(struct stream *client); /* (waits) until the connection ends */
/* Sends a whole line, or keeps it. Never waits; nothing if the connection is broken. */
void conn_say(struct authd_conn *c, const struct buf *line);
void conn_break(struct authd_conn *c); /* does not wait; its task then ends the connection */
/* The hand-shake's lines; before the first connection. -1: a mechanism is unknown. */
void conn_open(void);
void conn_drain(void);
/* The process drains, and the connection does not wait for a word of its client: what is not
 * answered is asked again as soon as it has ended. */
bool conn_ends_soon(const struct authd_conn *c);
const char *conn_keep(struct arena *mem,
                      struct str s); /* a copy; "" if null or if it has a zero byte */

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
    int64_t started_ms; /* task_now() at its last step */
    const char *fail_code, *fail_reason; /* for the client; "" if none */
};

/* ---- authd_attempt.c */
void attempt_start(struct authd_conn *c, const struct auth_msg *m, const struct sasl_mech *mech);
/* The client's next SASL response. False: the attempt does not expect one now. */
bool attempt_respond(struct attempt *a, struct str base64);
void attempt_cancel(struct attempt *a); /* no answer; its task ends at its next chance */

/* ---- authd_session.c: tokens and tickets. False: the connection must end */
bool session_exchange(struct authd_conn *c, const struct auth_msg *m);
bool session_redeem(struct authd_conn *c, const struct auth_msg *m);

/* ---- authd_users.c: the tables */
void users_open(void); /* before the jail */
void users_paths(void);
/* (waits) The entry of whoever wants to log in; its texts are in mem. kind: for the log. */
enum user_found users_password(struct str name, struct arena *mem, struct passwd_entry *e,
                               const char **kind, struct why *why);
/* (waits) Uid, gid, home and mail location of a name. USER_UNKNOWN, with the reason in why: also if
 * the entry is not acceptable. */
enum user_found users_find(struct str name, struct arena *mem, struct user *u, struct why *why);

/* ---- authd_reader.c: opens tables that authd itself may not read */
void reader_start(void); /* before the jail; nothing if we are not root */
void reader_watch(void);
void reader_allow(const char *path); /* before reader_start */
/* (waits) A descriptor, or -1 and why. */
int reader_open(const char *path, struct why *why);

/* ---- authd_worker.c: checks slow password hashes in helper processes */
void workers_start(void); /* before the jail */
void workers_watch(void); /* in the loop */
/* (waits) Returns an enum password_answer; -1 and why: the check could not be made. */
int workers_check(struct str user, struct str plain, struct str stored, struct why *why);

/* ---- authd_cache.c: remembers slow hashes and the passwords that matched them */
void cache_open(void);
bool cache_has(struct str user, struct str plain, struct str stored, int64_t now);
void cache_add(struct str user, struct str plain, struct str stored, int64_t now);

/* ---- authd_penalty.c: answers to failed logins are delayed */
/* Counts a failed login of the address; returns the delay of its answer in milliseconds. The delay
 * doubles with each failure. */
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

/* ---- authd_stamp.c: APOP stamps of greetings whose connection to authd has ended in a reload */
size_t stamps_size(void);
void stamps_open(void *shared); /* as tokens_open */
/* The connection of that client ends; its stamp stays valid. */
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
void tokens_open(void *shared); /* tokens_size() bytes of service_shared memory */
/* text must be empty. If all slots are in use, one of the oldest tickets is dropped. False: there
 * is no ticket to drop, or the name is too long. */
bool token_make(enum token_kind kind, struct str name, const char *service, int64_t now,
                struct buf *text);
/* Redeems a token. Null: it is valid, and name is the user it was made for; else the reason why it
 * is refused. A token can be tried only once. */
const char *token_redeem(enum token_kind kind, struct str text, struct str service, int64_t now,
                         struct buf *name);
/* Whether it could be redeemed now, and whose it is; it stays as it is. */
bool token_peek(enum token_kind kind, struct str text, struct str service, int64_t now,
                struct buf *name);

#endif
