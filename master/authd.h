/* authd.h - what the files of authd share: an attempt to log in, and who answers for it */
#ifndef MASTER_AUTHD_H
#define MASTER_AUTHD_H

#include <stdatomic.h>

#include "auth/passwd_file.h"
#include "auth/sasl.h"
#include "auth/user.h"
#include "base/heap.h"

struct authd_conn;
struct arena;

/* An attempt to log in, from AUTH to OK or FAIL. */
struct attempt {
    uint32_t id; /* the client's */
    struct authd_conn *conn;
    struct arena *mem;
    struct sasl_server sasl;
    const char *service, *client_address; /* "" if unknown */
    struct buf name; /* after auth_username_format */
    const char *stored; /* the password as the table has it; what a worker is asked about */
    int64_t started;
    struct heap_node due; /* when its answer, or its end, comes */
    bool failed; /* the answer is known and waits for its time */
    uint32_t job; /* of a worker; 0: none */
    const char *fail_code, *fail_reason; /* for the client; "" if none */
    bool fail_temp;
};

/* ---- authd_users.c: the tables */
enum found { USER_FOUND, USER_UNKNOWN, USER_LATER };
void users_open(void); /* before the jail */
void users_paths(void);
/* The entry for who may log in; its slices are copied into mem. source: for the log. */
enum found users_password(struct str name, struct arena *mem, struct passwd_entry *e,
                          const char **source);
/* Ids, home and mail of a name. -1: unknown or not acceptable; why says it for the log. */
int users_find(struct str name, struct arena *mem, struct user *u, struct why *why);

/* ---- authd_worker.c: slow hashes, in processes of their own */
void workers_start(void); /* before the jail */
void workers_watch(void); /* in the loop */
/* 0: too much is asked already. The answer comes as attempt_checked(job, ...). */
uint32_t workers_ask(struct str user, struct str plain, struct str stored);

/* ---- authd_cache.c: slow hashes that were right */
void cache_open(void);
bool cache_has(struct str user, struct str plain, struct str stored, int64_t now);
void cache_add(struct str user, struct str plain, struct str stored, int64_t now);

/* ---- authd_penalty.c: who fails is answered later */
int64_t penalty_failed(const char *address, int64_t now); /* counts; milliseconds to wait */
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
enum { STAMP_MAX = 32 };
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

/* ---- authd_attempt.c */
/* A step of the mechanism; what is to be said goes to out, or comes later. */
void attempt_step(struct attempt *a, bool has_in, struct str in, struct buf *out);
void attempt_checked(uint32_t job, int answer, const char *problem); /* from a worker */
void attempt_due(struct attempt *a, struct buf *out); /* its time has come */
void attempt_free(struct attempt *a);

/* ---- authd.c */
void conn_finished(struct attempt *a); /* out of the connection's table */
struct buf *conn_out(struct attempt *a); /* what will be written, in its turn */
void conn_wait(struct attempt *a, int64_t due); /* attempt_due at that time */
void conn_wake(struct attempt *a); /* conn_out was filled from outside of its task */

#endif
