/* folder.h - a folder that this process has open: files, state, lock. Only for lib/store */
#ifndef STORE_FOLDER_H
#define STORE_FOLDER_H

#include "base/list.h"
#include "mail/mime_tree.h"
#include "store/cache.h"
#include "store/folder_state.h"
#include "store/store.h"

#define FOLDER_JOURNAL "pombal.journal"

struct mailbox;
struct store_watch;

struct store {
    char *path;
    int rootfd;
    ino_t ino; /* of the root */
    dev_t dev;
    struct store_settings set; /* complete; strings are owned */
    struct list folders;
    struct list dirs; /* struct folder_dir */
    unsigned uses; /* by a pool */
    int64_t used_at;
    struct store_watch *watch; /* store_watch.c; null: nobody waits for news */
};

/*
 * A directory that folders of this process have open. Usually that is one folder. There are two
 * when one has failed, because a view still shows it, and the directory was opened again: they
 * share the descriptor, the lock and the inotify numbers, so that they cannot wait for each other.
 */
struct folder_dir {
    struct list link; /* of the store */
    unsigned uses;
    int fd;
    dev_t dev;
    ino_t ino;
    bool asked, needs_sync; /* is it a file system that forgets names? */
    bool locked;
    struct list waiters;
    size_t watchers; /* folders that want news */
    int watch_dir, watch_new, watch_cur; /* of the store's notify; -1: none */
};

/* A journal as far as it was read. */
struct journal_file {
    struct journal_head head;
    ino_t ino;
    off_t end;
    off_t checkpoint; /* size of the first record; 0: not known */
    off_t tip; /* where the last record stands, and its sum; 0: there is none */
    uint32_t tip_sum;
    int64_t changed; /* time of change when it was looked at last, ns; 0: written to since */
};

/*
 * All views and deliveries of a process share it: there is one for a directory, whatever name it
 * was opened by, besides those that have failed. Open, it knows the next uid and the end of the
 * journal; loaded, it knows all messages. What is on disk is changed only under the lock, which
 * tasks of this process wait for in line and other processes by trying again.
 */
struct folder {
    struct list link; /* of the store */
    struct store *store;
    char *name; /* "INBOX", "A.B" */
    char *dir; /* below the root: ".", ".A.B" */
    struct folder_dir *on;
    int dirfd, jfd; /* dirfd: on->fd; jfd: see folder_use_journal */
    int syncing; /* tasks that wait for a sync of the journal */
    VEC(int) replaced; /* journals that may be one of those */
    struct blobs blobs; /* there */
    unsigned uses;
    bool loaded;
    bool opening, watched;
    bool in_memory; /* records are applied but not written: the journal is being made, or the folder
                       cannot be written */
    bool frozen; /* the journal cannot be written: the folder is shown as the journal has it */
    bool failed; /* removed, or numbered anew by somebody else */
    struct journal_file j;
    struct state state; /* not loaded: only uidnext and modseq */
    struct events events;
    uint64_t events_base; /* number of events.list.at[0] */
    struct list views;
    struct buf out; /* records to be written */
    bool out_short; /* one of them was too large */
    uint32_t out_uidnext;
    uint64_t out_modseq;
    struct cache cache;
    int64_t looked_new, looked_cur; /* times of the directories when they were read last, ns */
    int64_t
        again_at; /* until then (task_now, ms) directories with these times are not read again */
    int64_t checkpoint_at; /* no checkpoint before (task_now, ms) */
    size_t gone_kept; /* slots that views still show, at the last compaction */
};

/* (waits) Opens the folder, or finds it open in this process; folder_release ends the use. Null and
 * why; "5.2.0": it does not exist. */
struct folder *folder_open(struct store *s, const char *name, struct why *why);
void folder_release(struct folder *f);
void folder_close(struct folder *f); /* called by the store when nobody uses the folder */

/* (waits) "4.2.0" after maildir_lock_timeout. The lock is the directory's: do not take it for two
 * folders of one directory. */
int folder_lock(struct folder *f, struct why *why);
void folder_unlock(struct folder *f);

/* (waits; takes the lock if it is needed and locked is false) Afterwards state has all messages.
 * Also for a folder that was loaded before a wait and has no views: numbering it anew may have
 * failed meanwhile, and then it knows nothing. */
int folder_load(struct folder *f, bool locked, struct why *why);
/* Reads what other processes have appended to the journal; does not wait if the folder is loaded
 * and nothing is damaged. */
int folder_refresh(struct folder *f, bool locked, struct why *why);

/* Under the lock: collect records, then write them with one call and apply them. A record of which
 * uidnext is 0 leaves it as it is. */
void folder_record(struct folder *f, enum journal_type type, struct str payload, uint32_t uidnext);
/* A payload that is not whole makes the commit fail. */
void folder_record_buf(struct folder *f, enum journal_type type, const struct buf *payload,
                       uint32_t uidnext);
int folder_commit(struct folder *f, struct why *why);
/* -1, "5.7.1": the directory or the journal may only be read. */
int folder_writable(const struct folder *f, struct why *why);
/* Under the lock: raises the next uid and the modseq by n, in memory even if the record cannot be
 * written. */
int folder_leap(struct folder *f, int64_t n, struct why *why);
uint32_t folder_out_uidnext(const struct folder *f); /* after the records collected so far */
/* folder_keyword.c. Under the lock, loaded: the place of the keyword, found or defined. "5.2.2":
 * there are too many. */
