/* user_source.h - where users are looked up: one interface for all kinds of tables */
#ifndef AUTH_USER_SOURCE_H
#define AUTH_USER_SOURCE_H

#include "auth/passwd_file.h"

struct arena;

/*
 * An entry of auth_passdb or auth_userdb, "kind:name". Kinds: passwd-file, with an absolute path.
 * A new kind is a row of the table in user_source.c.
 */
struct user_source;

enum user_found {
    USER_FOUND,
    USER_UNKNOWN,
    USER_LATER, /* the source cannot say now; why has the reason */
};

/* Null and why (4.3.5): unknown kind, or it cannot be read. again: see passwd_file.h, or null. */
struct user_source *user_source_open(struct str spec, passwd_open_fn *again, struct why *why);
void user_source_close(struct user_source **s);
const char *user_source_spec(const struct user_source *s);
const char *user_source_kind(const struct user_source *s); /* for the log: "passwd-file" */
/* The file whose directory must stay readable in the jail; null: none. */
const char *user_source_path(const struct user_source *s);

/* (waits) The entry of a name. Its texts are copied into mem. Never from data that are known to
 * have changed since. */
enum user_found user_source_find(struct user_source *s, struct str name, struct arena *mem,
                                 struct passwd_entry *e, struct why *why);

/* Logs, as warnings, what is wrong in the source. */
void user_source_tell_problems(const struct user_source *s);
/* Limits of users that would not be enforced, unless the list accepted names them: -1 and why. */
int user_source_enforced(const struct user_source *s, const char *accepted, struct why *why);

#endif
