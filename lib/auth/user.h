/* user.h - who somebody is once he is logged in: ids, home, where his mail is */
#ifndef AUTH_USER_H
#define AUTH_USER_H

#include <sys/types.h>

#include "base/why.h"

struct arena;

struct user {
    const char *name; /* after auth_username_format; never empty */
    uid_t uid;
    gid_t gid;
    const char *home; /* absolute, or "" */
    const char *mail; /* "maildir:/absolute/path", expanded; never empty after user_complete */
    const char *quota_rule; /* as Dovecot's: "*:storage=1G"; "" for none */
};
#define USER_NOBODY ((uid_t)-1)

/* What the parameters say about all users. Names of users and groups are looked up in the system,
 * so it is made before the jail. -1: a name is not known. */
struct user_rules {
    uid_t uid; /* of users for whom the database names none (mail_uid); USER_NOBODY: refuse */
    gid_t gid;
    bool ignore_ids; /* not root: everybody is who we are */
};
int user_rules_load(struct user_rules *r, struct why *why);

/*
 * Fills what the user database left open from the rules and mail_location, and expands
 * %u %n %d %h %% and a leading ~/ in mail. Refused (5.7.0, with a text for the log): no
 * uid or gid, or outside of first_valid_uid..last_valid_uid and the same for gid; a mail location
 * that is not maildir:; a relative path; a name, home or path with "..", NUL or control characters.
 */
int user_complete(struct user *u, const struct user_rules *rules, struct arena *mem,
                  struct why *why);

/* Is this a user that user_complete could have made? For whoever is told of one by another process.
 * ignore_ids: not root, so that everybody must be who we are. -1: 5.7.0. */
int user_check(const struct user *u, bool ignore_ids, struct why *why);

/* The directory of the mail: what stands after "maildir:", up to a ':'. */
struct str user_maildir(const struct user *u);

/* Expands %u %n %d %h %% and their modifiers L and U (%Lu: lower case), as Dovecot. -1: unknown %x.
 */
int user_expand(const char *format, const char *name, const char *home, struct buf *out,
                struct why *why);
/* The name as the databases know it: characters checked against auth_username_chars,
 * auth_default_realm added when there is no domain, auth_username_format applied. -1: 5.7.8. */
int user_normalise(struct str given, struct buf *name, struct why *why);

#endif
