/* outcome.h - what became of a recipient: its log line, its mark in the queue file, its record in
 * the bounce, defer or trace log */
#ifndef QUEUE_OUTCOME_H
#define QUEUE_OUTCOME_H

#include "queue/delivery.h"

/*
 * Every agent ends each recipient with exactly one of these calls. Each writes Postfix's log line
 *   ID: to=<a>, orig_to=<b>, relay=R, delay=D, delays=a/b/c/d, dsn=C, status=sent|bounced|deferred
 * (text) and does what must be durable before it returns: sent marks the recipient done in the
 * queue file; bounced appends to the bounce log (private/bounce) and marks; deferred appends to the
 * defer log (private/defer). If the bounce log cannot be written, bounced becomes deferred. If the
 * defer log cannot be written the recipient is still open in the queue file, and that is enough.
 * NOTIFY=SUCCESS (RFC 3461) or tells_relay makes a trace record; if that cannot be written sent
 * becomes deferred, as in Postfix: a second copy is better than a report that was promised and
 * never comes. A mark that cannot be written is only a warning: the message goes when all its
 * recipients have ended, and if it stays for another one, or the machine stops before, this one
 * gets a second copy. While the process is being stopped, failures are neither logged nor recorded,
 * since the stop may have caused them: the status is RCPT_DEFERRED.
 *
 * relay is "none", "local", "virtual" or "host[addr]:port". Times are clock_wall_us(): begin_us
 * when the agent got the request; conn_us when connecting began and data_us when the connection was
 * ready (0: no such phase, or never reached): the parts of delays=.
 */
struct outcome {
    const struct delivery *d;
    struct qfile
        *file; /* open with QFILE_DELIVER, for marking; null if no recipient has an offset */
    const char *relay;
    unsigned conn_use; /* deliveries over this connection so far; logged if above 1 */
    const char *mta; /* "dns; host" for Remote-MTA, or "" (null is as "") */
    const char *reply; /* "smtp; 550 ..." for Diagnostic-Code, or "" */
    const char *report_to; /* whom a bounce is reported to; null: the sender */
    const char *action; /* of a success notice: null "delivered", "relayed", "expanded"; "" when the
                           next server knows DSN and sends the notice itself */
    bool tells_relay; /* the sender is told, unless he has forbidden it: RFC 2852 4.1.4 */
    int64_t begin_us, conn_us, data_us;
    struct delivery_result *result;
};

void outcome_sent(struct outcome *o, size_t rcpt, const char *dsn, const char *text); /* (waits) */
/* (waits) bounced or deferred, by the first digit of why. */
void outcome_failed(struct outcome *o, size_t rcpt, const struct why *why);

/* An agent has no file to deliver: all recipients are deferred, and logged so. Without the file to
 * show it can write no record, and it says nothing about the address: whatever why, it is later. */
void outcome_no_file(struct outcome *o, const struct why *why);

/*
 * As above for an address that is not (only) o->d->rcpts[i], for instance one that an alias led to:
 * logs and appends, marks nothing. The caller joins the statuses with outcome_join (the first of
 * these that occurs: deferred, bounced, traced, delivered) and then ends the recipient with one
 * call of outcome_finish.
 */
enum rcpt_status outcome_say_sent(struct outcome *o, const struct rcpt *rcpt, const char *dsn,
                                  const char *text); /* (waits) */
enum rcpt_status outcome_say_failed(struct outcome *o, const struct rcpt *rcpt,
                                    const struct why *why); /* (waits) */
enum rcpt_status outcome_join(enum rcpt_status a, enum rcpt_status b);
void outcome_finish(struct outcome *o, size_t rcpt, enum rcpt_status status);

/* The log line alone, for cleanup, which reports what never was in the queue. */
void outcome_log(const struct outcome *o, const struct rcpt *rcpt, const char *dsn,
                 const char *status, const char *text);

/* Seconds as Postfix writes them: "0.03", "1.2", "17". Appends. */
void outcome_put_delay(struct buf *out, int64_t us);

#endif
