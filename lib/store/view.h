/* view.h - struct mailbox, for the files of lib/store that are about it */
#ifndef STORE_VIEW_H
#define STORE_VIEW_H

#include "mail/mime.h"
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
    /* What the events say, not told yet (mailbox_news.c). */
    uint32_t renamed; /* of the state: names of keywords that were told */
    uint32_t last_uid, add_to; /* in the view; to be added */
    uint32_t told_uid; /* the last one that the owner knows of */
    struct uidset changed, gone;
    struct uidset telling; /* what is being told of changed */
    size_t telling_i;
    struct uidset recent;
    struct task *watcher;
    int fd; /* of the message fd_uid */
    uint32_t fd_uid;
    int64_t fd_time; /* its time, as msg.received */
    int lock_fd;
    struct buf text; /* the record of text_uid that was made last */
    uint32_t text_uid;
    /* Records, journal_size and journal_date that are not on disk yet. */
    struct buf pending, sizes, dates;
    bool date_told; /* a client has seen one of dates: it must be recorded soon */
};

enum { VIEW_MESSAGE_MAX = 1 << 30 };

struct slot *view_slot(const struct mailbox *b, uint32_t number);
void view_append(struct mailbox *b, size_t slot);
void view_drop(struct mailbox *b, uint32_t number);
/* mailbox_news.c: the view shows all of the folder, and its news from now on. */
void view_begin_news(struct mailbox *b);
void view_end_news(struct mailbox *b);
int view_merge(struct mailbox *b, bool force, struct why *why); /* (waits) */
void view_flush(struct mailbox *b); /* (waits) what is pending */
/* (waits) Others have their turns if this one has taken long. turn: clock_ms when it began; 0: it
 * begins now. */
void view_yield_if_due(int64_t *turn);
/* (waits) The whole message as it is on disk. */
int view_read(struct mailbox *b, uint32_t number, struct buf *out, struct why *why);
/* (waits) mime_tree_parse, but others have their turns in between. bytes must not change. */
struct mime_part *view_parse(struct arena *mem, const struct mime_limits *limits, struct str bytes);
/* (waits) Its header with the empty line, and maybe some of the body. */
int view_read_header(struct mailbox *b, uint32_t number, struct buf *out, struct why *why);

#endif
