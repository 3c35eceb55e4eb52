/* bounce_log.h - the logs in bounce/, defer/ and trace/: one file per message, Postfix's format */
#ifndef QUEUE_BOUNCE_LOG_H
#define QUEUE_BOUNCE_LOG_H

#include "base/arena.h"
#include "queue/delivery.h"

/*
 * A record is an empty line, a line for people ("<rcpt>: reason"), lines "name=value" and an empty
 * line. Unknown names are passed over. Strings are never null. Addresses are in external form
 * (mail/path.h), as people see them.
 */
struct bounce_record {
    const char *recipient;
    const char *original; /* original_recipient= */
    const char *dsn_orcpt;
    unsigned dsn_notify;
    off_t at; /* offset= of its REC_RCPT; 0: none */
    const char *status; /* "5.1.1" */
    const char *action; /* failed, delayed, delivered, relayed, expanded, deliverable ... */
    const char *diag_type, *diag_text; /* "smtp" and "550 no such user", or "" */
    const char *mta_type, *mta_name; /* "dns" and the host that said so, or "" */
    const char *reason; /* one line for people */
    const char *report_to; /* who is told, and not the sender; "" or null: nobody else */
};

void bounce_record_format(const struct bounce_record *r, struct buf *out); /* appends */
/* Takes the next record off *rest. False at the end. Damaged records are skipped, and those without
 * an end: what a power cut has left of one that nobody was told of. */
bool bounce_record_next(struct str *rest, struct arena *mem, struct bounce_record *r);

/* Records of the log of a message, at most max; an empty list at its end, or if there is none. */
struct bounce_log {
    struct bounce_record *at;
    size_t n;
};
int bounce_log_next(enum queue q, const char *id, off_t *at, size_t max, struct arena *mem,
                    struct bounce_log *log, struct why *why); /* from *at on; moves it on */

enum { BOUNCE_REQUEST_MAX = 256 * 1024 }; /* bytes of a request to one of the services */

/* Clients of private/bounce, private/defer and private/trace (ipc/proto.h). All return 0, or -1 and
 * why (4.3.0: the service cannot be reached). (waits); each process has one pool of connections. */
/* file: the open file of the message, which proves that the caller is delivering it; null in qmgr,
 * which needs no proof. */
int bounce_append(enum queue q, const char *id, const struct bounce_record *r,
                  const struct qfile *file, struct why *why);
/* request: REQUEST_FLUSH (report and forget the log), REQUEST_WARN (report, keep the log),
 * REQUEST_FORGET (only forget the log). */
int bounce_report(enum queue q, const char *request, const struct delivery *d,
                  const struct qfile *file, struct why *why);
void bounce_record_to_attrs(const struct bounce_record *r, struct attrs *a);
int bounce_record_of_attrs(struct attrs *a, struct arena *mem, struct bounce_record *r,
                           struct why *why);

#endif
