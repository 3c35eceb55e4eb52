/* user.h - a user after login: ids, home, and where the mail is */
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

/* Settings for all users. Names of accounts are looked up in the system, so load them before the
 * jail. -1: a name is unknown. */
struct user_rules {
    uid_t uid; /* of users for whom the database names none (mail_uid); USER_NOBODY: refuse */
    gid_t gid;
    bool ignore_ids; /* this process is not root: all users have its ids */
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

/* Checks a user that another process has sent: could user_complete have made it? ignore_ids: this
 * process is not root, so the user must have its ids. -1: 5.7.0. */
int user_check(const struct user *u, bool ignore_ids, struct why *why);

/* The directory of the mail: the part of mail after "maildir:", up to the next ':'. */
struct str user_maildir(const struct user *u);

/* Expands %u %n %d %h %% with the modifiers L and U (%Lu: lower case) as Dovecot does, and appends
 * the result. -1: an unknown %x. */
int user_expand(const char *format, const char *name, const char *home, struct buf *out,
                struct why *why);
/* Converts a login name to the form in which it is looked up: checks its characters
 * (auth_username_chars), adds auth_default_realm if there is no domain, and applies
 * auth_username_format. -1: 5.7.8. */
int user_normalise(struct str given, struct buf *name, struct why *why);

#endif
