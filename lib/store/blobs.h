/* blobs.h - the bytes of a folder's messages, apart from its index. Only for lib/store */
#ifndef STORE_BLOBS_H
#define STORE_BLOBS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"

/*
 * The index (journal, cache, lists of numbers) is files beside the blobs and knows each of them by
 * a name; it asks for bytes through these functions only. blobs.c keeps them as files of a Maildir:
 * one that is being written is in tmp/, a named one is in new/ or cur/. Something else, such as an
 * object store, can take its place by another .c file with the same functions.
 *
 * What returns int returns 0 (or a descriptor), or -1 and errno; ENOENT says that no blob has that
 * name, because somebody else has removed or renamed it. Names are borrowed for the call, also
 * where it (waits). Only the sequence create, finish, commit makes a blob, and only a committed one
 * is listed. Whoever commits, renames or removes holds the folder's lock.
 */
struct blobs {
    int dirfd; /* of the folder; borrowed */
    uint32_t mode; /* of directories; files: without the x bits */
};

/*
 * The base is the blob's for good, and unique. The rest tells others the flags, as a Maildir does,
 * and changes with them; where names are not read by others it means nothing.
 */
struct blob {
    struct str base;
    uint32_t place; /* SLOT_FILE bits of folder_state.h: SLOT_NEW, SLOT_BARE, SLOT_ODD */
    uint32_t letters; /* maildir_name.h */
};

/* Places that have a time of change. */
enum blobs_dir { BLOBS_NEW, BLOBS_CUR };

/* Makes what is missing of the directories. */
int blobs_make(const struct blobs *b);

/* A blob that is being written: to be ended with blob_commit or blob_abort. */
struct blob_in {
    const struct blobs *to;
    int fd; /* -1: the bytes are all there */
    bool made; /* it is there, without a name */
    struct buf base; /* as it was created; the base of its name may be longer */
};
#define BLOB_IN ((struct blob_in){.fd = -1})

/* hostname: part of the base. */
int blob_create(struct blob_in *in, const struct blobs *to, const char *hostname);
int blob_write(struct blob_in *in, struct str bytes);
/* The end of the bytes. received: the time that the blob gets, in seconds, if it can be set; null:
 * now. (waits) sync: until the bytes are on disk. */
int blob_finish(struct blob_in *in, const int64_t *received, bool sync);
/* The same bytes, finished and synced, once more for another folder; they are kept once. */
int blob_share(const struct blob_in *in, const struct blobs *to, struct blob_in *copy);
/* Gives the name. It survives a power cut with the next sync of a file in the folder, where the
 * file system keeps that order; else with blobs_sync. */
int blob_commit(struct blob_in *in, const struct blob *name);
void blob_abort(struct blob_in *in); /* frees it; and removes the blob, unless it is committed */

int blob_open(const struct blobs *b, const struct blob *name); /* for reading; the caller's */
int blob_stat(const struct blobs *b, const struct blob *name, struct stat *st); /* size, mtime */
int blob_remove(const struct blobs *b, const struct blob *name);
/* Also into another folder: EXDEV says that this cannot be done there, and blob_copy can. */
int blob_rename(const struct blobs *b, const struct blob *name, const struct blobs *to,
                const struct blob *as);
/* (waits) A second blob with the same bytes and time, on disk where they had to be copied. */
int blob_copy(const struct blobs *b, const struct blob *name, const struct blobs *to,
              const struct blob *as);

/* Lists the names in one of the places, in no order. What is no blob (directories, hidden files) is
 * left out. */
struct blob_list;
struct blob_list *blobs_list(const struct blobs *b, enum blobs_dir dir); /* null and errno */
const char *blob_list_next(struct blob_list *l); /* valid until the next call; null: the end */
void blob_list_close(struct blob_list **l);

/* When names in there were added, changed or removed last, in ns; 0: cannot be told. */
int64_t blobs_time(const struct blobs *b, enum blobs_dir dir);
int blobs_sync(const struct blobs *b, enum blobs_dir dir); /* (waits) until its names are on disk */
/* Takes the lock that sessions use which want the folder for themselves: a descriptor, which the
 * caller closes to let go. */
int blobs_lock(const struct blobs *b);

#endif
