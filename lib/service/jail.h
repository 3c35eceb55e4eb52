/* jail.h - what a process gives up before it reads a byte from anyone */
#ifndef SERVICE_JAIL_H
#define SERVICE_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * In order: uid and gid of the mail owner (with RIGHT_SETUID, he with the capabilities to become a
 * user; with RIGHT_FORK as well, a uid that owns nothing, so that no file of anybody's can be
 * opened; with RIGHT_SEARCH he, or that uid, with the capability to read any file; with RIGHT_ROOT,
 * root with only the capabilities of the table in jail.c), chroot,
 * PR_SET_NO_NEW_PRIVS, Landlock, seccomp. Started by a plain user: no uid change and no chroot, all
 * else the same. What the kernel's version of Landlock cannot restrict is left open (master logs
 * this once).
 */
/*
 * UNIX SOCKETS OF THE HOST
 *
 * A process connects to those that were in private/ and public/ when it entered the jail and those
 * given to jail_socket, and to no others: jail_sockets.c says how. Some are special:
 *
 *   sessions (imap, pop3)      may not connect at all: second filter
 *   smtpd smtp lmtp            connect to the internet, too: a filter cannot tell
 *                              these addresses from paths. Their root directory
 *                              holds them: the chroot column is y in conf/master.cf;
 *                              with n, they reach what their uid reaches
 *   local                      to any: the name services that know the accounts are
 *                              asked by their sockets
 *
 * Abstract sockets, and signals, Landlock closes from version 6 of its interface on (Linux 6.12).
 */
struct jail {
    const char *name; /* for the log */
    unsigned rights; /* enum service_right */
    const char *user; /* account name: conf.mail_owner; its groups stay as supplementary groups */
    uid_t uid; /* instead of the account's; 0: the account's */
    gid_t gid; /* the effective group, which is the role (ipc/trust.h); 0: the account's */
    const char *root; /* chroot there, or null */
    bool ends_with_parent; /* SIGTERM when master dies */
    bool any_socket; /* by hand, without master, who opens all sockets before he starts a process */
    /* When a socket is asked for that is there, but was not when the jail was entered. May be null.
     */
    void (*on_new_socket)(const char *path);
};

/* Before jail_enter, from service.paths. Paths are absolute or below the present directory, as seen
 * before the chroot. Paths that do not exist are ignored. A read path may be a file or a directory.
 */
void jail_read(const char *path);
/* The directory of a file: it is replaced by renaming, so that is what must stay readable. And the
 * one where the file is, if the name is a link. */
void jail_read_file(const char *path);
void jail_write(const char *path); /* a directory: create, write, rename, remove below it */
/* The same for a directory of the queue, without which the process cannot do its work, and would
 * not know why when the directory comes back: if it is not there, the process ends, and master
 * starts another one. */
void jail_read_queue(const char *dir); /* dir: stays as it is */
void jail_write_queue(const char *dir);
/* Any other directory, which may have another root and may not be there yet: only its name is
 * noted, and what it leads to now. */
void jail_note(const char *dir);
/* Which of all these is another directory by now (moved away, another disk mounted, made), so that
 * this process cannot reach it; null: none. */
const char *jail_replaced(void);
/* The same for before each request on a connection that is kept: at the directories of the queue,
 * whose names are relative, it looks once a second only. In the meantime whatever opens a file
 * there fails. */
const char *jail_glance(void);
void jail_port(int port); /* TCP connections to this port, beside those the rights give */
/* Connections to the socket at this path, as it is written, which need not be there yet. */
void jail_socket(const char *path);
/* For each table of a list like "hash:/etc/aliases, pcre:/x": its directory, so a changed table is
 * noticed. */
void jail_read_tables(const char *list);

/*
 * Says that this one user, who is not root, is all that the process needs RIGHT_SETUID for. Then it
 * does not stay root: it runs as the mail owner, without capabilities, and with the user as its
 * saved id, so that become_begin can act as this user and as nobody else.
 */
void jail_other_user(uid_t uid, gid_t gid);
/* In the jail: is there such a user, and who is it? */
bool jail_has_other_user(uid_t *uid, gid_t *gid);

/* In the jail: not root, but with the capabilities to become any user? */
bool jail_may_become(void);

void jail_enter(const struct jail *j); /* ends the process when it fails */

/* The same for a child that becomes a user (service/become.h): only dir stays reachable, for
 * reading and writing. The seccomp filter is inherited. 0, or -1 and errno. */
int jail_confine_to(const char *const *dirs, size_t ndirs);

/*
 * A session's second, narrower filter, which a process with RIGHT_FORK makes ready in jail_enter
 * and its child loads after it has become the user: no signal to anybody else, no process or
 * namespace, no other user, no socket, no connection, no copy of a descriptor but of a file's, and
 * messages with an address or a descriptor only on the channel; of the log, which all share, only
 * lines. 0, or -1 and errno; without RIGHT_FORK nothing.
 */
void jail_session_channel(int fd); /* the broker's; before jail_session_enter */
int jail_session_enter(void);

int jail_landlock_version(void); /* 0: the kernel has none */

#endif
