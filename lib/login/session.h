/* session.h - the process that serves one user's mailbox, after login: main of imap and pop3 */
#ifndef LOGIN_SESSION_H
#define LOGIN_SESSION_H

#include "auth/user.h"
#include "login/handover.h"

struct stream;

/*
 * The program is started by master as root. It only forks: it loads the configuration and the
 * seccomp filter of the sessions, reads no byte of any client, and waits for the broker. For each
 * ticket that authd redeems (auth/auth_client.h) it forks; the child becomes the user, makes the
 * mail directory if it is missing, confines itself to it (Landlock), calls start once, and calls
 * connection for each connection of this user, each in a task with its own stream and arena. When
 * the last connection has ended, the child waits mail_session_linger for another one and then ends.
 *
 * What the client sent ahead is already in the stream. connection answers the login command itself:
 * "<tag> OK ..." or "+OK ..."; if the mailbox cannot be opened, the negative answer with its
 * reason. The stream is flushed and closed when connection returns.
 */
struct session_program {
    const char *name; /* "imap", "pop3": as the service is named in master.cf and in handovers */
    void (*open)(void); /* may be null; before the jail, once for all users: tables, iconv */
    int (*start)(const struct user *u,
                 struct why *why); /* may be null; -1: connections are refused */
    void (*connection)(struct stream *client, const struct handover *h, struct arena *mem);
    void (*stop)(void); /* may be null; (waits) the last connection has ended: write what is left */
    void (*refuse)(struct stream *client, const struct handover *h,
                   const struct why *why); /* tell the client why it cannot go on */
};
/* The code of why when the user has too many connections from one address: RFC 3463 3.8. */
#define SESSION_LIMIT "4.7.0"

/* The whole program; its exit status. */
int session_main(const struct session_program *p, int argc, char **argv);
/* In a session: whose it is. Its texts live as long as the process. */
const struct user *session_user(void);
bool session_draining(void); /* the suite stops (not: reloads): end at the next chance */

#endif
