/* smtpd.h - the session of one client and its mail transaction, shared by all files of smtpd */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include "base/arena.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/why.h"
#include "mail/deliver_by.h"
#include "mail/dsn.h"
#include "mail/esmtp_xattr.h"
#include "milter/milter_list.h"
#include "net/peer.h"
#include "net/stream.h"

struct esmtp_param;
struct policy_conn;
struct tls_info;
struct smtpd_found;
struct smtpd_question;
struct smtpd_origin;
struct smtpd_proxy;
struct match;
struct milters;
struct submit;
struct transfer;

struct smtpd_rcpt {
    const char *address; /* internal form, as given */
    const char *orcpt; /* "type;address", decoded, or null */
    unsigned notify; /* bits of enum dsn_notify; 0: not given */
};

/* From MAIL to the end of DATA. Lives in its own arena. */
struct smtpd_mail {
    struct arena *mem;
    const char *sender; /* internal form; "" is the null sender */
    int64_t size; /* SIZE= of MAIL in bytes; 0: not given */
    bool eight_bit; /* BODY=8BITMIME */
    bool utf8; /* SMTPUTF8 */
    bool requiretls; /* REQUIRETLS */
    int priority; /* MT-PRIORITY=, as far as it was granted: -9 to 9, the highest goes first */
    bool has_priority, priority_changed; /* it was given; and less was granted */
    int64_t release_s; /* HOLDFOR=, HOLDUNTIL=: not to go before; wall clock. 0: not given */
    const char *release_request; /* that, as RFC 4865 8 has it in reports: "for;3600" */
    struct deliver_by by; /* BY=: until when; s is a wall clock time, 0: not given */
    const char *envid; /* DSN, decoded; null: not given */
    const char *verp; /* the delimiters of XVERP; null: not given */
    enum dsn_ret ret;
    const char *sasl_sender; /* AUTH= of MAIL, null: not given */
    const char *instance; /* tells it from all others, for policy services; null: not taken yet */
    VEC(struct smtpd_rcpt) rcpts;
    int64_t refused; /* recipients beyond smtpd_recipient_limit */
    int64_t bytes; /* of content so far, counted as in SIZE */
    /* Results of actions in access tables. */
    unsigned submit_flags; /* SUBMIT_HOLD, SUBMIT_DISCARD */
    const char *filter, *redirect;
    VEC(const char *) prepend, bcc;
    /* If mail filters want the content: the submission, which DATA has begun. Else null. */
    struct submit *submit;
    unsigned early_flags; /* with which it began */
    const char *queue_id;
    bool filter_discards; /* a mail filter has said DISCARD: restrictions are asked all the same */
    const char *milter_rcpt; /* whom filters are just told of; internal form; else null */
    struct transfer *transfer; /* smtpd_transfer.h: its content; null: none has come */
    struct smtpd_proxy *proxy; /* smtpd_proxy.c; null: there is no before-queue filter */
};

/* Stages of a session at which restrictions and others may refuse. */
enum smtpd_stage {
    SMTPD_CONNECT,
    SMTPD_HELO, /* s->helo is the new name */
    SMTPD_MAIL, /* s->mail is new */
    SMTPD_RCPT, /* facts: rcpt; also VRFY, without s->mail */
    SMTPD_DATA,
    SMTPD_END_OF_DATA, /* all content has been received; the message is not in the queue yet */
    SMTPD_ETRN, /* facts: domain */
    SMTPD_UNKNOWN, /* facts: path is the word that is no command */
};
/* What a stage is about, in addition to struct smtpd. Members are null where they do not apply. */
struct smtpd_facts {
    const char *rcpt; /* internal form */
    const char *domain;
    struct str path, params; /* of MAIL and RCPT: as the client wrote them */
};

/* A refusal, made by a restriction. */
struct smtpd_denial {
    int code; /* 0: none */
    struct why why; /* of a mail filter the text may have several lines */
};

enum { SMTPD_COMMANDS = 24, SMTPD_EARLY_LISTS = 3 };

