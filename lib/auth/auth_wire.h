/* auth_wire.h - Dovecot's authentication protocol 1.1: one line, both ways */
#ifndef AUTH_AUTH_WIRE_H
#define AUTH_AUTH_WIRE_H

#include <stdint.h>

#include "base/buf.h"

/*
 * A line is a command and its arguments, between tabs, ended by LF. Where an argument may hold such
 * bytes they are written \001 and one of t n r 0 1.
 *
 *   server, at once  VERSION major minor; MECH name trait...; SPID pid; CUID n; COOKIE hex; DONE
 *   client           VERSION major minor; CPID pid
 *   client           AUTH id mech service=... [secured] [rip= rport= lip= lport=] [tls]
 *                    [resp=base64], which is the last of its line
 *   server           CONT id base64 | OK id user=... | FAIL id [user=] [temp] [code=] [reason=]
 *   client           CONT id base64 | CANCEL id
 *
 * Ours: for service imap and pop3, OK carries token=... Two others ask on connections of their own,
 * where they say one of these after VERSION and no CPID:
 *   mailbox broker   EXCHANGE id token service=imap
 *   server           TICKET id name ticket=... | NOTFOUND id
 *   imap, pop3       REQUEST id ticket service=imap
 *   server           USER id name uid= gid= home= mail= [quota_rule=] | NOTFOUND id |
 *                    FAIL id [temp] [reason=]
 *
 * Unknown commands and arguments are skipped, so that either end may be newer.
 */
enum auth_verb {
    AUTH_V_UNKNOWN,
    AUTH_V_VERSION,
    AUTH_V_MECH,
    AUTH_V_SPID,
    AUTH_V_CUID,
    AUTH_V_COOKIE,
    AUTH_V_DONE,
    AUTH_V_CPID,
    AUTH_V_AUTH,
    AUTH_V_CONT,
    AUTH_V_CANCEL,
    AUTH_V_OK,
    AUTH_V_FAIL,
    AUTH_V_REQUEST,
    AUTH_V_USER,
    AUTH_V_EXCHANGE,
    AUTH_V_TICKET,
    AUTH_V_NOTFOUND,
    AUTH_VERBS
};

enum { AUTH_LINE_MAX = 16 * 1024, AUTH_ARGS_MAX = 64, AUTH_MAJOR = 1, AUTH_MINOR = 1 };

const char *auth_verb_name(enum auth_verb verb); /* "AUTH": as on the wire */

struct auth_msg {
    enum auth_verb verb;
    uint32_t id; /* of those that have one; else 0 */
    size_t n;
    struct str arg[AUTH_ARGS_MAX]; /* after the id; unescaped */
};

/* Takes a line without its LF apart, in place: the slices point into it. False: malformed (no id
 * where there must be one, a bad escape, too many arguments). */
bool auth_msg_parse(char *line, size_t n, struct auth_msg *m);
/* The value of "name=value"; p null if it is not there. */
struct str auth_msg_get(const struct auth_msg *m, const char *name);
bool auth_msg_has(const struct auth_msg *m, const char *flag); /* an argument without a value */
struct str auth_msg_arg(const struct auth_msg *m, size_t i); /* the i-th; empty if there is none */

/* Making a line: begin, then arguments in order, then end. */
void auth_wire_begin(struct buf *out, enum auth_verb verb);
void auth_wire_begin_id(struct buf *out, enum auth_verb verb, uint32_t id);
void auth_wire_arg(struct buf *out, struct str value); /* escaped */
void auth_wire_argn(struct buf *out, int64_t value);
void auth_wire_pair(struct buf *out, const char *name, struct str value);
void auth_wire_end(struct buf *out);

#endif
