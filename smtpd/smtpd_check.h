/* smtpd_check.h - the restriction lists of main.cf: smtpd_client_restrictions and so on */
#ifndef SMTPD_SMTPD_CHECK_H
#define SMTPD_SMTPD_CHECK_H

#include "dict/maps.h"
#include "net/dns.h"
#include "net/dnsbl.h"
#include "route/resolve.h"

#include "smtpd.h"

/* Reads all lists and opens their tables. Call it before the jail. Ends the process if no
 * restriction keeps strangers from relaying. */
void smtpd_open_checks(void);

/* (waits) The subscriber of smtpd_event. True: a list has refused; s->denial is set and logged. */
bool smtpd_check_event(struct smtpd *s, enum smtpd_stage stage, const struct smtpd_facts *facts);

/* For the commands: is the client in mynetworks; may headers be completed (local). */
bool smtpd_is_mine(struct smtpd *s);
bool smtpd_is_local(struct smtpd *s);

/* ---- for the files of restrictions ---- */

/*
 * smtpd_facts.c: asked once a command, however many restrictions want to know. (waits)
 * smtpd_route_of: where mail for an address goes, valid until the next call; null: it could not be
 * asked, and why says so (defer). smtpd_domain_exists: DNS_OK if it has a mail exchanger or an
 * address; *code is the enhanced code of what is wrong ("5.1.0": a null MX, RFC 7505; "4.7.0":
 * smtpd_dns_reply_filter has left nothing), valid for the command.
 */
const struct route *smtpd_route_of(struct smtpd *s, const char *address, struct why *why);
enum dns_status smtpd_domain_exists(struct smtpd *s, const char *domain, const char **code);
void smtpd_forget_facts(struct smtpd *s); /* the next command asks anew */
/* Is that the answer because of smtpd_dns_reply_filter? Then nothing is refused, and it is said of
 * what ("MX or address"). */
bool check_is_filtered(enum dns_status status, const char *code, const char *domain,
                       const char *what);

/*
 * smtpd_ask.c: addresses (A records) of names. smtpd_ask only asks; smtpd_answer (waits) for the
 * answer, which is valid for the command. A name that nobody can have is DNS_NO_NAME.
 */
void smtpd_ask(struct smtpd *s, const char *name);
const struct dns_answer *smtpd_answer(struct smtpd *s, const char *name, struct why *why);
void smtpd_forget_questions(struct smtpd *s);

enum verdict { VERDICT_DUNNO, VERDICT_PERMIT, VERDICT_REJECT };

/* The state of going through one list. */
struct check {
    struct smtpd *s;
    const char *subject; /* what the list is about, for "<subject>: class rejected" */
    const char *class; /* "Recipient address" */
    const char *rcpt; /* null before RCPT */
    bool warn_only; /* warn_if_reject precedes the present restriction */
    bool without_policy; /* a policy service has not answered: its default action is under way */
    unsigned depth; /* of restriction classes and tables with lists */
    const struct restrictions *list; /* that is gone through, and where */
    size_t at;
};

struct restriction;
typedef enum verdict restriction_fn(struct check *k, const struct restriction *r);
struct restriction {
    char *name;
    restriction_fn *fn;
    char *arg; /* null if it takes none */
    struct maps *table; /* of check_*_access */
    struct restrictions *list; /* of a restriction class */
    struct dnsbl *dnsbl; /* of reject_rbl_client and its like */
    struct policy_service *policy; /* of check_policy_service */
    /* Of check_ccert_access: what of a certificate is looked up, in order; 0: no more. */
    enum cert_print { PRINT_OF_CERT = 1, PRINT_OF_KEY } prints[2];
};
/* A name of a restriction, its function, and what stands behind the name in a list. Tables of these
 * end with a null name. */
enum restriction_arg {
    RESTRICTION_ALONE,
    RESTRICTION_TABLE,
    RESTRICTION_TEXT,
    RESTRICTION_DNSBL,
    RESTRICTION_POLICY,
    RESTRICTION_CCERT,
};
struct restriction_def {
    const char *name;
    restriction_fn *fn;
    enum restriction_arg arg;
};
extern const struct restriction_def smtpd_simple_restrictions[], smtpd_client_restrictions[],
    smtpd_address_restrictions[], smtpd_access_restrictions[], smtpd_dnsbl_restrictions[],
    smtpd_server_restrictions[], smtpd_policy_restrictions[], smtpd_cert_restrictions[],
    smtpd_verify_restrictions[], smtpd_mx_backup_restrictions[];

