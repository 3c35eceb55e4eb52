/* deliver_mailbox.h - into a Maildir of the store or an mbox file, as its owner */
#ifndef LOCAL_DELIVER_MAILBOX_H
#define LOCAL_DELIVER_MAILBOX_H

#include "store/store.h"

#include "agent.h"

struct mailbox_target {
    const char *path; /* ending in "/": a Maildir */
    uid_t uid;
    gid_t gid;
    const char *original; /* X-Original-To, or "" */
    const char *delivered; /* Delivered-To, or "" */
    int64_t size_limit; /* of an mbox file, or of one message in a Maildir; 0: none */
    bool give_back; /* mail for a mailbox that only its owner can mend goes back at once */
    /* mbox only */
    const char *locks; /* "fcntl, dotlock, flock" */
    bool in_spool; /* a directory that users may not write to: make the file and its lock as root */
    bool check_owner; /* strict_mailbox_ownership */
    bool any_file; /* of an alias: a device is as good; an executable is not */
};

/* The stores that a process keeps open; made once, before or in the jail. */
void deliver_mailbox_open(void);

/*
 * (waits) 0: the message is there, on stable storage. -1: why, 4.x or 5.x, whose text begins as
 * Postfix's does. The caller's job is read from its beginning.
 */
int deliver_maildir(struct job *job, const struct mailbox_target *t, struct why *why);
int deliver_mbox(struct job *job, const struct mailbox_target *t, struct why *why);

#endif
