/* passwd_file.h - users in a file of lines, as Dovecot's passwd-file */
#ifndef AUTH_PASSWD_FILE_H
#define AUTH_PASSWD_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/why.h"

/*
 * One user a line:
 *   user:password:uid:gid:gecos:home:shell:extra fields
 * Fields at the end may be missing. Empty lines and those that begin with # do not count. Extra
 * fields stand between blanks: name=value or name. Those of the user database begin with userdb_:
 * userdb_mail, userdb_home, userdb_uid, userdb_gid, userdb_quota_rule. Those about the login:
 * nopassword (any password is right), nologin (refused; nologin=TEXT says why), allow_nets=LIST.
 * Unknown ones are skipped. uid and gid are numbers.
 */
struct passwd_entry {
    struct str name, password;
    uid_t uid; /* USER_NOBODY: none given */
    gid_t gid;
    struct str home, mail, quota_rule;
    struct str allow_nets; /* p null: anywhere */
    struct str nologin; /* p null: may log in; else the reason, maybe empty */
    bool nopassword;
};

/* False: malformed, or not a user's line. The slices point into line. */
bool passwd_line_parse(struct str line, struct passwd_entry *e);

struct passwd_file;

enum { PASSWD_FILE_MAX = 256 * 1024 * 1024 };

/* Reads the file and makes an index of its names. Of two lines for one name the first counts. */
struct passwd_file *passwd_file_open(const char *path, struct why *why);
void passwd_file_close(struct passwd_file **f);
const char *passwd_file_path(const struct passwd_file *f);

/* The entry of this name, by exact bytes; false: none. Valid until the file is read again. */
bool passwd_file_find(const struct passwd_file *f, struct str name, struct passwd_entry *e);

/*
 * Another file is at the path now, or it was written to: read it. Looks at most once a second.
 * 0: nothing new, 1: read again, -1: it cannot be read (why) and what was read before still holds.
 */
int passwd_file_refresh(struct passwd_file *f, int64_t now_ms, struct why *why);

#endif
