/* dict.h - lookup tables: "hash:/etc/postfix/virtual", "pcre:...", "static:x" */
#ifndef DICT_DICT_H
#define DICT_DICT_H

#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/why.h"

/*
 * A table is opened before the jail and keeps what it needs to answer inside it: hash and btree
 * keep the file open, text types are read whole. "proxy:X" is X itself: there is nothing that a
 * proxy could do for a table that is already open before the jail. A table that cannot be opened
 * never counts as "not listed": with DICT_MAY_FAIL dict_open gives a table whose every lookup is
 * DICT_FAILED with the reason, so that mail is deferred.
 */

/* Three answers, so that a broken table is never taken for "not listed". */
enum dict_answer { DICT_NONE, DICT_FOUND, DICT_FAILED };

/* UPDATE changes a copy, REBUILD makes a new table; both take the old one's place in dict_commit.
 */
enum dict_mode { DICT_READ, DICT_UPDATE, DICT_REBUILD };

enum dict_flag {
    DICT_FOLD = 1, /* fixed keys compare without case: folded here, not by the caller */
    DICT_HOSTILE_KEY = 2, /* from the network: no $1 in what comes back */
    DICT_MAY_FAIL = 4, /* see above; the reason is logged once */
    DICT_SOURCE_MODE = 8, /* REBUILD: a new file gets the source's permissions, not 0644 */
    DICT_FILE_VALUES = 16, /* values are names of files, whose contents are the values */
    DICT_WARN_DUPLICATE = 32, /* put: warn, keep the first (texthash, postmap) */
    DICT_IGNORE_DUPLICATE = 64, /* put: keep the first (postmap -w) */
    DICT_REPLACE_DUPLICATE = 128, /* put: keep the last (postmap -r) */
    DICT_KEY_NUL = 256, /* write keys and values with their zero byte (postmap -N) */
    DICT_KEY_BARE = 512, /* or without (postmap -n); neither: as the type's default is */
    DICT_CREATE = 1024, /* UPDATE: no such table yet is no error */
};

/* What a type can do. Callers ask this and never compare type names. */
enum dict_can {
    DICT_WRITES = 1,
    DICT_WALKS = 2,
    DICT_MATCHES = 4, /* patterns: look up the whole key, not its parts */
    DICT_SURVIVES_JAIL = 8, /* works in a chroot once it is open */
};

/* A file behind a table, kept open to see that it was changed or replaced. */
struct dict_file {
    int fd; /* -1: none */
    int64_t mtime_ns, ctime_ns, size;
};

/* A type's own struct has this as its first member. */
struct dict {
    const struct dict_type *type;
    char *spec; /* "type:argument", for messages */
    unsigned flags;
    unsigned can; /* the type's, less what its parts cannot (unionmap, proxy) */
    enum dict_mode mode;
    unsigned refs; /* a table open for reading is shared by all who name it */
    struct dict_file file;
    uid_t owner; /* of the file, or of any part; 0: root's, or in main.cf */
    struct list open_tables; /* for sharing and dicts_changed */
    struct buf folded; /* the key in lower case, while a lookup begins */
};

/* One per kind, all listed in dict.c. Unsupported operations are null. */
struct dict_type {
    const char *name;
    unsigned can;
    const char *suffix; /* of its file: ".db"; "" if the argument is the file; null: no file */
    struct dict *(*open)(const char *arg, enum dict_mode mode, unsigned flags, struct why *why);
    enum dict_answer (*find)(struct dict *d, const char *key, struct buf *value, struct why *why);
    /* DICT_NONE: there was such a key and the flags say to keep it */
    enum dict_answer (*put)(struct dict *d, const char *key, const char *value, struct why *why);
    enum dict_answer (*drop)(struct dict *d, const char *key, struct why *why);
    enum dict_answer (*next)(struct dict *d, struct buf *key, struct buf *value, struct why *why);
    int (*commit)(struct dict *d, struct why *why);
    void (*close)(struct dict *d); /* its own parts, not the struct dict */
};

/* A value is at most this long: longer ones are DICT_FAILED. */
enum { DICT_VALUE_LIMIT = 1024 * 1024 };

struct dict *dict_open(const char *spec, enum dict_mode mode, unsigned flags, struct why *why);
/* value is cleared first. It is the caller's own: no table hands out a buffer of its own. */
enum dict_answer dict_find(struct dict *d, const char *key, struct buf *value, struct why *why)
    __attribute__((warn_unused_result)); /* (waits) for remote types */
/* As dict_find, for a part of a key (a domain, "user"): tables of patterns answer DICT_NONE. */
enum dict_answer dict_find_part(struct dict *d, const char *key, struct buf *value, struct why *why)
    __attribute__((warn_unused_result));
enum dict_answer dict_put(struct dict *d, const char *key, const char *value, struct why *why)
    __attribute__((warn_unused_result));
enum dict_answer dict_drop(struct dict *d, const char *key, struct why *why)
    __attribute__((warn_unused_result)); /* DICT_NONE: no such key */
/* Walks the table from its beginning; DICT_NONE: no more. */
enum dict_answer dict_next(struct dict *d, struct buf *key, struct buf *value, struct why *why)
    __attribute__((warn_unused_result));
int dict_commit(struct dict *d, struct why *why); /* without it, dict_close forgets all changes */
void dict_close(struct dict **d);

/* Is it "type:name", of a type that there is or that pombal_accept_missing may name? -1: why.
 * Whoever opens what a parameter names asks, for conf_fault. */
int dict_spec_check(const char *spec, struct why *why);
/* The spec of an open table whose file has been changed or replaced since, or null. Works in the
 * jail; one fstat per open file, so ask at most once a second. */
const char *dicts_changed(void);

/* All types, for postconf -m; null at the end. */
const struct dict_type *dict_type_at(size_t i);

/* For the types. dict_new: size bytes with struct dict in front. */
struct dict *dict_new(const struct dict_type *type, size_t size);
int dict_file_watch(struct dict *d, int fd, struct why *why); /* takes fd over */
/* Opens path, watches it and reads it whole into text. */
int dict_file_read(struct dict *d, const char *path, struct buf *text, struct why *why);

#endif
