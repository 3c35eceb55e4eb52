/* store.h - one user's folders: Maildir++ directories below one root */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/why.h"

/*
 * INBOX is the root itself, "A.B" the directory ".A.B" in it (with separator '/', "A/B" is the same
 * folder). Names are as IMAP has them (modified UTF-7), and so on disk, as Dovecot's are. INBOX
 * is known in any case of letters. All files are reached relative to a descriptor of the root, so
 * a store works in a jail that was entered after store_open. Settings of 0 or null have the
 * default that is named.
 */
struct store_settings {
    char separator; /* '.' */
    const char *hostname; /* in file names: "localhost" */
    const char *
        special_use; /* "Drafts=\\Drafts Sent=\\Sent Junk=\\Junk Trash=\\Trash Archive=\\Archive" */
    const char *auto_folders; /* made if they are missing, and shown as subscribed: "" */
    bool flags_sync; /* rename files at each change of flags (maildir_flags_sync = always) */
    bool no_sync; /* trust the kernel: for tests and imports */
    bool sync_dirs; /* always, not only where the file system needs it (maildir_sync_directories) */
    int64_t lock_ms; /* wait for a folder's lock: 120,000 */
    uint32_t mode; /* of directories; files: without the x bits: 0700 */
    size_t folders; /* at most: 10,000 */
    size_t keywords; /* names in a folder, at most: 1,000 */
    size_t depth; /* nested parts of a message: 100 */
    size_t parts; /* parts of a message that are told apart: 10,000 */
    size_t header; /* bytes that are read of a header, also of a part's: 1 MiB */
};

struct store;

/* (waits) path: the Maildir, made with its parents if make. "5.2.0": it does not exist. */
struct store *store_open(const char *path, const struct store_settings *settings, bool make,
                         struct why *why);
void store_close(struct store **s); /* its views must be closed; null is accepted */
bool store_is_current(const struct store *s); /* the path still leads to the open directory */
const char *store_path(const struct store *s);

/*
 * Stores kept open between deliveries, least recently used dropped at max. store_keep returns a
 * store for path that is current, to be given back with store_release. The path alone is the key: a
 * pool serves one set of settings. The descriptors of a kept store were opened with the rights of
 * the caller that asked first for the path, so a process that acts as several users must use one
 * path for one user only.
 */
struct store_pool;
struct store_pool *store_pool_new(const struct store_settings *settings, size_t max);
void store_pool_free(struct store_pool **p);
struct store *store_keep(struct store_pool *p, const char *path, bool make, struct why *why);
void store_release(struct store_pool *p, struct store *s);

/* Folders. Errors: "5.2.0" no such folder, "5.2.1" exists already, "5.1.3" the name cannot be used.
 */
enum folder_attr {
    FOLDER_NOSELECT = 1, /* only a parent of others */
    FOLDER_HAS_CHILDREN = 2,
    FOLDER_SUBSCRIBED = 4,
    FOLDER_MARKED = 8, /* something in new/ */
    FOLDER_MISSING = 16, /* subscribed, but does not exist */
};
struct folder_entry {
    struct str name; /* with the store's separator */
    unsigned attrs;
    const char *special_use; /* "\\Sent", or null; RFC 6154 */
};
struct folder_list {
    struct folder_entry *at; /* sorted: INBOX first, then by bytes with children behind parents */
    size_t n;
    bool cut; /* there are more than store_settings.folders: some are missing */
};
/* All folders and parents; with subscribed also subscriptions without a folder. */
int store_list(struct store *s, struct arena *mem, bool subscribed, struct folder_list *out,
               struct why *why);
/* 1: it can be selected; 0: there is none. -1 and why: it cannot be told just now. */
int store_has(struct store *s, const char *folder, struct why *why);
bool store_name_ok(const struct store *s, const char *folder, struct why *why);
char store_separator(const struct store *s);

/* (waits) A trailing separator is taken off. */
int store_create(struct store *s, const char *folder, struct why *why);
int store_remove(struct store *s, const char *folder, struct why *why); /* its children stay */
/* With its children. INBOX: its messages move to the new folder, RFC 3501 6.3.5. (waits) */
int store_rename(struct store *s, const char *from, const char *to, struct why *why);
int store_subscribe(struct store *s, const char *folder, bool on, struct why *why); /* (waits) */

struct folder_status {
    uint32_t messages, recent, unseen, uidnext, uidvalidity;
    uint64_t modseq, size;
};
/* (waits) STATUS: without taking \Recent from anybody. */
int store_status(struct store *s, const char *folder, struct folder_status *out, struct why *why);

#endif
