/* smtpd_notice.h - letters to the postmaster about sessions with errors: notify_classes */
#ifndef SMTPD_SMTPD_NOTICE_H
#define SMTPD_SMTPD_NOTICE_H

#include "base/buf.h"

struct smtpd;

enum { SMTPD_TRANSCRIPT_MOST = 64 * 1024 }; /* bytes that are kept of a session */

/*
 * What a refusal is about, as notify_classes names it. smtpd_blame: of the refusal that follows,
 * whose code alone does not tell; the next command forgets it.
 */
enum smtpd_blame {
    BLAME_BOUNCE = 1, /* mail that cannot be delivered */
    BLAME_DATA = 2, /* a table that failed */
    BLAME_POLICY = 4,
    BLAME_PROTOCOL = 8,
    BLAME_RESOURCE = 16, /* no room in the queue, or it cannot be written */
    BLAME_SOFTWARE = 32, /* an error of ours, or of the configuration */
};
void smtpd_open_notices(void); /* reads notify_classes; before the jail */
void smtpd_blame(struct smtpd *s, enum smtpd_blame what);

/* Both are kept for a letter, if there are to be any: lines of the client, without passwords, and
 * replies, whose dsn may be "". */
void smtpd_note_command(struct smtpd *s, struct str line);
void smtpd_note_reply(struct smtpd *s, int code, const char *dsn, struct str text);

/*
 * (waits) Where a transaction has ended, and at the end of the session: sends the letter, if
 * something has happened that notify_classes names. Of a session that goes on, only if more lines
 * than smtpd_history_flush_threshold are kept, which are forgotten then. A letter that cannot be
 * sent is logged, and nobody tries again.
 */
void smtpd_notice_pause(struct smtpd *s);
void smtpd_notice_end(struct smtpd *s);

#endif
