/* helper.h - processes forked before the jail, for work that a daemon may not or must not do */
#ifndef SERVICE_HELPER_H
#define SERVICE_HELPER_H

#include <stdint.h>

#include "base/buf.h"
#include "base/why.h"

/*
 * Helpers do work that takes much CPU time (password hashes), that blocks (foreign libraries), or
 * that needs rights which the daemon gives up. All helpers read from one shared socket of messages:
 * each request is taken by one that is free. A supervisor process, which reads nothing, starts a
 * helper again when it has died. All end with the daemon.
 *
 * The supervisor enters the jail before there is a helper, with the helpers' rights and RIGHT_FORK.
 * A helper has the second filter of sessions (service/jail.h) on top: no process, no socket, no
 * other user, and messages to the daemon only.
 *
 * A message is at most HELPER_MESSAGE_MAX octets. The queue is bounded: a question that finds
 * queue_limit others unanswered, or the socket full, fails at once.
 */
enum { HELPER_MESSAGE_MAX = 64 * 1024 };

struct helper_job {
    const char *name; /* for the log */
    int count; /* of processes */
    int queue_limit; /* questions without an answer */
    unsigned rights; /* enum service_right of the helpers */
    const char *user; /* account that they are: conf.mail_owner. Null: no jail, for tests */
    /* In the supervisor before its jail: jail_read(), and whatever libraries load when they are
     * first used. May be null. */
    void (*start)(void);
    /* One request; may block. answer has a ceiling of HELPER_MESSAGE_MAX and is empty. *fd is -1:
     * a descriptor put there goes with the answer and is closed here. */
    void (*serve)(struct str ask, struct buf *answer, int *fd);
};

struct helper;

/* In a forked process of a daemon: what is the daemon's is none of its business. All descriptors
 * but standard ones and these two (-1: none) are closed, and the page of counters is let go. */
void helper_forget_daemon(int keep, int keep_too);

struct helper *
helper_start(const struct helper_job *job); /* before the jail; a failure ends the process */
void helper_watch(struct helper *h); /* once, when the loop runs or is about to: service.start */
void helper_free(struct helper **h); /* ends the helpers; no task may be in helper_ask */

/*
 * (waits) The answer is appended to answer. *fd (may be null): the descriptor that came with it,
 * the caller's, or -1. -1 and why (4.3.0): too many questions, no answer by the deadline (a helper
 * that died has lost its question), cancelled.
 */
int helper_ask(struct helper *h, struct str ask, int64_t deadline, struct buf *answer, int *fd,
               struct why *why);

#endif
