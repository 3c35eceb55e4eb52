/* view.h - struct mailbox, for the files of lib/store that are about it */
#ifndef STORE_VIEW_H
#define STORE_VIEW_H

#include "store/folder.h"

struct mailbox {
    struct list link; /* of the folder */
    struct folder *f;
    bool read_only;
    bool recent_claimed; /* not in the journal yet */
    uint32_t count;
    uint32_t *map; /* null: number n is slot n - 1 */
    size_t room, gap_at, gap; /* map has a gap of free entries at gap_at */
    uint64_t next_event; /* of the folder's */
    uint32_t in_event; /* the uid to go on with in it */
    struct uidset gone; /* expunged, but not told yet */
    struct uidset recent;
    struct task *watcher;
    int fd; /* of the message fd_uid */
    uint32_t fd_uid;
    off_t fd_size;
    int lock_fd;
    struct buf text; /* the record of text_uid that was made last */
    uint32_t text_uid;
    struct buf pending, sizes; /* records and journal_size that are not on disk yet */
};

enum { VIEW_MESSAGE_MAX = 1 << 30 };

struct slot *view_slot(const struct mailbox *b, uint32_t number);
int view_merge(struct mailbox *b, bool force, struct why *why); /* (waits) */
void view_flush(struct mailbox *b); /* (waits) what is pending */
/* (waits) The whole message as it is on disk. */
int view_read(struct mailbox *b, uint32_t number, struct buf *out, struct why *why);
int view_lock_file(const struct mailbox *b); /* a locked descriptor, or -1 */

#endif
