/* mbox.h - a mailbox file: locked, and lengthened by one message or not at all */
#ifndef LOCAL_MBOX_H
#define LOCAL_MBOX_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/why.h"

struct mbox;

struct mbox_rules {
    const char *locks; /* "fcntl, dotlock, flock" */
    int64_t size_limit; /* of the file; 0: none */
    const uid_t *owner; /* whose it must be; null: anybody's */
    const uid_t *give_to; /* a new file becomes theirs (the caller is root) */
    const gid_t *give_to_group;
    bool any_file; /* no mailbox: devices are allowed, executable files are not; goes without a dot
                      lock where none can be made */
};

/* (waits) Opens the file, or makes it, and locks it. A symbolic link is followed only if root owns
 * it and the directory, and nobody else may write there. Each lock is tried deliver_lock_attempts
 * times, every deliver_lock_delay. Null and why. */
struct mbox *mbox_open(const char *path, const struct mbox_rules *rules, struct why *why);
/* Message lines, in pieces, with LF; "From " at the start of a line gets a ">". Failures stick. */
void mbox_put(struct mbox *m, struct str bytes);
void mbox_put_raw(struct mbox *m, struct str bytes); /* the From_ line */
/* (waits) An empty line, sync, unlock. -1: the file is as long as before. Frees in any case. */
int mbox_commit(struct mbox **m, struct why *why);
void mbox_abort(struct mbox **m);

#endif
