/* qfile.h - one queue file: write it, read it, mark its recipients */
#ifndef QUEUE_QFILE_H
#define QUEUE_QFILE_H

#include <sys/types.h>

#include "queue/qdir.h"
#include "queue/qrec.h"

struct qfile;

/*
 * Writing. All is kept in memory up to 64 KiB and then written in blocks of that size. A failed
 * write sticks and commit reports it. The file has a temporary name ("incoming/1.2345") that no
 * other program reads; commit writes the rest, marks the file as complete, renames it and syncs it.
 * Until commit returns 0 the message does not exist; from then on it survives a power cut. Disk
 * full is 4.3.1.
 */
struct qfile *qfile_create(enum queue q, struct why *why);
const char *qfile_id(const struct qfile *f); /* known from the start, for the log */
off_t qfile_tell(const struct qfile *f); /* where the next record goes, or is read from */
off_t qfile_put(struct qfile *f, enum rec type, struct str body); /* where it went */
off_t qfile_putf(struct qfile *f, enum rec type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Records that are already encoded, checked by the caller. */
void qfile_put_raw(struct qfile *f, struct str records);
/* Overwrites a record; the body must be as long as before. */
int qfile_patch(struct qfile *f, off_t at, enum rec type, struct str body);
/*
 * Gaps: places where something may be put in later. A gap is a pointer record that says "go on
 * here" until qfile_fill makes it lead to records further on in the file; these end with a pointer
 * of their own that leads back (qfile_go_on). Also a record of at least QFILE_GAP bytes can be
 * replaced so. Readers follow pointers by themselves. See queue/qedit.h.
 */
#define QFILE_GAP 17 /* bytes of a pointer record */
off_t qfile_gap(struct qfile *f); /* where it is */
int qfile_fill(struct qfile *f, off_t gap, off_t to); /* from now on reading goes on at to */
off_t qfile_go_on(struct qfile *f, off_t at); /* the end of an insertion; where that pointer is */
/* Reads back what has been written so far; to be closed with qfile_close before f is. */
struct qfile *qfile_read_back(struct qfile *f);
void qfile_patch_size(struct qfile *f, const struct qsize *size); /* of the REC_SIZE at 0 */
void qfile_set_queue(struct qfile *f, enum queue q); /* where commit puts it: incoming or hold */
/* -1 and why: a write has failed, so commit will fail, too. 0: none that has been tried. */
int qfile_written(const struct qfile *f, struct why *why);
int qfile_commit(struct qfile **f, struct why *why); /* (waits) -1: nothing is left of it */
/* The same; after success *fd is its open descriptor, which the caller closes: the proof that this
 * process has written the file. */
int qfile_commit_keep(struct qfile **f, int *fd, struct why *why);
/* Writes what has been put so far and gives the file its final name, so that others can read it. It
 * is not marked as complete, so qmgr does not take it. qfile_abort removes it. */
int qfile_show(struct qfile *f, struct why *why);
void qfile_abort(struct qfile **f); /* removes the file; null is accepted */

/*
 * Reading. Small files are read at once. QFILE_DELIVER is for agents: it takes a shared lock
 * (flock), since several agents may deliver one message at a time. QFILE_OWN takes an exclusive
 * lock: nobody is delivering the message. If the lock is taken, the call fails at once: null and
 * "4.3.0 ... in use". These are Postfix's own rules, so both suites' programs respect each other.
 * After a failed open errno tells more: ENOENT, EAGAIN (in use).
 */
enum qfile_mode { QFILE_READ, QFILE_DELIVER, QFILE_OWN };
struct qfile *qfile_open(enum queue q, const char *id, enum qfile_mode mode, struct why *why);
/* For qmgr, which alone opens files of active by name: as QFILE_DELIVER, to be passed to an agent.
 * The descriptor, which the caller closes, or -1, why and errno. */
int qfile_open_to_pass(const char *id, struct why *why);
/* For agents: a file of active whose descriptor came with the request; it is taken over, also on
 * failure, and may be -1. Null and why (5.3.0) unless it is a complete queue file of that owner. */
struct qfile *qfile_passed(int fd, const char *id, uid_t owner, struct why *why);
int qfile_fd(const struct qfile *f); /* still the file's */
struct qfile *qfile_open_path(const char *path, struct why *why); /* for reading, by any name */
/* The next record; *body is good until the next call. Follows pointer records. REC_BAD sticks until
 * the next seek; qfile_damaged tells what it means. */
enum rec qfile_next(struct qfile *f, struct str *body);
enum rec qfile_next_raw(struct qfile *f, struct str *body); /* pointer records as any other */
int qfile_seek(struct qfile *f, off_t at, struct why *why);
/* After a record that should not be: 5.3.0 and what, and the file belongs into corrupt; or 4.3.0 if
 * the disk did not let us read it: it may be whole, so it is tried again. Always -1. */
int qfile_damaged(const struct qfile *f, const char *what, struct why *why);
off_t qfile_at(const struct qfile *f); /* where the record that was last returned begins */
const struct stat *qfile_stat(const struct qfile *f); /* as it was when opened */
/* The recipient record there becomes REC_DONE; harmless if it is that already. Not synced: after a
 * power cut the mail may be delivered twice, but is never lost. */
int qfile_mark_done(struct qfile *f, off_t rcpt, struct why *why);
/* Has whoever delivers marked it meanwhile? 1: yes, 0: no. -1 and why: it cannot be known now. */
int qfile_is_done(const struct qfile *f, off_t rcpt, struct why *why);
/* Makes the record there void (REC_KILL). */
int qfile_kill(struct qfile *f, off_t at, enum rec expected, struct why *why);
/* The warning time there becomes -1: the sender was warned. */
int qfile_mark_warned(struct qfile *f, off_t warning, struct why *why);
void qfile_close(struct qfile **f);

#endif