struct smtpd {
    struct arena *mem;
    struct stream *stream;
    struct peer peer;
    const char *namaddr; /* "name[address]", for the log */
    char port[8]; /* the client's, "unknown" for a local socket */
    struct buf line; /* the present command */
    const char *where; /* the present or last command: "CONNECT", "MAIL", ... */
    const char *helo; /* null before HELO */
    struct buf helo_name, helo_asked; /* that, and a name that may be refused: reused */
    bool esmtp;
    bool said_ehlo; /* so it may send commands ahead, even if it says HELO later */
    unsigned hidden; /* bits of enum esmtp_ext: extensions that this client is not given */
    const struct tls_info *tls; /* null: the connection is not encrypted */
    const char *sasl_method, *sasl_username; /* null: not logged in */
    /* Of the client that XCLIENT has named: its texts. Null: nobody was named. */
    struct arena *client_mem;
    bool may_xclient, may_xforward, may_verp;
    struct smtpd_origin *origin; /* smtpd_xforward.c: of the next message; null: nothing was said */
    struct smtpd_mail *mail; /* null outside of a transaction */
    /* Until BDAT LAST, RSET or EHLO. Refused: further chunks are thrown away, also without s->mail
     */
    enum smtpd_bdat { BDAT_NONE, BDAT_BEGUN, BDAT_REFUSED } bdat;

    bool closing; /* the last reply has been sent: end the session */
    bool denied; /* refused when it connected: only QUIT is answered (RFC 5321 3.1) */
    bool failed; /* the reply to this command was 4yz or 5yz */
    /* smtpd_time.c: what the client is waited for, since when, and until when its content may take,
     * which moves as it comes */
    enum awaited { AWAIT_LINE, AWAIT_CONTENT, AWAIT_HANDSHAKE } awaited;
    int64_t awaited_since, content_until;
    unsigned messages; /* that have begun */
    struct policy_conn *policies; /* smtpd_policy_conn.c: connections of the present message */
    bool early_talk; /* the client has sent commands ahead where it must not */
    /* smtpd_limit.c: what this client has done is counted, if it is not excepted */
    enum counted { COUNTED_UNKNOWN, COUNTED, COUNTED_NOT } counted;
    struct client_count *count; /* null: not counted */
    struct client_rate *rate;
    int64_t connections; /* of this client at its begin, with this one */
    int64_t errors, junk;
    /* smtpd_notice.c: what was said so far; what refusals were about, and the next one is (0: its
     * code tells): bits of enum smtpd_blame */
    struct buf transcript;
    size_t transcript_lines;
    unsigned blamed, cause;
    const char *aborted; /* why the session has ended; null: by QUIT, or we closed it */
    unsigned ok_count[SMTPD_COMMANDS], all_count[SMTPD_COMMANDS];

    struct smtpd_found *found; /* smtpd_facts.c: during the present command; null: nothing yet */
    struct smtpd_question *questions; /* smtpd_ask.c: of the present command; null: none */
    struct arena *question_mem;

    /* smtpd_milter.c */
    struct milters *milters; /* null: this client has none */
    struct milter_list milter_list; /* its own, from smtpd_milter_maps */
    struct buf milter_text; /* of a macro */
    bool milter_holds; /* at CONNECT or HELO a filter has put all messages on hold */
    bool milter_rcpt_refused; /* filters are told of a recipient that s->denial is about */

    /* smtpd_check.c */
    const char *etrn_domain; /* while the lists are asked about ETRN; else null */
    struct smtpd_denial denial; /* result of the list that was checked last */
    struct smtpd_denial defer_if_permit, defer_if_reject;
    /* What the lists of client, HELO and sender would defer, when they have not waited for RCPT. */
    struct smtpd_denial deferred[SMTPD_EARLY_LISTS];
    bool rcpt_checked; /* reject_unlisted_recipient has looked at this one */
    bool sender_checked;
};

/* smtpd_session.c. (waits) The whole session, from the greeting to the end. */
void smtpd_session(struct stream *client, const struct peer *peer, struct arena *mem);
void smtpd_greet(struct smtpd *s); /* (waits) as at the begin of a session: 220, or a refusal */
void smtpd_drop_mail(struct smtpd *s); /* (waits) ends the transaction; nothing without one */
void smtpd_end_mail(struct smtpd *s); /* (waits) the same, and XFORWARD of it is forgotten */
const char *smtpd_protocol(const struct smtpd *s); /* "SMTP" or "ESMTP", for the log */

/*
 * smtpd_event.c. (waits) Asks all subscribers of a stage in their order, until one refuses. True:
 * none has refused. False: s->denial is the reply, and the refusal has been logged.
 */
bool smtpd_event(struct smtpd *s, enum smtpd_stage stage, const struct smtpd_facts *facts);

