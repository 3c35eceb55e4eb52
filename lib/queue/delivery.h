/* delivery.h - a message on its way: what qmgr tells an agent, what cleanup tells qmgr */
#ifndef QUEUE_DELIVERY_H
#define QUEUE_DELIVERY_H

#include <stdint.h>

#include "base/arena.h"
#include "ipc/attrs.h"
#include "mail/deliver_by.h"
#include "mail/dsn.h"
#include "queue/qfile.h"

struct rcpt {
    off_t at; /* of its record in the queue file; 0: not to be marked */
    const char *address; /* after rewriting and resolving */
    const char *original; /* X-Original-To, as it arrived; "" if unknown */
    const char *dsn_orcpt; /* "rfc822;user+ext@dom", xtext decoded, or "" */
    unsigned dsn_notify; /* DSN_NEVER ... bits, 0: not given */
};

/* sendmail -bv: do everything but deliver, and -v: report what happened. trace_flags= of the queue
 * file has Postfix's numbers; these bits are ours. */
enum delivery_flag {
    DELIVERY_TRACE_ONLY = 1,
    DELIVERY_REPORT = 2,
    DELIVERY_DELAY_SAID = 4, /* the sender has got a delayed-mail warning */
    DELIVERY_PART = 8, /* of what a recipient led to: whoever asks marks the recipient as done */
    DELIVERY_PROBE = 16 /* with TRACE_ONLY: verify is told instead of the sender */
};
enum trace_flag { TRACE_MTA_VERIFY = 1 << 8, TRACE_USER_VERIFY = 1 << 9, TRACE_RECORD = 1 << 10 };
unsigned delivery_trace_flags(int64_t trace_flags); /* bits of the latter as bits of the former */

/* One message, one transport, one next hop, some recipients. Strings live in the arena and are
 * never null. */
struct delivery {
    enum queue queue; /* Q_ACTIVE */
    const char *queue_id;
    const char *nexthop;
    const char *sender; /* "" for bounces */
    const char *encoding; /* "7bit", "8bit" or "" */
    const char *verp; /* two delimiters: each recipient has a sender of his own (mail/verp.h), which
                         qmgr makes; or "" */
    const char *dsn_envid; /* xtext decoded */
    const char
        *release_request; /* FUTURERELEASE as in a report: "for;3600", "until;2026-..."; or "" */
    enum dsn_ret dsn_ret;
    unsigned flags;
    unsigned sendopts; /* enum sendopt */
    int priority; /* MT-PRIORITY, -9 to 9: the highest goes first */
    int64_t content_size; /* as in REC_SIZE */
    int64_t data_offset; /* where the content records begin */
    int64_t arrival_us; /* wall clock, for delay= and delays= */
    int64_t created_s; /* wall clock seconds: age of the queue file, for back-off and expiry */
    int64_t release_s; /* wall clock seconds: not to be delivered before; 0: at once */
    struct deliver_by by; /* DELIVERBY: until when; s is a wall clock time, or 0 */
    int64_t active_us; /* when qmgr took it into the active queue */
    /* As the log and the next server are to see them (log_* of the queue file); "" if local. */
    const char *client_name, *client_addr, *client_port, *client_proto, *client_helo;
    const char *sasl_method, *sasl_username, *sasl_sender, *rewrite_context, *log_ident;
    const char *filter; /* "transport:nexthop" for all recipients, or "" (qmgr only) */
    const char *redirect; /* one recipient instead of all, or "" (qmgr only) */
    int64_t warn_at_s; /* wall clock seconds: delayed-mail warning due; 0: none, -1: was sent (qmgr
                        only) */
    off_t warn_record; /* its REC_WARN */
    struct rcpt *rcpts;
    size_t nrcpts;
};

/* When the time it may wait for its delivery begins, in wall clock seconds. */
int64_t delivery_begins_s(const struct delivery *d);

enum { DELIVERY_PRIORITY_MOST = 9 }; /* and -9 is the lowest */

#define DELIVERY_MAX (4 << 20) /* bytes of one request */

/* The attributes of d, after the request's name. */
void delivery_encode(const struct delivery *d, struct attrs *ask);
/* At most max_rcpts recipients, and a valid queue id; 5.x.x "malformed" otherwise. Strings are
 * copied into mem. */
int delivery_decode(struct attrs *ask, size_t max_rcpts, struct arena *mem, struct delivery *d,
                    struct why *why);

/* For agents: the queue file that came with the request. Null and why: there is none, it is not one
 * of the mail owner's, or the request is of another queue than active. */
struct qfile *delivery_file(struct attrs *ask, const struct delivery *d, struct why *why);

/* Tells qmgr of a new message (public/qmgr, REQUEST_ARRIVED). fd is the file's descriptor from
 * qfile_commit_keep; it is closed here. It is the proof without which qmgr would not believe the
 * envelope. If qmgr cannot be told, nothing is lost: it finds the file by itself, at its next scan.
 * (waits) at most until the socket has taken the message. */
void delivery_announce(const struct delivery *d, int fd);

/*
 * Reads the envelope of a queue file into d: the attributes, and the recipients that still need
 * delivery, at most max_rcpts. Recipients that are already done are only counted. e->next is where
 * to continue (0: there are no more recipients); pass it as from in the next call, after which d
 * has the next recipients only. from 0 begins at the start. 0, or -1 and why.
 */
struct envelope {
    struct delivery d;
    struct qsize size;
    size_t done; /* recipients that are done */
    off_t next;
    bool truncated; /* no REC_END */
};
int envelope_read(struct qfile *f, off_t from, size_t max_rcpts, struct arena *mem,
                  struct envelope *e, struct why *why);
/* The same for a file in maildrop, which does not begin with a REC_SIZE: the size of the whole file
 * is taken for the size of the content. */
int envelope_read_dropped(struct qfile *f, off_t from, size_t max_rcpts, struct arena *mem,
                          struct envelope *e, struct why *why);

/*
 * The delivery status of each recipient: one letter each, in the order of rcpts; RCPT_DEFERRED
 * until another one is set. site_failed and why: the next hop could not be reached at all, which
 * qmgr counts as a failure of the destination.
 */
enum rcpt_status {
    RCPT_DELIVERED = 'd', /* delivered, marked in the queue file */
    RCPT_BOUNCED = 'b', /* in the bounce log, marked */
    RCPT_TRACED = 't', /* delivered, marked, and a notice of it is in the trace log */
    RCPT_DEFERRED = 'l', /* in the defer log */
};
struct delivery_result {
    struct buf statuses;
    bool site_failed;
    struct why why;
};
/* All recipients deferred; delivery_result_free afterwards. */
void delivery_result_start(struct delivery_result *r, size_t nrcpts);
void delivery_result_free(struct delivery_result *r);
void delivery_site_failed(struct delivery_result *r, const struct why *why);
void delivery_answer(struct attrs *answer, const struct delivery_result *r);
/* -1: the answer does not have exactly nrcpts known statuses. */
int delivery_read_answer(struct attrs *answer, struct delivery_result *r, size_t nrcpts);

#endif
