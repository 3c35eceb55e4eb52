/* smtpd_check.h - may this client do that? The restriction lists of main.cf */
#ifndef SMTPD_SMTPD_CHECK_H
#define SMTPD_SMTPD_CHECK_H

#include "dict/maps.h"

#include "smtpd.h"

/* Reads all lists and opens their tables; before the jail. Ends the process if nothing keeps
 * strangers from relaying. */
void smtpd_open_checks(void);

/* (waits) Each returns 0, or -1 with s->denial set and logged. Called by the commands. */
int smtpd_check_client(struct smtpd *s);
int smtpd_check_helo(struct smtpd *s, const char *helo);
int smtpd_check_mail(struct smtpd *s);
int smtpd_check_rcpt(struct smtpd *s, const char *rcpt);
int smtpd_check_data(struct smtpd *s);
int smtpd_check_end_of_data(struct smtpd *s);
int smtpd_check_etrn(struct smtpd *s, const char *domain);

/* For the commands: is the client in mynetworks; may headers be completed (local). */
bool smtpd_is_mine(struct smtpd *s);
bool smtpd_is_local(struct smtpd *s);

/* ---- for the files of restrictions ---- */

enum verdict { VERDICT_DUNNO, VERDICT_PERMIT, VERDICT_REJECT };

/* One list being gone through. */
struct check {
    struct smtpd *s;
    const char *subject; /* what "reject" alone is about: "<subject>: class rejected" */
    const char *class; /* "Recipient address" */
    const char *rcpt; /* null before RCPT */
    bool warn_only; /* warn_if_reject stands before the present restriction */
    unsigned depth; /* of restriction classes and tables with lists */
};

struct restriction;
typedef enum verdict restriction_fn(struct check *k, const struct restriction *r);
struct restriction {
    char *name;
    restriction_fn *fn;
    char *arg; /* null if it takes none */
    struct maps *table; /* of check_*_access */
    struct restrictions *list; /* of a restriction class */
};
struct restrictions;

/* Says no: logs and sets the denial. code 0: as the first digit of dsn says (450, 550). */
enum verdict check_deny(struct check *k, int code, const char *dsn, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
enum verdict check_deny_subject(struct check *k, int code, const char *dsn, const char *subject,
                                const char *class, const char *text);
/* A table or the DNS did not answer: 451, with the cause in the log. */
enum verdict check_failed(struct check *k, const char *subject, const struct why *why);
/* Later, if nothing refuses it anyway. */
void check_defer_if_permit(struct check *k, int code, const char *dsn, const char *text);
void check_defer_if_reject(struct check *k, int code, const char *dsn, const char *text);
/* Goes through restrictions that a table named. */
enum verdict check_text(struct check *k, const char *list);

/* Carries out the right side of an access table. */
enum verdict access_action(struct check *k, const char *action, const char *subject,
                           const char *class, const char *table);

restriction_fn check_reject_unlisted_recipient, check_reject_unlisted_sender;
restriction_fn check_reject_unauth_destination, check_defer_unauth_destination;
restriction_fn check_permit_auth_destination;
restriction_fn check_reject_non_fqdn_recipient, check_reject_non_fqdn_sender;
restriction_fn check_reject_unknown_recipient_domain, check_reject_unknown_sender_domain;
restriction_fn check_reject_sender_login_mismatch, check_reject_authenticated_sender_login_mismatch,
    check_reject_unauthenticated_sender_login_mismatch, check_reject_known_sender_login_mismatch;
restriction_fn check_reject_invalid_helo, check_reject_non_fqdn_helo, check_reject_unknown_helo;
restriction_fn check_reject_unknown_client, check_reject_unknown_reverse_client;
restriction_fn check_permit_mynetworks, check_permit_sasl, check_permit_inet_interfaces;
restriction_fn check_permit_tls_all_clientcerts;
restriction_fn check_client_access, check_reverse_client_access, check_helo_access,
    check_sender_access, check_recipient_access, check_sasl_access;
void smtpd_open_senders(void); /* smtpd_sender_login_maps */
void smtpd_open_clients(void); /* mynetworks, local_header_rewrite_clients */

#endif
