/* dict.h - lookup tables: "hash:/etc/postfix/virtual", "pcre:...", "static:x" */
#ifndef DICT_DICT_H
#define DICT_DICT_H

#include "base/why.h"

/* Three answers, so that a broken table is never taken for "not listed". */
enum dict_answer { DICT_NONE, DICT_FOUND, DICT_FAILED };

enum dict_mode { DICT_READ, DICT_UPDATE, DICT_REBUILD };

enum dict_flag {
    DICT_FOLD = 1, /* keys compare without case */
    DICT_HOSTILE_KEY = 2, /* from the network: no $1 in what comes back */
};

/* What a type can do. Callers ask this and never compare type names. */
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
};

/* One per dict_*.c, all listed in dict.c. Unsupported operations are null. */
struct dict_type {
    const char *name;
    unsigned can;
    struct dict *(*open)(const char *arg, enum dict_mode mode, struct why *why);
    enum dict_answer (*find)(struct dict *d, const char *key, struct buf *value, struct why *why);
    int (*put)(struct dict *d, const char *key, const char *value, struct why *why);
    int (*drop)(struct dict *d, const char *key, struct why *why);
    enum dict_answer (*next)(struct dict *d, struct buf *key, struct buf *value, struct why *why);
    bool (*stale)(struct dict *d); /* the file behind it was replaced */
    void (*close)(struct dict *d);
};

struct dict *dict_open(const char *spec, enum dict_mode mode, unsigned flags, struct why *why);
enum dict_answer dict_find(struct dict *d, const char *key, struct buf *value, struct why *why)
    __attribute__((warn_unused_result)); /* (waits) for remote types */
void dict_close(struct dict **d);

/* A list of tables, as a parameter names it: the first that knows the key answers. */
struct maps;
struct maps *maps_open(const char *parameter, const char *specs, unsigned flags);
enum dict_answer maps_find(struct maps *m, const char *key, struct buf *value, struct why *why)
    __attribute__((warn_unused_result)); /* stops at the first DICT_FAILED */
void maps_close(struct maps **m);

#endif
