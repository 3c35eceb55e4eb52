/* postscreen.h - a client that is looked at before smtpd gets it, shared by all postscreen_*.c */
#ifndef SMTPD_POSTSCREEN_H
#define SMTPD_POSTSCREEN_H

#include "base/arena.h"
#include "base/why.h"
#include "net/peer.h"
#include "net/stream.h"

struct screen_dnsbl;
struct tls_info;

/* The tests, in the order of their results in the cache, and as bits of a set. */
enum screen_test { PREGREET, DNSBL, PIPELINING, NON_SMTP, BARE_NEWLINE, SCREEN_TESTS };
#define SCREEN_BIT(test) (1u << (test))
enum {
    EARLY_TESTS = SCREEN_BIT(PREGREET) | SCREEN_BIT(DNSBL),
    DEEP_TESTS = SCREEN_BIT(PIPELINING) | SCREEN_BIT(NON_SMTP) | SCREEN_BIT(BARE_NEWLINE),
};

/* What is to be done with a client that has failed one. */
enum screen_action { SCREEN_IGNORE, SCREEN_ENFORCE, SCREEN_DROP };
enum screen_action screen_action(const char *value); /* of a parameter that check has seen */

/* Until when the result of each test holds, in seconds since 1970. */
struct screen_stamps {
    int64_t until[SCREEN_TESTS];
};
enum { STAMP_NEW = 0, STAMP_DISABLED = 1 }; /* never passed; passed by not being asked for */

struct screen {
    struct arena *mem;
    struct stream *stream;
    struct peer peer;
    const char *who; /* "[address]:port", for the log */
    int64_t began_us; /* of this phase, clock_us */
    struct screen_stamps stamps;
    unsigned todo, passed, failed; /* sets of tests */
    bool is_new; /* it has never passed all tests */
    bool denied; /* by postscreen_access_list: nothing is remembered of it */
    bool keep; /* smtpd does not get it: it talks with the engine */
    bool gone; /* it has closed the connection, or we have: no reply */
    bool spoke; /* before the greeting */
    const char *rcpt_reply; /* what RCPT gets */
    struct screen_dnsbl *dnsbl; /* null: no lists are asked */
    /* postscreen_talk.c */
    struct buf line;
    const char *where; /* the last command, "CONNECT" */
    const char *helo, *sender, *rcpt; /* null: not said; external form */
    bool esmtp, closing;
    unsigned skipped; /* tests that are over for this session */
    unsigned hidden; /* bits of enum esmtp_ext */
    const struct tls_info *tls; /* null: not encrypted */
};

/* postscreen_gate.c. (waits) The whole life of a client with us. */
void screen_open_gate(void); /* call before the jail, like the other screen_open_ functions */
void screen_session(struct stream *client, const struct peer *peer, struct arena *mem);
/* A test has been failed. True: the client has been told the reply, and is to go. */
bool screen_fail(struct screen *s, enum screen_test test, enum screen_action action,
                 const char *drop, const char *enforce);
void screen_log_hangup(struct screen *s, const char *when);

/* postscreen_early.c. (waits) The tests before the greeting. False: the client is to go. */
void screen_open_dnsbl(void); /* postscreen_dnsbl.c */
bool screen_early(struct screen *s);

/*
 * postscreen_dnsbl.c. begin asks all lists about the client, and wakes the running task when the
 * last has answered. score is what the answers so far make; name: the list that counts most, as
 * clients are told it, null if none does; ttl: seconds that the answers hold, -1: some are not
 * there. collect (waits) takes what has come meanwhile behind one that has not. end must follow,
 * also when the task was cancelled.
 */
bool screen_dnsbl_used(void);
void screen_dnsbl_begin(struct screen *s);
bool screen_dnsbl_done(const struct screen *s);
void screen_dnsbl_collect(struct screen *s);
int64_t screen_dnsbl_score(const struct screen *s, const char **name, int64_t *ttl);
void screen_dnsbl_end(struct screen *s); /* (waits) */

/* postscreen_talk.c. (waits) An SMTP session in which no mail is taken. */
void screen_open_talk(void);
void screen_talk(struct screen *s);
/* postscreen_command.c: one command. (waits) */
void screen_open_commands(void);
void screen_command(struct screen *s, struct str verb, struct str args);
const char *screen_command_name(struct str verb); /* null: there is no such */
/* postscreen_tls.c */
void screen_open_tls(void);
bool screen_tls_offered(const struct screen *s), screen_tls_required(void);
void screen_starttls(struct screen *s); /* (waits) */

/* postscreen_reply.c. A whole reply without its line end, "550 5.5.1 text"; a footer is put behind
 * one of 4xx and 5xx. */
void screen_open_replies(void);
void screen_soften(struct buf *reply); /* soft_bounce: 5xx becomes 4xx */
void screen_reply(struct screen *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* postscreen_access.c. What postscreen_access_list says; ACCESS_FAILED: a table failed, as logged.
 */
enum screen_access { ACCESS_DUNNO, ACCESS_PERMIT, ACCESS_REJECT, ACCESS_FAILED };
void screen_open_access(void);
enum screen_access screen_access(struct screen *s); /* (waits) */
/* Can a client pass that has connected to this address of ours? False also if a table failed. */
bool screen_may_pass_here(struct screen *s); /* (waits) */

/* postscreen_cache.c: clients by their address as text. */
void screen_open_cache(void);
void screen_start_cache(void); /* in the jail: cleans it up from time to time */
void screen_close_cache(void); /* another process has it from now on: nothing is found or put */
bool screen_cache_find(const char *address, struct screen_stamps *out);
void screen_cache_put(const char *address, const struct screen_stamps *stamps);

/* postscreen_pass.c. (waits) Gives the connection to smtpd. False: nobody took it. */
bool screen_pass(struct screen *s);

#endif
