/* verify_client.h - does an address exist? What verify(8) knows, and what agents tell it */
#ifndef QUEUE_VERIFY_CLIENT_H
#define QUEUE_VERIFY_CLIENT_H

#include "queue/qfile.h"

/*
 * A probe is a message with trace_flags=256 that goes the way of all mail to an agent, which
 * delivers nothing and tells verify what would become of it. Addresses are in internal form.
 */
enum verify_verdict {
    VERIFY_OK,
    VERIFY_LATER, /* the probe met a temporary failure */
    VERIFY_NEVER,
    VERIFY_PENDING, /* no probe has come back yet */
    VERIFY_VERDICTS
};
const char *verify_verdict_name(enum verify_verdict v);
bool verify_verdict_parse(const char *name, enum verify_verdict *v);

enum { VERIFY_TEXT_MOST = 500 }; /* bytes of the reason that is kept; the rest is cut */

/* Clients of private/verify (ipc/proto.h). Both: 0, or -1 and why. (waits) */
/* text: the reason, of what the agent has logged. For smtpd. */
int verify_ask(const char *address, enum verify_verdict *v, struct buf *text, struct why *why);
/* For agents, with the open file of the probe; for qmgr, whose file is null. */
int verify_tell(const char *queue_id, const char *address, enum verify_verdict v, const char *text,
                const struct qfile *file, struct why *why);

#endif