/* smtpd_time.c. (waits) A line of the client within its time; as stream_line. */
enum line smtpd_line(struct smtpd *s, struct buf *line);
/* smtpd_command_filter.c. (waits) What smtpd_command_filter makes of the line s->line. False: the
 * table failed, the client was told, and the session ends. */
void smtpd_open_command_filter(void);
bool smtpd_filter_command(struct smtpd *s);
void smtpd_time_begins(struct smtpd *s); /* of the session: limits its waits from now on */
void smtpd_time_ends(struct smtpd *s); /* before s is gone; the stream may stay */
void smtpd_content_begins(struct smtpd *s);
void smtpd_content_came(struct smtpd *s, size_t bytes); /* sets the limit of the next wait */
void smtpd_handshake_begins(struct smtpd *s); /* of TLS: one limit for all of it */
void smtpd_handshake_ends(struct smtpd *s);

enum { SMTPD_REPLY_LIMIT = 48 * 1024 }; /* bytes of a reply's text */
/* smtpd_footer.c. (waits) What smtpd_reject_filter_maps and smtpd_reject_footer make of a reply. */
void smtpd_open_footer(void);
void smtpd_edit_refusal(const struct smtpd *s, int *code, char dsn[10], struct buf *text);

/* smtpd_reply.c. dsn may be "". (waits) A 4yz or 5yz reply counts as an error, and is delayed if
 * there were many errors (smtpd_error_sleep_time). */
