/* store_names.h - the names of a store's folders and their directories: for listing and renaming */
#ifndef STORE_STORE_NAMES_H
#define STORE_STORE_NAMES_H

#include "base/arena.h"
#include "store/folder.h"

struct store_names {
    struct store *s;
    struct arena *mem;
    VEC(struct folder_entry) list;
    bool cut; /* there are more than the store's bound: some are missing */
};

/* Adds INBOX and all folders that have a directory, up to the store's bound. -1 and why: the root
 * cannot be read. The caller frees the list; names are in mem. */
int store_read_root(struct store_names *n, struct why *why);
/* Appends the directory of a folder, below the root; "." is INBOX. False and why: not a name. */
bool store_dir_of(const struct store *s, const char *folder, struct buf *dir, struct why *why);
bool store_is_dir(const struct store *s, const char *dir); /* below the root */
/* (waits) Whoever is told of a folder's name finds it after a power cut, too. */
int store_sync_names(struct store *s, const char *folder, struct why *why);

#endif
