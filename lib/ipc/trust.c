/*
 * Who may ask whom. ipc/proto.h says what the requests are.
 */
#include "ipc/trust.h"

#include <string.h>
#include <sys/socket.h>

#include "ipc/proto.h"

static struct trust_ids ids;

static const struct program {
    const char *name;
    enum role role;
    enum trust_uid uid;
} programs[] = {
    {"smtpd", ROLE_SMTPD, TRUST_NETWORK},
    {"pickup", ROLE_PICKUP, TRUST_OWNER},
    {"cleanup", ROLE_CLEANUP, TRUST_OWNER},
    {"qmgr", ROLE_QMGR, TRUST_OWNER},
    {"bounce", ROLE_BOUNCE, TRUST_OWNER},
    {"showq", ROLE_SHOWQ, TRUST_OWNER},
    {"local", ROLE_LOCAL, TRUST_ROOT},
    {"virtual", ROLE_VIRTUAL, TRUST_ROOT},
    {"pipe", ROLE_PIPE, TRUST_OWNER},
    {"error", ROLE_ERROR, TRUST_OWNER},
    {"discard", ROLE_DISCARD, TRUST_OWNER},
    {"smtp", ROLE_SMTP, TRUST_NETWORK},
    /* Its server is this host's own mail store, as a rule, on a socket of mail_owner alone: what
     * Dovecot's documentation advises. */
    {"lmtp", ROLE_LMTP, TRUST_OWNER},
    {"authd", ROLE_AUTHD, TRUST_OWNER},
    {"mailbox", ROLE_MAILBOX, TRUST_OWNER},
    {"imapd", ROLE_IMAPD, TRUST_NETWORK},
    {"pop3d", ROLE_POP3D, TRUST_NETWORK},
    {"imap", ROLE_IMAP, TRUST_ROOT},
    {"pop3", ROLE_POP3, TRUST_ROOT},
    {"postlogd", ROLE_POSTLOGD, TRUST_OWNER},
    {"spawn", ROLE_SPAWN, TRUST_OWNER},
    {"verify", ROLE_VERIFY, TRUST_OWNER},
    {"flush", ROLE_FLUSH, TRUST_OWNER},
    {"postscreen", ROLE_POSTSCREEN, TRUST_NETWORK},
};

enum {
    TOOL = ROLE_BIT(ROLE_TOOL),
    SMTPD = ROLE_BIT(ROLE_SMTPD),
    SCREEN = ROLE_BIT(ROLE_POSTSCREEN),
    PICKUP = ROLE_BIT(ROLE_PICKUP),
    CLEANUP = ROLE_BIT(ROLE_CLEANUP),
    QMGR = ROLE_BIT(ROLE_QMGR),
    BOUNCE = ROLE_BIT(ROLE_BOUNCE),
    VERIFY = ROLE_BIT(ROLE_VERIFY),
    FLUSH = ROLE_BIT(ROLE_FLUSH),
    LOCAL = ROLE_BIT(ROLE_LOCAL),
    MAILBOX = ROLE_BIT(ROLE_MAILBOX),
    FRONTS = ROLE_BIT(ROLE_IMAPD) | ROLE_BIT(ROLE_POP3D),
    SESSIONS = ROLE_BIT(ROLE_IMAP) | ROLE_BIT(ROLE_POP3),
    AGENTS = LOCAL | ROLE_BIT(ROLE_VIRTUAL) | ROLE_BIT(ROLE_PIPE) | ROLE_BIT(ROLE_ERROR) |
             ROLE_BIT(ROLE_DISCARD) | ROLE_BIT(ROLE_SMTP) | ROLE_BIT(ROLE_LMTP),
    EVERYBODY = ROLE_BIT(ROLE_COUNT) - 1
};

#define FILE_OF_MESSAGE "the queue file, open"
#define FILE_AS_NAMED   "the queue file, open: the one that the queue has under the id (not qmgr)"

