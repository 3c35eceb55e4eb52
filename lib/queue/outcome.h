/* outcome.h - what became of a recipient: the to= log line, the queue file mark, the bounce, defer
 * and trace logs */
#ifndef QUEUE_OUTCOME_H
#define QUEUE_OUTCOME_H

#include "queue/delivery.h"

/*
 * Every agent ends each recipient with exactly one of these calls. Each writes Postfix's log line
 *   ID: to=<a>, orig_to=<b>, relay=R, delay=D, delays=a/b/c/d, dsn=C, status=sent|bounced|deferred
 * (text) and does what must be durable before it returns 0: sent marks the recipient done in the
 * queue file; bounced appends to the bounce log (private/bounce) and marks; deferred appends to the
 * defer log (private/defer). If the bounce log cannot be written, bounced becomes deferred. relay
 * is "none", "local", "virtual" or "host[addr]:port". conn_us is when the connection attempt began,
 * data_us when the transfer began (0: never): the parts of delays=. fates gets 'd' or 'l'. DSN
 * success notices (NOTIFY=SUCCESS) go to the trace log.
 */
struct outcome {
    const struct delivery *d;
    struct qfile *file; /* open for marking */
    const char *relay;
    const char *mta; /* "dns; host" for Remote-MTA, or "" */
    const char *reply; /* "smtp; 550 ..." for Diagnostic-Code, or "" */
    int64_t begin_us, conn_us, data_us;
    struct delivery_result *result;
};

void outcome_sent(struct outcome *o, size_t rcpt, const char *dsn, const char *text); /* (waits) */
void outcome_failed(struct outcome *o, size_t rcpt,
                    const struct why *why); /* (waits) bounced or deferred, by why */

#endif
