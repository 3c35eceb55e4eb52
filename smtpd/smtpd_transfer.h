/* smtpd_transfer.h - content on its way from the client to cleanup, or to the before-queue filter
 */
#ifndef SMTPD_TRANSFER_H
#define SMTPD_TRANSFER_H

#include "mail/esmtp_bdat.h"
#include "queue/qrec.h"

#include "smtpd.h"

/* The largest piece of content, and what of it and of the envelope is held at most, in bytes. */
enum { SMTPD_PIECE_MOST = 32 * 1024, SMTPD_RECORDS_MOST = 128 * 1024 };

/* Results of actions in access tables: a part of struct smtpd_mail, as it was. */
struct smtpd_orders {
    unsigned submit_flags;
    const char *filter, *redirect;
    size_t bcc; /* how many */
};

/* The message on its way: from DATA or the first BDAT on, in the arena of its transaction. */
struct transfer {
    struct smtpd *s;
    struct smtpd_mail *m;
    struct buf records; /* not passed on yet */
    struct submit *submit; /* null until something was */
    bool milters; /* that want the content: it has begun at DATA */
    struct why why;
    struct smtpd_orders ordered; /* what cleanup was told at the beginning */
    bool too_big, broken;
    bool header_begun; /* a line came that is no mailbox separator */
    struct buf line; /* one that was changed */
    struct esmtp_bdat chunks; /* if it comes with BDAT */
};

/*
 * smtpd_transfer.c. (waits) Asks whether the content may come, and hands on the envelope. Null: it
 * may not, as the client has been told. Else it is s->mail->transfer, until the transaction ends.
 */
struct transfer *smtpd_transfer_begin(struct smtpd *s);
/* By an access table or a mail filter: the client is told that it is taken. */
bool smtpd_discards(const struct smtpd_mail *m);
/* Has the transaction a recipient? False: the client has been told no. */
bool smtpd_has_rcpts(struct smtpd *s);
void smtpd_transfer_take(struct transfer *t, enum esmtp_data what,
                         struct str piece); /* (waits) a line (DATA_LINE), or a piece of one */
/* The longest line that is taken in one piece, in bytes: line_length_limit, within a bound. */
size_t smtpd_piece_limit(void);
/* What would refuse the content when it ends, so far: the client is told. False: nothing yet. */
bool smtpd_transfer_failed(struct transfer *t);
/* (waits) The content is complete: commits it, or refuses it, and tells the client. */
void smtpd_transfer_end(struct transfer *t);
/* The connection ended inside the content, or is to be ended, if t->broken. command: for the log */
void smtpd_transfer_cut_off(struct transfer *t, const char *command);
void smtpd_transfer_close(struct smtpd_mail *m); /* (waits) frees it; uncommitted mail is gone */
/* May this client send lines that end in a bare LF? It is cut off at the first one if not. */
bool smtpd_may_send_bare_lf(struct smtpd *s);

/* One record on its way to cleanup; many small ones go there in one piece, or with a flush.
 * Failures stick in t->why. (waits) */
void smtpd_transfer_put(struct transfer *t, enum rec type, struct str body);
void smtpd_transfer_putf(struct transfer *t, enum rec type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void smtpd_transfer_flush(struct transfer *t);

/* smtpd_envelope.c. (waits) The records in front of the content; for the before-queue filter, which
 * has been told the envelope already, only the header fields that are ours. */
void smtpd_put_envelope(struct transfer *t);
void smtpd_put_to_proxy(struct transfer *t);

#endif