static const struct trust_rule rules[] = {
    {"smtpd", TRUST_PASS, SCREEN, "the client's socket, open"},
    {"smtpd", TRUST_CONNECT, EVERYBODY, ""}, /* a service of type unix: a client like any other */
    {"cleanup", REQUEST_SUBMIT, SMTPD | PICKUP | BOUNCE | LOCAL | VERIFY, ""},
    {"cleanup", REQUEST_SUBMIT_MILTERS, SMTPD, ""},

    {"qmgr", REQUEST_ARRIVED, CLEANUP, FILE_OF_MESSAGE},
    {"qmgr", REQUEST_FLUSH_ID, TOOL | FLUSH, ""},
    {"qmgr", REQUEST_FLUSH_SITE, TOOL, ""},
    {"qmgr", "I", TOOL | CLEANUP, ""},
    {"qmgr", "D", TOOL, ""},
    {"qmgr", "F", TOOL | QMGR, ""}, /* one that ends passes it on to the next */
    {"qmgr", "A", TOOL | QMGR, ""},
    {"qmgr", "W", TOOL, ""},
    {"pickup", "W", TOOL, ""},
    {"pickup", "I", TOOL, ""},
    {"showq", TRUST_CONNECT, TOOL, ""},

    /* local passes mail on for mailbox_transport and fallback_transport. */
    {"local", REQUEST_DELIVER, QMGR | LOCAL, FILE_OF_MESSAGE},
    {"virtual", REQUEST_DELIVER, QMGR | LOCAL, FILE_OF_MESSAGE},
    {"pipe", REQUEST_DELIVER, QMGR | LOCAL, FILE_OF_MESSAGE},
    {"error", REQUEST_DELIVER, QMGR | LOCAL, FILE_OF_MESSAGE},
    {"discard", REQUEST_DELIVER, QMGR | LOCAL, FILE_OF_MESSAGE},
    {"smtp", REQUEST_DELIVER, QMGR | LOCAL, FILE_OF_MESSAGE},
    {"lmtp", REQUEST_DELIVER, QMGR | LOCAL, FILE_OF_MESSAGE},

    {"bounce", REQUEST_APPEND, QMGR | CLEANUP | AGENTS, FILE_AS_NAMED},
    {"bounce", REQUEST_APPEND_OWNER, LOCAL, FILE_AS_NAMED},
    {"bounce", REQUEST_FLUSH, QMGR | CLEANUP, FILE_AS_NAMED},
    {"bounce", REQUEST_WARN, QMGR, ""},
    {"bounce", REQUEST_FORGET, CLEANUP, FILE_AS_NAMED},

    {"verify", REQUEST_VERIFY, SMTPD, ""},
    {"verify", REQUEST_VERIFIED, QMGR | AGENTS,
     "the queue file of the probe, open, with that recipient (not qmgr)"},

    {"flush", REQUEST_FLUSH_SITE, SMTPD, ""},
    {"flush", REQUEST_FLUSH_ADD, QMGR, ""},

    {"authd", "CPID", SMTPD | FRONTS, ""}, /* and AUTH, CONT, CANCEL, which follow it */
    {"authd", "EXCHANGE", MAILBOX, "a token that was given for a password"},
    {"authd", "REQUEST", SESSIONS, "a ticket that was given for a token"},
    {"mailbox", REQUEST_OPEN, FRONTS, "a token that was given for a password"},
    {"imap", REQUEST_SERVE, MAILBOX, "a ticket that was given for a token"},
    {"pop3", REQUEST_SERVE, MAILBOX, "a ticket that was given for a token"},

    {"postlogd", TRUST_CONNECT, EVERYBODY, ""},
    {"spawn", TRUST_CONNECT, EVERYBODY, ""},
};

enum { PROGRAMS = sizeof programs / sizeof *programs, RULES = sizeof rules / sizeof *rules };
_Static_assert((int)ROLE_COUNT <= (int)TRUST_BLOCK, "each role has a group number of the block");

static const struct program *trust_find(const char *name)
{
    for (size_t i = 0; i < PROGRAMS; i++)
        if (strcmp(name, programs[i].name) == 0)
            return &programs[i];
    return NULL;
}

enum role trust_role_of_program(const char *program)
{
    const struct program *p = trust_find(program);

    return p != NULL ? p->role : ROLE_OTHER;
}

enum trust_uid trust_uid_of_program(const char *program)
{
    const struct program *p = trust_find(program);

    return p != NULL ? p->uid : TRUST_OWNER;
}

const char *trust_role_name(enum role role)
{
    static const char *const others[] = {
        [ROLE_TOOL] = "tool", [ROLE_ROOT] = "root", [ROLE_SELF] = "same user"};

    for (size_t i = 0; i < PROGRAMS; i++)
        if (programs[i].role == role)
            return programs[i].name;
    return role <= ROLE_SELF ? others[role] : "other program";
}

void trust_set_ids(const struct trust_ids *of_suite)
{
    ids = *of_suite;
}

const struct trust_ids *trust_ids(void)
{
    return &ids;
}

static bool has_uid_of(enum role role, uid_t uid)
{
    enum trust_uid kind = trust_uid_of_program(trust_role_name(role));

    if (kind == TRUST_NETWORK)
        return uid == ids.network;
    /* What forks sessions has the number of its role as uid, too (service/jail.c). */
    return uid == ids.owner || (kind == TRUST_ROOT && (uid == 0 || uid == ids.base + role));
}

enum role trust_role(uid_t uid, gid_t gid)
{
    bool in_block = ids.base != 0 && gid > ids.base + ROLE_SELF && gid < ids.base + ROLE_COUNT;

    if (in_block)
        return has_uid_of(gid - ids.base, uid) ? gid - ids.base : ROLE_TOOL;
    if (uid == 0)
        return ROLE_ROOT;
    return ids.base == 0 && uid == ids.owner ? ROLE_SELF : ROLE_TOOL;
}

enum role trust_role_of_peer(int fd)
{
    struct ucred who;
    socklen_t len = sizeof who;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
        return ROLE_TOOL;
    return trust_role(who.uid, who.gid);
}

pid_t trust_pid_of_peer(int fd)
{
    struct ucred who;
    socklen_t len = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ? 0 : who.pid;
}

const struct trust_rule *trust_rules(size_t *n)
{
    *n = RULES;
    return rules;
}

bool trust_may(const char *program, const char *request, enum role role)
{
    if (role == ROLE_ROOT || role == ROLE_SELF)
        return true;
    for (size_t i = 0; i < RULES; i++)
        if (strcmp(program, rules[i].program) == 0 && strcmp(request, rules[i].request) == 0)
            return (rules[i].roles & ROLE_BIT(role)) != 0;
    return false;
}

unsigned trust_askers(const char *program)
{
    unsigned roles = 0;

    for (size_t i = 0; i < RULES; i++)
        if (strcmp(program, rules[i].program) == 0)
            roles |= rules[i].roles;
    return roles;
}

bool trust_has_rules(const char *program)
{
    return trust_askers(program) != 0;
}
