/* mailbox.h - one folder, for local, virtual, pop3d and imapd */
#ifndef STORE_MAILBOX_H
#define STORE_MAILBOX_H

#include <stdint.h>
#include <sys/types.h>

#include "base/why.h"

struct store; /* store/store.h: one user's folders: list, create, rename, remove, quota */
struct uidset;

enum msg_flag { MSG_SEEN = 1, MSG_ANSWERED = 2, MSG_FLAGGED = 4, MSG_DELETED = 8, MSG_DRAFT = 16 };

struct msg {
    uint32_t uid;
    uint32_t flags;
    uint64_t keywords; /* bit i: the folder's i-th keyword */
    uint64_t modseq;
    int64_t received; /* seconds */
    uint64_t size; /* with CRLF line ends */
};

/* Adding: delivery, APPEND, COPY. A failed write sticks and commit reports it. */
struct mail_in;
struct mail_in *mail_in_new(struct store *s, const char *folder, const struct msg *as,
                            struct why *why);
void mail_in_put(struct mail_in *m, struct str bytes);
int mail_in_commit(struct mail_in **m, uint32_t *uid, struct why *why); /* (waits) synced */
void mail_in_abort(struct mail_in **m);

/*
 * A view of a folder. It stands still: the count, the numbers (1 to count)
 * and the flags change only in mailbox_pull, one event of the journal at a
 * time, and each event is one untagged response of IMAP. Expunges wait
 * while may_expunge is false, as RFC 3501 7.4.1 wants it during FETCH,
 * STORE and SEARCH.
 */
struct mailbox;
struct mailbox *mailbox_open(struct store *s, const char *folder, bool read_only, struct why *why);
void mailbox_close(struct mailbox **b);
uint32_t mailbox_count(const struct mailbox *b);
uint32_t mailbox_uidvalidity(const struct mailbox *b);
uint32_t mailbox_uidnext(const struct mailbox *b);
const struct msg *mailbox_msg(const struct mailbox *b, uint32_t number);

enum mail_event { MAIL_NONE, MAIL_ADDED, MAIL_FLAGS, MAIL_EXPUNGED, MAIL_KEYWORD, MAIL_FAILED };
enum mail_event mailbox_pull(struct mailbox *b, bool may_expunge, uint32_t *number,
                             struct why *why);
int mailbox_news_fd(const struct mailbox *b); /* readable: pull may find something */

enum flag_op { FLAGS_SET, FLAGS_ADD, FLAGS_DROP };
int mailbox_flag(struct mailbox *b, const struct uidset *which, enum flag_op op, uint32_t flags,
                 uint64_t keywords, struct why *why);
int mailbox_expunge(struct mailbox *b, const struct uidset *which, struct why *why);
int mailbox_copy(struct mailbox *b, const struct uidset *which, const char *to, bool move,
                 struct uidset *made, struct why *why);

/* The bytes: a descriptor open for reading, owned by the view. */
int mailbox_bytes(struct mailbox *b, uint32_t number, int *fd, off_t *size, struct why *why);

/* From the cache file: ENVELOPE or BODYSTRUCTURE as IMAP text; n is 0 if not there yet. */
enum cached { CACHED_ENVELOPE, CACHED_STRUCTURE };
struct str mailbox_cached(struct mailbox *b, uint32_t number, enum cached what);

#endif
