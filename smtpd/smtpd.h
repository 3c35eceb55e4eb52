/* smtpd.h - the session of one client and its mail transaction: what the parts of smtpd share */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include "base/arena.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/why.h"
#include "mail/dsn.h"
#include "net/peer.h"
#include "net/stream.h"

struct tls_info;
struct smtpd_found;
struct match;

struct smtpd_rcpt {
    const char *address; /* internal form, as given */
    const char *orcpt; /* "type;address", decoded, or null */
    unsigned notify; /* enum dsn_notify bits; 0: not given */
};

/* From MAIL to the end of DATA. Lives in its own arena. */
struct smtpd_mail {
    struct arena *mem;
    const char *sender; /* internal form; "" is the null sender */
    int64_t size; /* SIZE=, 0: not said */
    bool eight_bit; /* BODY=8BITMIME */
    const char *envid; /* DSN, decoded; null: not given */
    enum dsn_ret ret;
    const char *sasl_sender; /* AUTH= of MAIL, null: not given */
    VEC(struct smtpd_rcpt) rcpts;
    int64_t refused; /* recipients beyond smtpd_recipient_limit */
    int64_t bytes; /* of content, as SIZE counts them */
    /* What access tables ordered. */
    unsigned submit_flags; /* SUBMIT_HOLD, SUBMIT_DISCARD */
    const char *filter, *redirect;
    VEC(const char *) prepend, bcc;
};

/* The moments of a session at which something may say no. */
enum smtpd_stage {
    SMTPD_CONNECT,
    SMTPD_HELO, /* s->helo is the new name */
    SMTPD_MAIL, /* s->mail is new */
    SMTPD_RCPT, /* facts: rcpt; also VRFY, without s->mail */
    SMTPD_DATA,
    SMTPD_END_OF_DATA, /* all content has come; the message is not in the queue yet */
    SMTPD_ETRN, /* facts: domain */
};
/* What a stage is about besides what struct smtpd says; null where it does not apply. */
struct smtpd_facts {
    const char *rcpt; /* internal form */
    const char *domain;
};

/* A reply that says no, made by a restriction. */
struct smtpd_denial {
    int code; /* 0: none */
    struct why why;
};

enum { SMTPD_COMMANDS = 16 };

struct smtpd {
    struct arena *mem;
    struct stream *stream;
    struct peer peer;
    const char *namaddr; /* "name[address]", for the log */
    char port[8]; /* the client's, "unknown" for a local socket */
    struct buf line; /* the present command */
    const char *where; /* the present or last command: "CONNECT", "MAIL", ... */
    const char *helo; /* null before HELO */
    bool esmtp;
    const struct tls_info *tls; /* null: the connection is not encrypted */
    const char *sasl_method, *sasl_username; /* null: not logged in */
    struct smtpd_mail *mail; /* null outside of a transaction */

    bool closing; /* the last reply has been said */
    bool failed; /* the present command got a 4yz or 5yz */
    int64_t content_until; /* smtpd_time.c: deadline of the content, which it moves as it comes */
    bool early_talk; /* commands came before their time */
    struct client_count *count; /* null: not counted */
    int64_t errors, junk;
    unsigned ok_count[SMTPD_COMMANDS], all_count[SMTPD_COMMANDS];

    struct smtpd_found *found; /* smtpd_facts.c: during the present command; null: nothing yet */

    /* smtpd_check.c */
    struct smtpd_denial denial; /* of the list that was checked last */
    struct smtpd_denial defer_if_permit, defer_if_reject;
    bool rcpt_checked; /* reject_unlisted_recipient has looked at this one */
    bool sender_checked;
};

/* smtpd_session.c: from the first byte to the last. */
void smtpd_session(struct stream *client, const struct peer *peer, struct arena *mem);
void smtpd_drop_mail(struct smtpd *s); /* ends the transaction; harmless without one */
const char *smtpd_protocol(const struct smtpd *s); /* "SMTP" or "ESMTP", for the log */

/*
 * smtpd_event.c: asks all that have a say in a stage, in their order; the first that says no ends
 * it. True: go on. False: s->denial is the reply, and it has been logged. (waits)
 */
bool smtpd_event(struct smtpd *s, enum smtpd_stage stage, const struct smtpd_facts *facts);

/* smtpd_time.c. (waits) A line of the client within its time; as stream_line. */
enum line smtpd_line(struct smtpd *s, struct buf *line);
void smtpd_content_begins(struct smtpd *s);
void smtpd_content_came(struct smtpd *s, size_t bytes); /* sets the limit of the next wait */

/* smtpd_reply.c. dsn may be "". A 4yz or 5yz counts as an error, and comes late when there were
 * many. */
void smtpd_reply(struct smtpd *s, int code, const char *dsn, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void smtpd_reply_text(struct smtpd *s, int code, const char *dsn, struct str text); /* lines */
void smtpd_reply_denial(struct smtpd *s); /* s->denial */
/* 421 and the end of the session. */
void smtpd_hang_up(struct smtpd *s, const char *dsn, const char *text);
/* "NOQUEUE: reject: RCPT from ...: reply; from=<> to=<> proto= helo=" */
void smtpd_log_reject(const struct smtpd *s, const char *action, const char *rcpt, int code,
                      const struct why *why);

/* One file per command. args is without blanks at its ends. */
typedef void smtpd_command(struct smtpd *s, struct str args);
smtpd_command smtpd_helo, smtpd_ehlo;
void smtpd_open_helo(void); /* before the jail, as the other smtpd_open_ functions */
smtpd_command smtpd_starttls;
smtpd_command smtpd_auth;
smtpd_command smtpd_mail;
smtpd_command smtpd_rcpt;
smtpd_command smtpd_data;
smtpd_command smtpd_rset, smtpd_noop, smtpd_vrfy, smtpd_etrn, smtpd_help, smtpd_quit;

/* smtpd_path.c. Takes the path of MAIL or RCPT off args: its internal form, in mem. PATH_BARE comes
 * from main.cf. False: not one that mail can be sent to, which is logged. */
bool smtpd_take_path(struct smtpd *s, struct str *args, unsigned flags, struct arena *mem,
                     const char **address);
/* postmaster, and address_verify_sender, since a refusal would be counted against us. */
bool smtpd_is_always_taken(const char *address);

/* smtpd_starttls.c */
void smtpd_open_tls(void); /* before the jail */
bool smtpd_tls_offered(const struct smtpd *s);
bool smtpd_tls_required(void); /* smtpd_tls_security_level = encrypt, or nothing is done without */
int smtpd_tls_begin(struct smtpd *s); /* (waits) the handshake; -1: the session is over */

/* smtpd_auth.c */
void smtpd_open_auth(void);
bool smtpd_auth_offered(struct smtpd *s);
void smtpd_auth_mechs(struct smtpd *s, struct buf *names); /* (waits) */

/* smtpd_limit.c: sessions of one client at a time, in all processes of the service. */
void smtpd_open_limits(void);
bool smtpd_limit_enter(struct smtpd *s); /* false: too many; smtpd_limit_leave in any case */
void smtpd_limit_leave(struct smtpd *s);

/* smtpd_data.c */
void smtpd_open_data(void);

#endif
