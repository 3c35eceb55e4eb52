/* trust.h - who may ask whom: the roles of processes, and the table of what each may ask */
#ifndef IPC_TRUST_H
#define IPC_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Each program has a role. Where root starts the suite, master chooses a block of group numbers
 * that nobody else has, and each daemon's effective group is the block's first number plus its
 * role. A daemon cannot change its groups once it has given up root, and the kernel tells the
 * receiver of a connection which ids the other side had when it connected (SO_PEERCRED). So the
 * kernel vouches for the role of whoever asks.
 *
 * If a plain user starts the suite, all processes have the ids of that user: the kernel cannot tell
 * them apart, and each is ROLE_SELF, which may ask everything.
 */
enum role {
    ROLE_TOOL, /* none of the suite's daemons: whoever the socket's mode lets in */
    ROLE_ROOT, /* root outside the block: master and the administrator; may ask everything */
    ROLE_SELF, /* some process of a suite that a plain user has started */
    ROLE_SMTPD,
    ROLE_PICKUP,
    ROLE_CLEANUP,
    ROLE_QMGR,
    ROLE_BOUNCE,
    ROLE_SHOWQ,
    ROLE_LOCAL,
    ROLE_VIRTUAL,
    ROLE_PIPE,
    ROLE_ERROR,
    ROLE_DISCARD,
    ROLE_SMTP,
    ROLE_LMTP,
    ROLE_AUTHD,
    ROLE_MAILBOX,
    ROLE_IMAPD,
    ROLE_POP3D,
    ROLE_IMAP,
    ROLE_POP3,
    ROLE_POSTLOGD,
    ROLE_SPAWN,
    ROLE_VERIFY,
    ROLE_FLUSH,
    ROLE_POSTSCREEN,
    ROLE_OTHER, /* a daemon that is not in the table of programs */
    ROLE_COUNT
};
#define ROLE_BIT(role) (1u << (role))

/* Group numbers of a block. The first is also the uid of network processes where no account is
 * named for them. */
enum { TRUST_BLOCK = 32 };

/* Whose uid a daemon has. */
enum trust_uid {
    TRUST_OWNER, /* mail_owner: what holds mail */
    TRUST_NETWORK, /* network_owner: what speaks with strangers */
    TRUST_ROOT, /* root with some capabilities, or mail_owner where none is needed */
};

enum role trust_role_of_program(const char *program); /* ROLE_OTHER: not in the table */
enum trust_uid trust_uid_of_program(const char *program); /* whose uid master gives it */
const char *trust_role_name(enum role role); /* "smtpd": for logs and documents */

/* The ids that this suite runs with. base 0: the kernel keeps no roles apart. */
struct trust_ids {
    gid_t base; /* of the block */
    uid_t owner, network;
};
void trust_set_ids(const struct trust_ids *ids); /* once, before trust_role */
const struct trust_ids *trust_ids(void);

/* The role of a process with these effective ids. The number alone is not enough: each role has
 * its uid, too. */
enum role trust_role(uid_t uid, gid_t gid);
/* The role of the process that connected this UNIX socket; ROLE_TOOL if the kernel does not say. */
enum role trust_role_of_peer(int fd);
pid_t trust_pid_of_peer(int fd); /* 0: the kernel does not say */

/*
 * The table. A request is named by its A_REQUEST; a trigger by its letter ("W"); a command of a
 * text protocol by its word ("CPID"); TRUST_CONNECT is a connection that sends nothing or whatever
 * it likes.
 */
#define TRUST_CONNECT ""
#define TRUST_PASS    "pass" /* the client's socket, to a service of type pass */
struct trust_rule {
    const char *program; /* that is asked */
    const char *request;
    unsigned roles; /* ROLE_BIT of each that may ask, beside ROLE_ROOT and ROLE_SELF */
    const char *proof; /* what the request must bring with it, for the documents; "" nothing */
};
const struct trust_rule *trust_rules(size_t *n);

/* May a process of this role send this request to the program? What is in no rule, ROLE_ROOT and
 * ROLE_SELF may send only. */
bool trust_may(const char *program, const char *request, enum role role);
/* The ROLE_BITs of all roles that may ask the program something. 0: it has no rules, and is open to
 * whoever can reach its socket. */
unsigned trust_askers(const char *program);
bool trust_has_rules(const char *program);

#endif
