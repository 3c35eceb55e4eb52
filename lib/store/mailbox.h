/* mailbox.h - one folder, for local, virtual, pop3d and imapd */
#ifndef STORE_MAILBOX_H
#define STORE_MAILBOX_H

#include <stdint.h>
#include <sys/types.h>

#include "base/why.h"

struct store; /* store/store.h: one user's folders */
struct task;
struct uidset;

/* RFC 3501 2.3.2. MSG_RECENT is in no record: mailbox_recent tells it. */
enum msg_flag { MSG_SEEN = 1, MSG_ANSWERED = 2, MSG_FLAGGED = 4, MSG_DELETED = 8, MSG_DRAFT = 16 };
enum { MSG_FLAGS = 31, MSG_KEYWORDS = 64 };

/* For msg.received and msg given to mail_in_new: the second 0 of 1970, since 0 says: not known. */
#define MSG_EPOCH INT64_MIN

struct msg {
    uint32_t uid;
    uint32_t flags; /* enum msg_flag; other bits are the store's own */
    uint64_t keywords; /* bit i: the folder's i-th keyword; mailbox_has_keyword knows all of them */
    uint64_t modseq; /* RFC 7162: position of the last change in the folder's journal */
    int64_t
        received; /* seconds since 1970, MSG_EPOCH; 0: not known yet, mailbox_received finds it */
    uint64_t size; /* with CRLF line ends; 0: not known yet, mailbox_size finds it */
};

/*
 * Adding: delivery, APPEND. The bytes come in pieces, with LF or CR LF line ends, and are kept with
 * LF. A failed write sticks and commit reports it. From as (null: a new message of now) only flags
 * and received (0: now) are taken. Until commit returns 0 the message does not exist; from then
 * on it survives a power cut: the file is synced before it gets its name, then the record of the
 * journal. Commit frees m in any case.
 */
struct mail_in;
struct mail_in *mail_in_new(struct store *s, const char *folder, const struct msg *as,
                            struct why *why);
void mail_in_put(struct mail_in *m, struct str bytes);
/* Sets a keyword; a new name is defined in the folder. A name that the folder cannot take is
 * ignored. */
void mail_in_keyword(struct mail_in *m, struct str name);
/* (waits) Into the folder of mail_in_new. uid and uidvalidity may be null. */
int mail_in_commit(struct mail_in **m, uint32_t *uid, uint32_t *uidvalidity, struct why *why);
/*
 * A delivery that decides at the end where a message goes: the folder given to mail_in_new then
 * only says below which directory the bytes are written.
 */
struct mail_place {
    const char *folder; /* it must exist; null: that of mail_in_new, with what was told there */
    uint32_t flags; /* MSG_ bits */
    const char *const *keywords; /* names; closed by null, or null: none */
    uint32_t uid, uidvalidity; /* set by a commit that returns 0 */
};
/* (waits) As commit, into 1 to n folders of the same store, none of them twice; the bytes are kept
 * once. -1 and why: the message is in none of the places. */
int mail_in_commit_to(struct mail_in **m, struct mail_place *places, size_t n, struct why *why);
void mail_in_abort(struct mail_in **m);

/*
 * A view of a folder. It stands still: the count and the numbers (1 to count) change only in
 * mailbox_pull, one message at a time, and each is one untagged response of IMAP. A message whose
 * flags changed many times is told once; one that is told as added is not told as changed too. (The
 * flags that mailbox_msg shows are always the newest: views of a process share them.)
 * Expunges wait while may_expunge is false, as RFC 3501 7.4.1 wants it during FETCH, STORE and
 * SEARCH; a message that is expunged but still in the view keeps its state, but has no bytes.
 * Several expunges are told from the highest number down. MAIL_FAILED is final: the folder was
 * removed or had to be numbered anew; close the view.
 */
struct mailbox;
/* (waits) Reads the journal, takes over or rebuilds if there is none, merges what others did to the
 * Maildir. A folder that does not exist: "5.2.0". */
struct mailbox *mailbox_open(struct store *s, const char *folder, bool read_only, struct why *why);
void mailbox_close(struct mailbox **b); /* (waits) file names follow the flags; null is accepted */
bool mailbox_read_only(const struct mailbox *b);
uint32_t mailbox_count(const struct mailbox *b);
uint32_t mailbox_uidvalidity(const struct mailbox *b);
uint32_t mailbox_uidnext(const struct mailbox *b);
uint64_t mailbox_modseq(const struct mailbox *b); /* HIGHESTMODSEQ */

/*
 * What a view shows belongs to the folder, which other tasks of the process change and move while
 * this one waits. So a pointer from here must not be used after anything that may wait, and all of
 * stream_put* may: copy what is needed first. (Numbers stay; keywords' names stay until close.)
 */
/* number: 1 to count. The pointer is valid until the next call that (waits) or pulls. */
const struct msg *mailbox_msg(const struct mailbox *b, uint32_t number);
bool mailbox_recent(const struct mailbox *b, uint32_t number); /* first told to this view */
uint32_t mailbox_recent_count(const struct mailbox *b);
/* Another session has expunged it; the view shows it until mailbox_pull tells of that. */
bool mailbox_is_expunged(const struct mailbox *b, uint32_t number);
uint32_t mailbox_first_unseen(const struct mailbox *b); /* a number, or 0 */
uint32_t mailbox_number(const struct mailbox *b, uint32_t uid); /* 0: not in the view */
uint32_t mailbox_number_from(const struct mailbox *b,
                             uint32_t uid); /* the first with uid or above; count + 1: none */

