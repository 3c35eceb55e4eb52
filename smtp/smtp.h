/* smtp.h - the SMTP and LMTP client. A job is one delivery request, a session is one connection */
#ifndef SMTP_SMTP_H
#define SMTP_SMTP_H

#include "base/list.h"
#include "mail/esmtp_ehlo.h"
#include "mail/esmtp_reply.h"
#include "net/addr.h"
#include "queue/outcome.h"

struct stream;

/* A destination in a next hop: "host", "[host]:port", "unix:/path". */
struct smtp_dest {
    const char *text; /* as it was given */
    const char *host; /* or the path of a UNIX socket */
    in_port_t port;
    bool mx; /* look up its MX records */
    bool is_unix;
};

/* The TLS security level of a destination. */
enum smtp_tls_level {
    SMTP_TLS_NONE,
    SMTP_TLS_MAY,
    SMTP_TLS_ENCRYPT,
    SMTP_TLS_FINGERPRINT,
    SMTP_TLS_VERIFY, /* a trusted certificate with the right name; also "secure" */
};
/* What REQUIRETLS of a message means for a destination: levels of smtp_requiretls_policy. */
enum smtp_requiretls {
    SMTP_REQUIRETLS_OFF, /* nothing; also if it was not asked for */
    SMTP_REQUIRETLS_MAY, /* opportunistic: said to a server that has it */
    SMTP_REQUIRETLS_STARTTLS, /* opportunistic+starttls: and there must be TLS */
    SMTP_REQUIRETLS_ENFORCE, /* the server must have it, and a verified certificate */
};
struct tls_context;
struct smtp_tls_policy {
    enum smtp_tls_level level;
    struct tls_context *context; /* null: TLS is not possible */
    const char *match; /* names or fingerprints, as *_cert_match writes them */
};

/* The state of a recipient in a job. */
enum smtp_rcpt {
    SMTP_RCPT_WAITS = 'w', /* to be tried with the next server */
    SMTP_RCPT_TAKEN = 't', /* its RCPT was answered with 2xx in this transaction */
    SMTP_RCPT_ENDED = 'e', /* its delivery status is final */
};

struct smtp_job {
    const struct delivery *d;
    struct arena *mem;
    struct qfile *file;
    struct outcome outcome;
    struct delivery_result result;
    char *rcpts; /* enum smtp_rcpt of each */
    size_t left; /* number of recipients that have not ended */
    size_t next; /* the first recipient that this server has not been told of (LIMITS) */
    enum smtp_requiretls requiretls; /* for the present destination */
    bool reconnect; /* it takes no more messages on this connection, and there are more to come */
    bool last_server; /* no other server is left: a temporary failure here defers */
    bool try_again; /* a server failed for now, for another reason than SMTP_LACKS_REQUIRETLS */
    bool site_answered; /* a server has taken part in a transaction: the destination is not dead */
    struct why why; /* the last failure of a server or site */
};

/* One connection. It has its own arena and may live longer than the job that opened it. */
struct smtp_session {
    struct list idle; /* links sessions in the cache */
    struct arena *mem;
    struct stream *stream;
    const char *key; /* of the cache */
    const char *host; /* the server's name */
    const char *namaddr; /* "host[addr]" */
    const char *relay; /* "host[addr]:port" */
    const struct smtp_dest *dest; /* of the present job */
    struct addr addr;
    struct esmtp_ehlo ehlo;
    struct esmtp_reply reply; /* the last one */
    struct buf reply_text; /* its lines as received, joined to one: for log and report */
    const char *doing; /* "sending MAIL FROM", for the texts of failures */
    bool tls, lmtp;
    bool verified; /* the server's certificate is the one that the TLS policy demands */
    bool tls_failed; /* the handshake failed; may be tried again without TLS */
    bool broken; /* do not use it again */
    bool needs_rset; /* a transaction was begun and not ended */
    bool answered; /* the server has answered in this job, so the connection had not died while idle
                    */
    unsigned uses; /* transactions so far */
    int64_t opened, expires; /* task_now(), ms */
};

/* The program is smtp or lmtp. */
bool smtp_is_lmtp(void);

/* smtp_connect.c */
void smtp_open_hosts(void);
void smtp_deliver(struct smtp_job *job); /* (waits) until every recipient has ended */

/* smtp_session.c: commands and replies. */
struct smtp_session *smtp_session_new(int fd, const char *host, const char *addr, in_port_t port);
void smtp_session_close(
    struct smtp_session **s); /* (waits) sends QUIT if the connection still works */
/* (waits) Reads one reply within seconds. 0: s->reply is complete. -1: why (4.4.2) says during
 * which command the connection failed. */
