/* helper.h - processes forked before the jail, for work that a daemon may not or must not do */
#ifndef SERVICE_HELPER_H
#define SERVICE_HELPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/why.h"

/*
 * Helpers do work that takes much CPU time (password hashes), that blocks (foreign libraries), or
 * that needs rights which the daemon gives up (commands of users). Daemon and helpers speak over
 * one socket of messages; a question has a number, and its answer brings the number back. The queue
 * is bounded: a question that finds queue_limit others unanswered fails at once. All helpers end
 * with the daemon. There are two kinds:
 *
 * serve: count processes, each of which takes one request at a time. A supervisor process, which
 * reads nothing, starts one again when it has died. It enters the jail before there is a helper,
 * with the helpers' rights and RIGHT_FORK. A helper has the second filter of sessions
 * (service/jail.h) on top: no process, no socket, no other user, and messages to the daemon only.
 *
 * loop: one process that has many requests at a time, and is the parent of what it starts. It is
 * not started again when it dies: what it has not answered fails, and so does all that follows. It
 * has no jail.
 */
enum { HELPER_MESSAGE_MAX = 132 * 1024, HELPER_FDS = 2 };

struct helper_job {
    const char *name; /* for the log */
    int count; /* of processes; of serve */
    int queue_limit; /* questions without an answer */
    unsigned rights; /* enum service_right of the helpers; of serve */
    /* Account that they are: conf.mail_owner. Null: no jail, for loop and tests. */
    const char *user;
    /* In the supervisor before its jail: jail_read(), and whatever libraries load when they are
     * first used. May be null. */
    void (*start)(void);
    /* One request; may block. answer has a ceiling of HELPER_MESSAGE_MAX and is empty. *fd is -1:
     * a descriptor put there goes with the answer and is closed here. */
    void (*serve)(struct str ask, struct buf *answer, int *fd);
    /* Until helper_recv says that the daemon has ended; the process then ends, too. It has all that
     * the daemon had: see helper_forget_daemon. */
    void (*loop)(int socket);
    /* In the daemon, when the loop's process has died: the daemon should make place for another
     * one. May be null. */
    void (*lost)(void);
};

struct helper;

/* ---- in the helper's process */

/* In a forked process of a daemon: what is the daemon's is none of its business. All descriptors
 * but standard ones and these two (-1: none) are closed, and the page of counters is let go. */
void helper_forget_daemon(int keep, int keep_too);

/* For loop: what has come. */
struct helper_request {
    uint32_t id; /* of the question; that of an earlier one: the daemon adds something to it */
    char *bytes; /* valid until the next helper_recv; may be written to */
    size_t n;
    int fds[HELPER_FDS]; /* that came along, to be closed; -1: none */
};
/* 1; 0: nothing yet (a signal), -1: the daemon has ended. Waits for a message as recvmsg does. */
int helper_recv(int socket, struct helper_request *r);
void helper_answer(int socket, uint32_t id, struct str answer);

/* ---- in the daemon */

struct helper *
helper_start(const struct helper_job *job); /* before the jail; a failure ends the process */
void helper_watch(struct helper *h); /* once, when the loop runs or is about to: service.start */
void helper_free(struct helper **h); /* ends the helpers; no question may wait; null is accepted */

/*
 * (waits) The answer is appended to answer. *fd (may be null): the descriptor that came with it,
 * the caller's, or -1. -1 and why (4.3.0): too many questions, no answer by the deadline (a helper
 * that died has lost its question), cancelled.
 */
int helper_ask(struct helper *h, struct str ask, int64_t deadline_ms, struct buf *answer, int *fd,
               struct why *why);

/* The same in steps, for a question that is not over when its time is: send; wait, once or more;
 * drop. The question stands with the caller and does not move from send to drop. */
struct helper_question {
    uint32_t id;
    struct task *task;
    struct buf *answer;
    int fd; /* that came with the answer; the caller's, or -1 */
    bool answered, lost; /* lost: the helper has died */
};
/* fds: go along where they are not -1; null: none. */
int helper_send(struct helper *h, struct helper_question *q, struct str ask, const int *fds,
                struct why *why);
/* (waits) True: it is answered. False: not by the deadline, cancelled, or lost. */
bool helper_wait(struct helper_question *q, int64_t deadline_ms);
void helper_add(struct helper *h, const struct helper_question *q, struct str more);
void helper_drop(struct helper *h, struct helper_question *q);

#endif