void smtpd_reply(struct smtpd *s, int code, const char *dsn, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void smtpd_reply_text(struct smtpd *s, int code, const char *dsn, struct str text); /* lines */
void smtpd_reply_denial(struct smtpd *s); /* s->denial */
/* Replies 421 and ends the session. */
void smtpd_hang_up(struct smtpd *s, const char *dsn, const char *text);
void smtpd_data_error(
    struct smtpd *s); /* a table failed without which there is no session: logged */
/* "NOQUEUE: action: RCPT from ...: text; from=<> to=<> proto= helo=". The second one's text is a
 * reply. rcpt: null: there is none. */
void smtpd_log(const struct smtpd *s, const char *action, const char *rcpt, const char *text);
void smtpd_log_reject(const struct smtpd *s, const char *action, const char *rcpt, int code,
                      const struct why *why);

/* " from=<> to=<> proto= helo=", the end of that and of other lines. rcpt may be null. */
void smtpd_log_about(const struct smtpd *s, const char *rcpt, struct buf *line);
void smtpd_describe_client(const struct smtpd *s, struct buf *line); /* "client=name[addr]..." */

/* The commands, usually one per file. args has no blanks at its ends. (waits) */
typedef void smtpd_command(struct smtpd *s, struct str args);
smtpd_command smtpd_helo, smtpd_ehlo;
/* Sets s->hidden from smtpd_discard_ehlo_keywords. (waits) False: its table failed, as logged. */
bool smtpd_find_hidden(struct smtpd *s);
void smtpd_open_helo(void); /* call before the jail, like the other smtpd_open_ functions */
smtpd_command smtpd_xclient, smtpd_xforward;
smtpd_command smtpd_starttls;
smtpd_command smtpd_auth;
smtpd_command smtpd_mail;
smtpd_command smtpd_rcpt;
smtpd_command smtpd_data;
smtpd_command smtpd_bdat;
/* Is the client in the middle of a message that it sends with BDAT? True: it was told no. */
bool smtpd_is_after_bdat(struct smtpd *s, const char *command);
smtpd_command smtpd_rset, smtpd_noop, smtpd_vrfy, smtpd_etrn, smtpd_help, smtpd_quit;

/* smtpd_mail.c. May this client ask for delivery status notifications? False: it was told no. */
bool smtpd_takes_dsn(struct smtpd *s);

/*
 * smtpd_path.c. Cuts the path of MAIL, RCPT or VRFY off args and returns its internal form, in mem.
 * flags: PATH_NULL; PATH_UTF8 if the client has asked for SMTPUTF8. main.cf decides about
 * PATH_BARE. False: mail cannot be sent to it; this has been logged, and the client told: with the
 * reply bad, or with 553 if only SMTPUTF8 is missing.
 */
struct smtpd_bad_path {
    const char *dsn, *text;
};
bool smtpd_take_path(struct smtpd *s, struct str *args, unsigned flags, struct arena *mem,
                     const struct smtpd_bad_path *bad, const char **address);
/* smtpd_priority.c: MT-PRIORITY. May this client ask for one? take: the parameter of MAIL; false:
 * it has its reply. reply: of a MAIL command that was accepted, which tells what was granted. */
bool smtpd_takes_priority(const struct smtpd *s);
bool smtpd_take_priority(struct smtpd *s, struct smtpd_mail *m, struct str value);
void smtpd_reply_mail(struct smtpd *s);

/* smtpd_release.c: FUTURERELEASE. May this client ask for it? offer: its line of the reply to EHLO.
 * take: a parameter of MAIL, HOLDFOR or HOLDUNTIL, of a client that may; false: it has its reply.
 */
bool smtpd_takes_release(const struct smtpd *s);
void smtpd_offer_release(struct buf *text);
bool smtpd_take_release(struct smtpd *s, struct smtpd_mail *m, const struct esmtp_param *p);

/* smtpd_deliver_by.c: DELIVERBY. May this client ask for it? offer: its line of the reply to EHLO.
 * take: the parameter of MAIL of a client that may; may_release_by_then: of MAIL with all its
 * parameters. Both are false if the client has its reply. */
bool smtpd_takes_deliver_by(const struct smtpd *s);
void smtpd_offer_deliver_by(struct buf *text);
bool smtpd_take_deliver_by(struct smtpd *s, struct smtpd_mail *m, struct str value);
bool smtpd_may_release_by_then(struct smtpd *s, const struct smtpd_mail *m);

/* smtpd_helo.c. May this client ask for REQUIRETLS now? */
bool smtpd_has_requiretls(const struct smtpd *s);
/* Is SMTPUTF8 among the words of a command, and may it be asked for? */
bool smtpd_asks_utf8(const struct smtpd *s, struct str args);
/* True for postmaster (RFC 5321 4.5.1) and address_verify_sender, which are never refused. */
bool smtpd_is_always_taken(const char *address);

/* smtpd_verp.c. May this client ask for XVERP? take: the parameter of MAIL of one that may; false:
 * it has its reply. */
void smtpd_open_verp(void);
bool smtpd_may_verp(struct smtpd *s);
bool smtpd_take_verp(struct smtpd *s, struct smtpd_mail *m, const struct esmtp_param *p);

/* smtpd_xclient.c */
void smtpd_open_xclient(void);
bool smtpd_may_xclient(struct smtpd *s);
void smtpd_name_client(struct smtpd *s, struct arena *mem); /* sets s->namaddr */
bool smtpd_is_among(struct smtpd *s, struct match *hosts); /* false also if a table failed */

/*
 * smtpd_xforward.c: where the next message comes from, as the log and later hops shall see it: what
 * XFORWARD has said, and else this client. smtpd_origin: null, or "unknown" if it is an attribute
 * of the client's that was said not to be known. smtpd_has_origin: has XFORWARD named a client?
 */
void smtpd_open_xforward(void);
bool smtpd_may_xforward(struct smtpd *s);
bool smtpd_has_origin(const struct smtpd *s);
const char *smtpd_origin(const struct smtpd *s, enum esmtp_xattr attr);
void smtpd_origin_namaddr(const struct smtpd *s, struct buf *out); /* "name[address]" */
bool smtpd_origin_is_local(struct smtpd *s);
void smtpd_forget_origin(struct smtpd *s);

/* smtpd_starttls.c */
void smtpd_open_tls(void); /* before the jail */
bool smtpd_tls_offered(const struct smtpd *s); /* does this service have STARTTLS? */
bool smtpd_tls_required(void); /* smtpd_tls_security_level = encrypt, or smtpd_enforce_tls */
int smtpd_tls_begin(struct smtpd *s); /* (waits) the handshake; -1: the session is over */
int smtpd_tls_wrap(struct smtpd *s); /* (waits) the same, with smtpd_tls_wrappermode */

/* smtpd_auth.c */
void smtpd_open_auth(void);
bool smtpd_auth_offered(struct smtpd *s);
void smtpd_auth_paths(void); /* what the jail must leave open */
void smtpd_auth_mechs(struct smtpd *s, struct buf *names); /* (waits) */

/* smtpd_policy_conn.c: others may have the connections of the message that ends. */
void smtpd_policy_release(struct smtpd *s);

/* smtpd_transfer.c */
void smtpd_open_data(void);
/* (waits) Begins to hand the message to cleanup, which says its queue id, if that has not been done
 * yet. False: it cannot; s->denial is set and logged. */
bool smtpd_begin_submission(struct smtpd *s);

#endif
