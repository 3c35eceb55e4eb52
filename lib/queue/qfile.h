/* qfile.h - queue files, and the directories they move through */
#ifndef QUEUE_QFILE_H
#define QUEUE_QFILE_H

#include <sys/types.h>

#include "base/why.h"
#include "queue/qrec.h"

/*
 *  maildrop --pickup--> incoming --qmgr--> active --> gone
 *                          |                |  ^
 *                          v     put off    v  |  due again
 *                         hold            deferred        corrupt: not readable
 *
 * A message is in exactly one of these; a move is one rename(2). Paths are relative to
 * queue_directory, which is the working directory of every daemon.
 */
enum queue { Q_MAILDROP, Q_INCOMING, Q_ACTIVE, Q_DEFERRED, Q_HOLD, Q_CORRUPT };
const char *queue_name(enum queue q); /* "incoming" */
bool queue_by_name(const char *name, enum queue *q);

struct qfile;

/* Writing. A failed put sticks and commit reports it. Until commit returns 0
 * the message does not exist; from then on it survives a power cut. */
struct qfile *qfile_create(enum queue q, struct why *why);
const char *qfile_id(const struct qfile *f);
off_t qfile_put(struct qfile *f, enum rec type, struct str body); /* where it went */
void qfile_put_raw(struct qfile *f,
                   struct str records); /* already encoded, checked by the caller */
int qfile_patch(struct qfile *f, off_t at, enum rec type,
                struct str body); /* same length as before */
int qfile_commit(struct qfile **f, struct why *why); /* (waits) */
void qfile_abort(struct qfile **f);

/* Reading and marking. To have it open is to hold its lock. */
struct qfile *qfile_open(enum queue q, const char *id, struct why *why);
enum rec qfile_next(struct qfile *f,
                    struct buf *body); /* follows pointer records; REC_BAD: move it to corrupt */
off_t qfile_tell(const struct qfile *f);
int qfile_seek(struct qfile *f, off_t at, struct why *why);
int qfile_mark_done(struct qfile *f, off_t rcpt, struct why *why);
void qfile_close(struct qfile **f);

/* Directories. */
int queue_move(const char *id, enum queue from, enum queue to, struct why *why);
int queue_remove(enum queue q, const char *id, struct why *why);
struct queue_scan;
struct queue_scan *queue_scan_new(enum queue q);
const char *queue_scan_next(struct queue_scan *s); /* an id, or null */
void queue_scan_free(struct queue_scan **s);

#endif