int folder_define_keyword(struct folder *f, struct str name, struct why *why);
/* Records that the messages of which get or lose the keyword with this place, which is 64 or above;
 * folder_commit follows. */
void folder_record_keyword(struct folder *f, enum flag_op op, uint32_t place,
                           const struct uidset *which);
size_t folder_keyword_room(const struct folder *f); /* how many more keywords may be defined */
/* Keyword letters in file names that have no name yet get it from dovecot-keywords. */
int folder_learn_keywords(struct folder *f, struct why *why);
void folder_free_keywords(struct folder *f); /* of names that no message has; before a checkpoint */
/* fd becomes the folder's journal. The old one is closed when no task waits for its sync. */
void folder_use_journal(struct folder *f, int fd);

/* (waits) Syncs the journal and, on file systems that do not keep renames in order with a later
 * sync of another file, also the directories in dirs (SYNC_ bits). */
enum { SYNC_NEW = 1, SYNC_CUR = 2 };
int folder_sync(struct folder *f, unsigned dirs, struct why *why);

/* (waits) folder_expunge.c. Under the lock, loaded: files and records of those of which that have
 * MSG_DELETED, or of all if any_flags. */
int folder_expunge(struct folder *f, const struct uidset *which, bool any_flags, struct why *why);
/* Under the lock: the record alone, of messages whose files are gone. */
int folder_record_expunged(struct folder *f, const struct uidset *which, struct why *why);
/* (waits, takes the lock) Messages that were recorded but could not be synced: whoever added them
 * is told that it failed, so they must not stay. They are known by the names of their files, as
 * struct blob's base: numbers may be other messages' by now. Those that somebody has removed
 * meanwhile are passed over; a failure is logged. */
void folder_take_back(struct folder *f, const struct str *names, size_t n);

/* Under the lock, loaded: a fresh journal file with the state in one record. */
int folder_checkpoint(struct folder *f, struct why *why);
/* (waits) Housekeeping, while no task of this process iterates over the messages: a checkpoint if
 * the journal has grown enough, and the slots of expunged messages are freed. */
void folder_tidy(struct folder *f);

/* (waits, takes the lock if need be unless locked is true) folder_read.c. 1: the journal is open,
 * its next uid and modseq are known; 0: there is none, -1: error. */
int folder_open_journal(struct folder *f, bool locked, struct why *why);
/* Applies the good records at the start of bytes, which are at the place f->j.end of the file. */
void folder_apply(struct folder *f, struct str bytes);
/* Replaces the state by fresh, which is empty afterwards. Slots that views show keep their places,
 * and the differences become events for the views. Does not wait. */
void folder_adopt_state(struct folder *f, struct state *fresh);
/*
 * (waits) folder_write.c. Under the lock: a journal. state holds what could be saved of a damaged
 * one, or nothing; uidvalidity 0: a new one. It is made in a folder of its own and then adopted by
 * f, unless f has failed. first: a folder that cannot be written is shown all the same.
 */
int folder_make(struct folder *f, struct state *state, uint32_t uidvalidity, bool first,
                struct why *why);
/* folder.c: another folder in the same directory, which the store does not know of. */
struct folder *folder_beside(const struct folder *f);

/* How much of a message is told apart, and a line in the log if a header was longer. */
struct mime_limits folder_mime_limits(const struct folder *f);
void folder_warn_cut(const struct folder *f, const struct mime_part *root);

/* Ranges as the payload of J_EXPUNGE and J_NAMES, J_FLAGS. */
void folder_ranges(const struct uidset *set, struct buf *out);

/* maildir.c, maildir_merge.c. Under the lock, loaded. */
enum {
    MAILDIR_STALE = 3600
}; /* seconds after which directories are read again even if their times are unchanged */
bool maildir_changed(const struct folder *f, bool strict);
int maildir_merge(struct folder *f, bool force, struct why *why); /* (waits) */
/* (waits) Files of messages in which (null: all) get names that tell their flags; from new/ too if
 * take_new. */
int maildir_rename(struct folder *f, const struct uidset *which, bool take_new, struct why *why);

/* (waits) takeover.c: reads the uid list of Dovecot or Courier into an empty state, and its
 * uidvalidity, which stays 0 if there is none. -1 and why: it cannot be told now. */
int takeover(struct folder *f, struct state *state, uint32_t *uidvalidity, struct why *why);

/* The name with "." between the parts, INBOX in capitals; the directory below the root. */
void store_canonical(const struct store *s, const char *name, struct buf *out);
void store_dir(struct str canonical, struct buf *out);
/* (waits) store.c: a uidvalidity that no folder of this store had, and larger than above. 0 and
 * why: there is none just now; "4.2.0": somebody has held its lock for maildir_lock_timeout. */
uint32_t store_new_uidvalidity(struct store *s, uint32_t above, struct why *why);
/* store_list.c: a folder of mail_auto_folders is made if it is missing. False: it is none of them,
 * or it cannot be made. */
bool store_make_auto(struct store *s, const char *folder);
/* mailbox_news.c: all views take in the events, so that the list of events can be shortened. */
void mailbox_take_events(struct folder *f);
/* mailbox_view.c: which slots the views show, and where they are after compaction. */
void mailbox_marks(struct folder *f, bool *used);
void mailbox_slots_moved(struct folder *f, const uint32_t *to);

#endif
