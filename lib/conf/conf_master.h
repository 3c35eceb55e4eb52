/* conf_master.h - master.cf: the services, their columns, commands and options */
#ifndef CONF_CONF_MASTER_H
#define CONF_CONF_MASTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/why.h"

/*
 * One logical line is one service:
 *   name type private unprivileged chroot wakeup maxproc command argument...
 * "-" is a column's default: private y, unprivileged y, chroot n (y below compatibility level 1),
 * wakeup 0, maxproc default_process_limit. Arguments in { braces } are one argument each. What is
 * read lives in the conf_master until conf_master_free.
 */
enum conf_service_type {
    SERVICE_INET,
    SERVICE_UNIX,
    SERVICE_FIFO,
    SERVICE_PASS,
    SERVICE_UNIX_DGRAM
};

enum conf_column {
    COLUMN_NAME,
    COLUMN_TYPE,
    COLUMN_PRIVATE,
    COLUMN_UNPRIV,
    COLUMN_CHROOT,
    COLUMN_WAKEUP,
    COLUMN_MAXPROC,
    COLUMN_COMMAND,
    CONF_COLUMNS
};

struct conf_option {
    const char *name;
    const char *value; /* not expanded */
};

struct conf_service {
    const char *name; /* "smtp", "127.0.0.1:10025" */
    enum conf_service_type type;
    bool is_private;
    bool unprivileged;
    bool chroot;
    int64_t wakeup; /* seconds, 0: never */
    bool wakeup_if_used; /* "?": only once somebody has connected */
    int64_t maxproc; /* 0: no limit */
    const char *command; /* without directory */
    const char *const *argv; /* as exec wants it: argv[0] is command; -o pairs included, in order */
    size_t argc;
    const struct conf_option *options; /* the -o of argv, in order; a later one wins */
    size_t noptions;
    const char *column[CONF_COLUMNS]; /* as written */
    unsigned first_line, last_line; /* in master.cf, from 1 */
};

struct conf_master {
    struct conf_service *at;
    size_t n;
    struct arena *mem;
};

/* Reads the text of a master.cf; path is for messages. -1: why names path, line and what would be
 * right; out is then empty. chroot_default and maxproc_default stand for "-". */
int conf_master_parse(struct str text, const char *path, bool chroot_default,
                      int64_t maxproc_default, struct conf_master *out, struct why *why);
/* The same from conf_dir()/master.cf, with the defaults of main.cf; after conf_load. Services
 * that master_service_disable names are included: see conf_master_disabled. */
int conf_master_load(struct conf_master *out, struct why *why);
void conf_master_free(struct conf_master *m);

const char *conf_service_type_name(enum conf_service_type t); /* "inet", "unix" */
/* The last entry of that name and type, or null. */
const struct conf_service *conf_master_find(const struct conf_master *m, const char *name,
                                            enum conf_service_type type);
/* Does a later entry of the same name, type and directory take the place of this one? */
bool conf_master_again(const struct conf_master *m, const struct conf_service *s);
/* Patterns as in master_service_disable and postconf -M: "smtp/inet" one service, "inet" all of
 * that type; "*" stands for any name or type. */
bool conf_service_matches(const struct conf_service *s, struct str pattern);
bool conf_master_disabled(const struct conf_service *s);

#endif
