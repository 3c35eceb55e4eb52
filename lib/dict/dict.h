/* dict.h - lookup tables: "hash:/etc/postfix/virtual", "pcre:...", "static:x" */
#ifndef DICT_DICT_H
#define DICT_DICT_H

#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/track.h"
#include "base/why.h"

/*
 * A table is opened before the jail and keeps what it needs to answer inside it: hash and btree
 * keep the file open, text types are read whole. "proxy:X" is X itself: no proxy is
 * needed, because tables are open before the jail. A table that cannot be opened never counts as an
 * empty one: with DICT_MAY_FAIL, dict_open returns a table whose lookups are all DICT_FAILED with
 * the reason, so that mail is deferred.
 */

/* A lookup has three answers, so that a broken table is not mistaken for one without the key. */
enum dict_answer { DICT_NONE, DICT_FOUND, DICT_FAILED };

/* UPDATE changes a copy of the table, REBUILD makes a new one. dict_commit puts it in the place of
 * the old table. */
enum dict_mode { DICT_READ, DICT_UPDATE, DICT_REBUILD };

enum dict_flag {
    DICT_FOLD = 1, /* fixed keys compare without case: folded here, not by the caller */
    DICT_NO_GROUPS = 2, /* results are paths, ids, commands, routes: no $1 in them is allowed */
    DICT_MAY_FAIL = 4, /* see above; the reason is logged once */
    DICT_SOURCE_MODE = 8, /* REBUILD: a new file gets the source's permissions, not 0644 */
    DICT_FILE_VALUES = 16, /* values are names of files, whose contents are the values */
    DICT_WARN_DUPLICATE = 32, /* put: warn, keep the first (texthash, postmap) */
    DICT_IGNORE_DUPLICATE = 64, /* put: keep the first (postmap -w) */
    DICT_REPLACE_DUPLICATE = 128, /* put: keep the last (postmap -r) */
    DICT_KEY_NUL = 256, /* write keys and values with a zero byte at the end (postmap -N) */
    DICT_KEY_BARE = 512, /* or without it (postmap -n); neither flag: the type's default */
    DICT_CREATE = 1024, /* UPDATE: make the table if there is none */
};

/* What a table type can do. Code asks for these bits and never compares names of types. */
enum dict_can {
    DICT_WRITES = 1,
    DICT_WALKS = 2,
    DICT_MATCHES = 4, /* patterns: look up the whole key, not its parts */
    DICT_SURVIVES_JAIL = 8, /* works in a chroot once it is open */
};

/* A type's own struct has this as its first member. */
struct dict {
    const struct dict_type *type;
    char *spec; /* "type:argument", for messages */
    unsigned flags;
    unsigned can; /* bits of the type that all of its parts have (unionmap, proxy) */
    enum dict_mode mode;
    unsigned refs; /* a table that is open for reading is shared by all users of the same spec */
    struct track file; /* empty: none; unavailable: the directory where it may come to exist */
    bool replaced; /* while it was opened, so it counts as changed */
    uid_t owner; /* of the file, or of any part; 0: root's, or in main.cf */
    struct list open_tables; /* for sharing and dicts_changed */
    struct buf folded; /* the key in lower case, while a lookup begins */
};

/* One per kind, all listed in dict.c. Unsupported operations are null. */
/* where: for messages, the key or the line. value: as written, with $1 and the like. */
typedef void dict_value_fn(void *arg, const char *where, const char *value);
struct dict_type {
    const char *name;
    unsigned can;
    const char *suffix; /* of its file: ".db"; "" if the argument is the file; null: no file */
    struct dict *(*open)(const char *arg, enum dict_mode mode, unsigned flags, struct why *why);
    enum dict_answer (*find)(struct dict *d, const char *key, struct buf *value, struct why *why);
    /* DICT_NONE: the key exists, and the flags say to keep the old value */
    enum dict_answer (*put)(struct dict *d, const char *key, const char *value, struct why *why);
    enum dict_answer (*drop)(struct dict *d, const char *key, struct why *why);
    enum dict_answer (*next)(struct dict *d, struct buf *key, struct buf *value, struct why *why);
    void (*values)(struct dict *d, dict_value_fn *fn, void *arg); /* null: those of next */
    int (*commit)(struct dict *d, struct why *why);
    void (*close)(struct dict *d); /* frees what the type has added, but not the struct dict */
};

/* Largest value in bytes. A lookup that finds a longer one is DICT_FAILED. */
enum { DICT_VALUE_LIMIT = 1024 * 1024 };

/* Appends a key as tables with DICT_FOLD have it: without the difference between upper and lower
 * case; with smtputf8_enable that of all letters. */
void dict_fold(struct str key, struct buf *out);

/* spec: "type:name". Null: why. With DICT_MAY_FAIL never null, see above. */
struct dict *dict_open(const char *spec, enum dict_mode mode, unsigned flags, struct why *why);
/* Writes the result to value, which is cleared first. */
enum dict_answer dict_find(struct dict *d, const char *key, struct buf *value, struct why *why)
    __attribute__((warn_unused_result)); /* (waits) for remote types */
/* As dict_find, for a part of an address such as its domain: tables of patterns answer DICT_NONE,
 * because they see whole addresses only. */
enum dict_answer dict_find_part(struct dict *d, const char *key, struct buf *value, struct why *why)
    __attribute__((warn_unused_result));
enum dict_answer dict_put(struct dict *d, const char *key, const char *value, struct why *why)
    __attribute__((warn_unused_result));
enum dict_answer dict_drop(struct dict *d, const char *key, struct why *why)
    __attribute__((warn_unused_result)); /* DICT_NONE: no such key */
/* The next entry of the table, from its beginning; DICT_NONE: no more. An entry whose value is not
 * what DICT_FILE_VALUES stores is left out with a warning. */
enum dict_answer dict_next(struct dict *d, struct buf *key, struct buf *value, struct why *why)
    __attribute__((warn_unused_result));
/* Calls fn for each value that the table may answer with, as far as its type can tell: what check
 * looks at. Reads a whole table of hash or btree. */
void dict_values(struct dict *d, dict_value_fn *fn, void *arg);
int dict_commit(struct dict *d,
                struct why *why); /* makes the changes permanent; without it they are lost */
bool dict_is_unavailable(const struct dict *d); /* DICT_MAY_FAIL: it could not be opened */
void dict_close(struct dict **d);

/* 0: spec has the form "type:name" and the type exists here, or is missing and may be accepted by
 * pombal_accept_missing. -1: why. For code that reports faults with conf_fault. */
int dict_spec_check(const char *spec, struct why *why);
/* The spec of an open table whose file has been changed or replaced, or to which another file has
 * come because a link on the way was replaced (track.h says what a chroot hides), or null. That a
 * directory on the way was replaced is noticed within a second. Works in the jail. A table of a
 * file that could not be opened counts as changed when the file has come, or, if it was there or
 * its directory was not, when transport_retry_time is over: what failed may have passed. It costs
 * an fstat for each open file and each link to it. */
const char *dicts_changed(void);

/* The i-th type, for postconf -m; null at the end. */
const struct dict_type *dict_type_at(size_t i);

/* For the files of the types. dict_new allocates size bytes that begin with a struct dict. */
struct dict *dict_new(const struct dict_type *type, size_t size);
/* From now on a change of the file counts. fd: path, as it was opened; it stays the caller's. -1:
 * why. */
int dict_file_watch(struct dict *d, int fd, const char *path, struct why *why);
/* Opens and watches path, and appends the whole file to text. */
int dict_file_read(struct dict *d, const char *path, struct buf *text, struct why *why);

#endif
