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

/* False: not a user's line. *problem (may be null) is then the reason, null for an empty line or a
 * comment. The slices point into line. */
bool passwd_line_parse(struct str line, struct passwd_entry *e, const char **problem);

/*
 * Extra fields of a line that limit what the user may do and that this suite does not enforce: the
 * first, or empty. Dovecot's quota rules, for example.
 */
struct str passwd_line_unenforced(struct str line);

struct passwd_file;

enum { PASSWD_FILE_MAX = 256 * 1024 * 1024 };

/* (may wait) Opens the file for reading when this process may not do it itself. A descriptor, or -1
 * and why. */
typedef int passwd_open_fn(const char *path, struct why *why);

/* Reads the file and makes an index of its names. Of two lines for one name the first counts.
 * again (may be null): for passwd_file_refresh. */
struct passwd_file *passwd_file_open(const char *path, passwd_open_fn *again, struct why *why);
void passwd_file_close(struct passwd_file **f);
const char *passwd_file_path(const struct passwd_file *f);

/* The entry of this name, by exact bytes; false: none. Valid until the file is read again. */
bool passwd_file_find(const struct passwd_file *f, struct str name, struct passwd_entry *e);

/*
 * (waits, if again does) Another file is at the path now, or it was written to: read it. 0: nothing
 * new, 1: read again, -1: what is there now cannot be read (why), so that what was read before must
 * not be believed any more.
 */
int passwd_file_refresh(struct passwd_file *f, struct why *why);

/* Calls tell for each line that is no user's line and no comment, and for each user whose password
 * cannot be understood. Lines count from 1; problem is text for the log. */
typedef void passwd_tell_fn(const struct passwd_file *f, unsigned line, const char *problem);
void passwd_file_problems(const struct passwd_file *f, passwd_tell_fn *tell);
/* The first line with a field that is not enforced, whose name is not in the list accepted; 0:
 * there is none. */
unsigned passwd_file_unenforced(const struct passwd_file *f, const char *accepted,
                                struct str *field);

#endif
