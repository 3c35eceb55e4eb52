/* cache.h - texts of messages that clients list: ENVELOPE, BODYSTRUCTURE, header fields, sizes */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/vec.h"
#include "base/why.h"

struct mime_part;

/*
 * pombal.cache beside the journal: a head, then records, each with a sum. It is never synced: lost
 * records are made again from the messages. Appended to under the folder's lock; rewritten and
 * renamed only together with the journal, so a process that sees a new journal opens the cache
 * anew.
 */
struct cache_entry {
    struct str envelope, structure, fields; /* fields.p null: not kept */
    uint64_t size; /* with CRLF */
    uint32_t header_size; /* with CRLF */
};
struct cache_place {
    uint32_t uid, at; /* at: in units of 8 bytes */
};
struct cache {
    int dirfd; /* of the folder, not owned */
    int fd; /* -1: not open */
    uint32_t uidvalidity;
    char *window; /* bytes of the file from window_at on */
    off_t window_at;
    size_t window_n, window_room;
    off_t end; /* what is indexed */
    VEC(struct cache_place) index;
    size_t next; /* in index: behind the one that was found last */
    bool sorted, torn;
    int64_t absent_until; /* clock_ms: until then the file is taken to be missing without a look */
};

/* The file in the folder dirfd, which is borrowed; it is opened when it is needed. A file of
 * another uidvalidity is not used. */
void cache_init(struct cache *c, int dirfd, uint32_t uidvalidity);
void cache_close(struct cache *c);

/* The texts of a message as a record without its uid; header: its first bytes, at least the header,
 * with LF (else no fields are kept). */
void cache_make(const struct mime_part *root, struct str header, struct buf *out);
/* The record in a buffer of cache_make. */
void cache_read(struct str record, struct cache_entry *out);
void cache_set_uid(struct buf *record, uint32_t uid);

/* Appends whole records, under the folder's lock. Errors are ignored: the texts can be made again.
 */
void cache_append(struct cache *c, struct str records);
/* False: there is no record of this uid. out is valid until the next call for this cache. */
bool cache_find(struct cache *c, uint32_t uid, struct cache_entry *out);
/* The bytes of a record, to be copied to another folder; valid as above. Empty: none. */
struct str cache_record(struct cache *c, uint32_t uid);

/* Rewrites the file without the records that keep refuses, if enough of it would go. */
typedef bool cache_keep(const void *arg, uint32_t uid);
void cache_trim(struct cache *c, cache_keep *keep, const void *arg);

bool cache_keeps_field(struct str name); /* is this header field one of those in fields? */

#endif
