/* delivery.h - the delivery request between qmgr and an agent, both ends */
#ifndef QUEUE_DELIVERY_H
#define QUEUE_DELIVERY_H

#include <stdint.h>

#include "base/arena.h"
#include "ipc/attrs.h"
#include "mail/dsn.h"
#include "queue/qfile.h"

struct rcpt {
    off_t at; /* of its record in the queue file; 0: not to be marked */
    const char *address; /* after rewriting and resolving */
    const char *original; /* X-Original-To, as it arrived; "" if the same or unknown */
    const char *dsn_orcpt; /* "rfc822;user+2Bext@dom" or "" */
    unsigned dsn_notify; /* DSN_NEVER ... bits, 0: not given */
};

enum delivery_flag { DELIVERY_TRACE_ONLY = 1, DELIVERY_REPORT = 2 }; /* sendmail -bv, -v */

/* One message, one transport, one next hop, some recipients. Strings live in the arena. */
struct delivery {
    enum queue queue; /* Q_ACTIVE */
    const char *queue_id;
    const char *nexthop;
    const char *sender; /* "" for bounces */
    const char *encoding; /* "7bit" or "8bit" */
    const char *dsn_envid;
    enum dsn_ret dsn_ret;
    unsigned flags;
    int64_t content_size; /* as in REC_SIZE */
    int64_t data_offset; /* where the content records begin */
    int64_t arrival_us; /* wall clock, for delay= and delays= */
    int64_t active_us; /* when qmgr took it into the active queue */
    const char *client_name, *client_addr, *client_port, *client_proto,
        *client_helo; /* "" if local */
    const char *sasl_method, *sasl_username, *sasl_sender, *rewrite_context, *log_ident;
    struct rcpt *rcpts;
    size_t nrcpts;
};

void delivery_encode(const struct delivery *d, struct attrs *ask);
int delivery_decode(struct attrs *ask, struct arena *mem, struct delivery *d, struct why *why);

/*
 * What became of each recipient, one letter in the order of rcpts: 'd' done (delivered or bounced,
 * marked in the queue file), 'l' later (a line stands in the defer log). status "ok" when all are
 * 'd'. A destination that could not be spoken to at all adds why_code/why_text with site=1: qmgr
 * then counts it against the destination.
 */
struct delivery_result {
    struct buf fates;
    bool site_failed;
    struct why why;
};
void delivery_answer(struct attrs *answer, const struct delivery_result *r);
int delivery_read_answer(struct attrs *answer, struct delivery_result *r, size_t nrcpts);

#endif