/*
 * Keywords have places from 0 on. A place whose name is empty is free: it never had one, or no
 * message had the keyword any more at a checkpoint; another keyword may get it. Names compare
 * without case and keep the case of the first use.
 */
uint32_t mailbox_keyword_count(const struct mailbox *b); /* of places */
struct str mailbox_keyword(const struct mailbox *b, uint32_t i);
int mailbox_keyword_find(const struct mailbox *b, struct str name); /* -1: not defined */
bool mailbox_has_keyword(const struct mailbox *b, uint32_t number, uint32_t i);
bool mailbox_may_define(const struct mailbox *b); /* another keyword: see maildir_keyword_limit */

enum mail_event { MAIL_NONE, MAIL_ADDED, MAIL_FLAGS, MAIL_EXPUNGED, MAIL_KEYWORD, MAIL_FAILED };
/* (waits) number: of the message; for MAIL_EXPUNGED the number it had, MAIL_KEYWORD: names of
 * keywords are new, number is 0. Flags that the view itself changed silently are not told to it.
 * Looks at the disk at most once per mailbox_check; call until MAIL_NONE. */
enum mail_event mailbox_pull(struct mailbox *b, bool may_expunge, uint32_t *number,
                             struct why *why);
/* (waits) Looks for what other processes did: journal and directories. Before the pulls of a
 * command. */
int mailbox_check(struct mailbox *b, struct why *why);
/* Wakes the task with task_wake whenever mailbox_check and mailbox_pull may find something; for
 * IDLE (task_wait_either). who null ends this. Without inotify the task is woken every 30 seconds.
 */
void mailbox_watch(struct mailbox *b, struct task *who);

enum flag_op { FLAGS_SET, FLAGS_ADD, FLAGS_DROP };
struct flag_change {
    enum flag_op op;
    uint32_t flags;
    const struct str *keywords; /* names; those that are set or added are defined if need be */
    size_t nkeywords;
    bool silent; /* do not tell this view */
};
/* (waits) These three take sets of uids; uids that are not in the folder are ignored. 0, or -1 and
 * why; "5.2.2": there would be too many keywords, and nothing is changed. */
int mailbox_flag(struct mailbox *b, const struct uidset *which, const struct flag_change *change,
                 struct why *why);
/* Removes those of which that have MSG_DELETED now, or all of which if any_flags. (waits) */
int mailbox_expunge(struct mailbox *b, const struct uidset *which, bool any_flags, struct why *why);
/*
 * (waits) All or nothing. from: those that were copied, in ascending order; made: the new uids in
 * the same order (RFC 4315 COPYUID); they are appended, and mean nothing if it fails. "5.1.1": no
 * such folder (TRYCREATE).
 */
struct copied {
    struct uidset *from, *made;
    uint32_t uidvalidity;
};
int mailbox_copy(struct mailbox *b, const struct uidset *which, const char *to, bool move,
                 struct copied *out, struct why *why);

/* The bytes as they are on disk (line ends are LF, or what another program wrote): a descriptor
 * open for reading, owned by the view, valid until the next call of this function. "5.2.0" if the
 * message was expunged: here, and of the next three. (waits) */
int mailbox_bytes(struct mailbox *b, uint32_t number, int *fd, off_t *size, struct why *why);
/* (waits) Size with CRLF; reads the message if nobody has counted it yet. */
int mailbox_size(struct mailbox *b, uint32_t number, uint64_t *size, struct why *why);
/* A caller that has read all bytes of a message whose msg.size was 0 may report the size it
 * counted, with CRLF line ends, so that it is kept. */
void mailbox_counted(struct mailbox *b, uint32_t number, uint64_t size);
/* (waits) When the message came (INTERNALDATE), in seconds since 1970. For a file that another
 * program has put there this is its modification time at the first question, which is then kept in
 * the journal. */
int mailbox_received(struct mailbox *b, uint32_t number, int64_t *received, struct why *why);

/*
 * From the cache file, or made by reading the message and kept for the next time. (waits)
 * The text is in a buffer of the folder, which others use too: valid until the next call for
 * another message, or until anything waits, stream_put too. CACHED_ENVELOPE: "(...)" of RFC
 * 3501 7.4.2. CACHED_STRUCTURE: BODYSTRUCTURE's "(...)"; mail/imap_text.h makes BODY from it.
 * CACHED_FIELDS: the header fields that clients list, each as it stands in the message with CRLF
 * line ends, in their order: mailbox_field_cached says which.
 */
enum cached { CACHED_ENVELOPE, CACHED_STRUCTURE, CACHED_FIELDS };
int mailbox_cached(struct mailbox *b, uint32_t number, enum cached what, struct str *text,
                   struct why *why);
bool mailbox_field_cached(struct str name);

/* Exclusive use against other sessions that ask for it too (pop3_lock_session), until close. -1,
 * "4.2.0": another session has it; another code: it cannot be told. */
int mailbox_lock_session(struct mailbox *b, struct why *why);

/* Dovecot's and Courier's name of the message: the file name up to the first colon. Valid until the
 * next call that (waits). */
struct str mailbox_guid(const struct mailbox *b, uint32_t number);

#endif
