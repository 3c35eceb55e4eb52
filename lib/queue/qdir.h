/* qdir.h - the directories of the queue: paths, moves, removal, walks */
#ifndef QUEUE_QDIR_H
#define QUEUE_QDIR_H

#include <sys/stat.h>

#include "base/why.h"

/*
 *  maildrop --pickup--> incoming --qmgr--> active --> gone
 *                          |                |  ^
 *                          v     put off    v  |  due again
 *                         hold            deferred        corrupt: not readable
 *
 * A message is in exactly one of these; a move is one rename(2). Paths are relative to
 * queue_directory, which is the working directory of every daemon. Those of hash_queue_names have
 * hash_queue_depth levels of subdirectories, made when they are needed. defer, bounce and trace
 * hold a log per message that waits for a report.
 */
enum queue {
    Q_MAILDROP,
    Q_INCOMING,
    Q_ACTIVE,
    Q_DEFERRED,
    Q_HOLD,
    Q_CORRUPT,
    Q_SAVED,
    Q_DEFER,
    Q_BOUNCE,
    Q_TRACE,
    Q_FLUSH,
    Q_COUNT
};

/* A message file is complete when its owner may execute it; only then do qmgr and pickup take it.
 * One that nobody may write to was found damaged. */
#define QUEUE_MODE_PARTIAL 0600
#define QUEUE_MODE_READY   0700
#define QUEUE_MODE_DROPPED 0744 /* READY, by a local user: pickup is somebody else */
#define QUEUE_MODE_CORRUPT 0400

const char *queue_name(enum queue q); /* "incoming" */
bool queue_by_name(const char *name, enum queue *q); /* false: there is no such queue */

/* "deferred/A/ABCDE12345". Clears path first. The id must be valid (qid_valid); whoever
 * has it from somebody else asks that first, for no path is made of anything else: the process
 * ends.
 */
void queue_path(struct buf *path, enum queue q, const char *id);
/* Makes the hash directories of an id. */
int queue_make_dirs(enum queue q, const char *id, struct why *why);

/* errno tells why after -1: ENOENT if there is no such file. A move makes hash directories when
 * they are missing. */
int queue_move(const char *id, enum queue from, enum queue to, struct why *why);
/* From where a scan found it: other settings may have put it there. */
int queue_move_found(const char *path, const char *id, enum queue to, struct why *why);
int queue_remove(enum queue q, const char *id, struct why *why);
bool queue_stat(enum queue q, const char *id, struct stat *st); /* false: not there, or errno */
/* False: it is certain that there is none. What is owed to somebody is not forgotten because a disk
 * does not answer. */
bool queue_may_have(enum queue q, const char *id);
/* Is this descriptor, perhaps -1, open for reading and writing on the file that the queue has under
 * the id? Whoever can show such a one has made the file or was given it: one with O_PATH everybody
 * gets who knows the name. st gets what fstat says. The id must be valid. */
bool queue_is_file(enum queue q, const char *id, int fd, struct stat *st);
/* Has another message this id already, in active, deferred or hold? st: of the file in incoming. An
 * id is made for the inode of its file, so only a file that was put there by other means (a copied
 * queue, an intruder) is asked about. */
bool queue_is_taken(const char *id, const struct stat *st);
/* The first of the queues in list (closed by Q_COUNT) that has the id; Q_COUNT: none. */
enum queue queue_locate(const char *id, const enum queue *list, struct stat *st);

/*
 * Walks one queue, hash directories and files beside them alike, in the order of the directory.
 * What is no queue id (temporary files, other people's) is passed over unless all was asked for.
 */
struct queue_scan;
struct queue_scan *queue_scan_new(enum queue q);
const char *queue_scan_next(struct queue_scan *s); /* an id, or null; valid until the next call */
const char *queue_scan_path(const struct queue_scan *s); /* where that one really is */
void queue_scan_all(struct queue_scan *s, bool all); /* names that are no queue ids too */
/* Some directory could not be read to its end: there may be more ids than it told. */
bool queue_scan_failed(const struct queue_scan *s);
void queue_scan_free(struct queue_scan **s);

/* queue_minfree: bytes that must be left for others, and room for size of this message; and in any
 * case 1.5 * message_size_limit, as in Postfix. 4.3.1 if there is not. */
int queue_check_space(int64_t size, struct why *why);

#endif
