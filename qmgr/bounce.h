/* bounce.h - what the parts of bounce share */
#ifndef QMGR_BOUNCE_H
#define QMGR_BOUNCE_H

#include "mail/dsn_report.h"
#include "queue/bounce_log.h"

/* bounce_file.c: appends one record to the log of a message. */
int bounce_file_append(enum queue log, const char *id, const struct bounce_record *r,
                       struct why *why); /* (waits) on stable storage, but for defer */

/* bounce.c: those of bounce_template_file. */
const struct dsn_words *bounce_words(enum dsn_kind kind);

/* bounce_notice.c: sends one report, in as many messages as message_size_limit demands, and logs
 * the queue id of each. -1 and why: one of them could not be handed in; others may have gone. */
struct notice {
    enum dsn_kind kind;
    const struct delivery *d; /* the original */
    const struct bounce_record *records; /* what is reported, at least one */
    size_t n;
    const char *from, *to; /* of the report */
    bool to_postmaster;
    bool headers_only;
    const char *what; /* for the log: "sender non-delivery notification" */
};
int notice_send(const struct notice *n, struct why *why); /* (waits) */

/* bounce_service.c: (waits) sends the reports that follow from a log. 0, or -1 and why: a report
 * could not be submitted, and the log must stay. */
int bounce_flush(enum queue log, const struct delivery *d, const struct bounce_log *records,
                 struct why *why);
int bounce_warn(enum queue log, const struct delivery *d, const struct bounce_log *records,
                struct why *why);

#endif