/* smtpd_lists.c: the lists of main.cf, one for each parameter. */
enum { RESTRICTION_DEPTH_MOST = 100 }; /* classes within classes */
struct restrictions {
    const char *parameter;
    VEC(struct restriction) at;
    restriction_fn
        *bare_table; /* the restriction that "hash:/file" alone stands for in this list */
    bool only_names; /* to see whether they are right: no table is opened */
    bool of_table; /* they are its result */
};
extern struct smtpd_lists {
    struct restrictions client, helo, sender, relay, rcpt, data, end_of_data, etrn;
} smtpd_lists;
void smtpd_open_lists(void); /* what cannot be read is told with conf_fault */
/* Reads the result of a table. The caller frees it with smtpd_free_list. */
void smtpd_read_result(struct restrictions *list, const char *text);
/* Could it be read? 0, or -1 and why; no table is opened for that. */
int smtpd_check_result(const char *text, struct why *why);
void smtpd_free_list(struct restrictions *list);

/* Refuses: sets the denial and logs it. code 0: 450 or 550, by the first digit of dsn. */
enum verdict check_deny(struct check *k, int code, const char *dsn, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
enum verdict check_deny_subject(struct check *k, int code, const char *dsn, const char *subject,
                                const char *class, const char *text);
/* smtpd_permit.c: smtpd_log_access_permit_actions. check_log_permit logs that an action lets what
 * k is about pass; table, where it stands, may be null. check_log_restriction: the same for a
 * restriction that has done so; those that have looked into a table have logged it themselves. */
void smtpd_open_permit(void);
void check_log_permit(struct check *k, const char *action, const char *class, const char *subject,
                      const char *table);
void check_log_restriction(struct check *k, const struct restriction *r);
/* Refuses with 451 because a table or the DNS failed; logs why. */
enum verdict check_failed(struct check *k, const char *subject, const struct why *why);
/* (waits) smtpd_dnsbl_reply.c: refuses what is in the restriction's DNS list, in the words of
 * rbl_reply_maps. class: "Client host"; what: its address; reason: the list's TXT record, or "". */
enum verdict check_deny_listed(struct check *k, const struct restriction *r, const char *class,
                               const char *what, const char *reason);
/* (waits) Where mail for an address goes: smtpd_route_of. Null: not known, *v is the refusal. */
const struct route *check_route(struct check *k, const char *address, enum verdict *v);
/* Remember a temporary refusal, which is used if the lists would permit, or would reject. */
void check_defer_if_permit(struct check *k, int code, const char *dsn, const char *text);
/* The same, or refuses at once, as a parameter such as unknown_address_tempfail_action says. */
enum verdict check_tempfail(struct check *k, const char *action, int code, const char *dsn,
                            const char *text);
void check_defer_if_reject(struct check *k, int code, const char *dsn, const char *text);
/* A table has said DISCARD of the present message: nothing more is asked about it. */
bool check_discards(const struct smtpd *s);
/* (waits) Applies restrictions that are the result of a table. */
enum verdict check_text(struct check *k, const char *list);

/* (waits) Executes a result of an access table: access(5). */
enum verdict access_action(struct check *k, const char *action, const char *subject,
                           const char *class, const char *table);

/* (waits) The same for what a table has said, or failed to say: why. */
enum verdict access_apply(struct check *k, const struct restriction *r, enum dict_answer answer,
                          const struct buf *value, const char *subject, const char *class,
                          const struct why *why);
/* Whoever may choose his own names and servers shall not open the door with them: OK becomes a
 * refusal, and a warning. DISCARD, which lets in nothing, stays. */
enum verdict access_never_ok(struct check *k, const struct restriction *r, enum verdict v,
                             const char *about);

/* Would access_action take it? -1: why says what is wrong. For check, which reads whole tables. */
int access_action_check(const char *action, struct why *why);

restriction_fn check_class, check_unknown;
/*
 * smtpd_access.c. RFC 3463 3.2: X.1.Y is about an address, and each Y about a sender's or a
 * recipient's only. A table or template may name one that does not fit what was looked up; then it
 * becomes the nearest one that does, as in Postfix.
 */
void check_fit_dsn(char dsn[10], const char *class);

/* smtpd_certs.c. smtpd_read_ccert: what stands behind check_ccert_access, of which table is the
 * table. */
enum { PRINTS = 2 };
int smtpd_read_ccert(struct restriction *r, struct str *table, struct why *why);
void smtpd_open_certs(void); /* relay_clientcerts */
restriction_fn check_permit_tls_clientcerts, check_permit_tls_all_clientcerts;

restriction_fn check_permit_auth_destination;
restriction_fn check_reject_unlisted_recipient, check_reject_unlisted_sender;
restriction_fn check_client_access, check_helo_access, check_sender_access, check_recipient_access;
void smtpd_open_senders(void); /* smtpd_sender_login_maps */
void smtpd_open_maps_rbl(void);
void smtpd_open_mx_backup(void); /* permit_mx_backup_networks */
void smtpd_open_dnsbl(void); /* rbl_reply_maps, default_rbl_reply */
void smtpd_open_clients(void); /* mynetworks, local_header_rewrite_clients */

#endif