int smtp_read_reply(struct smtp_session *s, int64_t seconds, struct why *why);
void smtp_command(struct smtp_session *s, const char *doing, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Nothing is there that the server has sent, and it has not closed the connection. */
bool smtp_is_silent(struct smtp_session *s);
/* Before a command is sent, when all that went before is answered: a reply that is there already
 * belongs to none, and each one after it would be taken for the next command's. -1: why (4.5.0). */
int smtp_check_turn(struct smtp_session *s, const char *doing, struct why *why);
/* (waits) Sends a command and reads its reply, as smtp_read_reply, after smtp_check_turn. */
int smtp_ask(struct smtp_session *s, int64_t seconds, const char *doing, const char *command,
             struct why *why);

void smtp_open_hello(void); /* before the jail */
/* smtp_hello.c: greeting, EHLO, STARTTLS, AUTH. -1: this server cannot be used; why. */
int smtp_hello(struct smtp_job *job, struct smtp_session *s, const struct smtp_tls_policy *policy,
               struct why *why); /* (waits) */

/* smtp_tls.c */
void smtp_open_tls(void);
int smtp_tls_policy_for(struct smtp_job *job, const struct smtp_dest *dest,
                        struct smtp_tls_policy *out, struct why *why);
/* "TLS-Required: no": any server is good enough, also without TLS. */
bool smtp_ignores_tls_policy(const struct smtp_job *job);
int smtp_start_tls(struct smtp_job *job, struct smtp_session *s,
                   const struct smtp_tls_policy *policy, struct why *why); /* (waits) */

/*
 * smtp_requiretls.c. smtp_find_requiretls (waits) sets job->requiretls; -1: a table failed, why.
 * smtp_lacks_requiretls: this server cannot have the message, why. smtp_lacks_starttls: the same,
 * if why says that the server has no STARTTLS. smtp_says_requiretls: the parameter of MAIL is sent.
 */
#define SMTP_LACKS_REQUIRETLS "4.7.30" /* with 5 the mail is returned: no server has it */
void smtp_open_requiretls(void);
void smtp_requiretls_paths(void); /* for the jail */
bool smtp_asks_requiretls(const struct smtp_job *job);
int smtp_find_requiretls(struct smtp_job *job, const struct smtp_dest *dest, struct why *why);
bool smtp_lacks_requiretls(const struct smtp_job *job, const struct smtp_session *s,
                           struct why *why);
void smtp_lacks_starttls(const struct smtp_job *job, const struct smtp_session *s, struct why *why);
bool smtp_says_requiretls(const struct smtp_job *job, const struct smtp_session *s);

/*
 * smtp_deliver_by.c. lacks_deliver_by: this server cannot have the message, why, and no other one.
 * put_deliver_by: appends the parameter of MAIL, if it is to be said. tells_relay: the sender is
 * told that the message went to this server. notify_for: NOTIFY for a recipient, bits of
 * enum dsn_notify.
 */
bool smtp_lacks_deliver_by(const struct smtp_job *job, const struct smtp_session *s,
                           struct why *why);
void smtp_put_deliver_by(const struct smtp_job *job, const struct smtp_session *s,
                         struct buf *args);
bool smtp_tells_relay(const struct smtp_job *job, const struct smtp_session *s);
unsigned smtp_notify_for(const struct smtp_job *job, const struct smtp_session *s,
                         const struct rcpt *r);

/* smtp_auth.c */
void smtp_open_auth(void);
/* DICT_NONE: no credentials for this destination. */
int smtp_authenticate(struct smtp_job *job, struct smtp_session *s, struct why *why); /* (waits) */

/* smtp_transfer.c: one transaction, from MAIL to the end of DATA, for the recipients that wait from
 * job->next on; as many as the server takes at a time. */
void smtp_transfer(struct smtp_job *job, struct smtp_session *s); /* (waits) */
/* smtp_xforward.c: the two commands that tell the server where the message comes from, which live
 * in job->mem. Null: there is nothing to say, or it does not want to know. */
const char *smtp_xforward_client(struct smtp_job *job, const struct smtp_session *s);
const char *smtp_xforward_session(struct smtp_job *job, const struct smtp_session *s);
/* smtp_body.c: sends the content. -1: it is incomplete, so the connection must be closed without
 * the final dot. */
int smtp_send_body(struct smtp_job *job, struct smtp_session *s, struct why *why); /* (waits) */

/* smtp_status.c: from replies and failures to the delivery status of recipients. */
void smtp_why_reply(const struct smtp_session *s, const char *in_reply_to, struct why *why);
void smtp_rcpt_sent(struct smtp_job *job, struct smtp_session *s, size_t rcpt);
void smtp_rcpt_failed(struct smtp_job *job, struct smtp_session *s, size_t rcpt,
                      const struct why *why, bool from_reply);
/* The same for all recipients whose state is one of states ("wt"). */
void smtp_rcpts_failed(struct smtp_job *job, struct smtp_session *s, const char *states,
                       const struct why *why, bool from_reply);
void smtp_server_failed(struct smtp_job *job,
                        const struct why *why); /* the next server will be tried */
void smtp_give_up(struct smtp_job *job); /* defers or bounces the recipients that are left */

/* smtp_cache.c: idle connections. */
struct smtp_session *smtp_cache_take(const char *key); /* null: none */
bool smtp_cache_put(struct smtp_session *s); /* false: it must be closed */
void smtp_cache_close(void); /* all: the process is about to end */

#endif
