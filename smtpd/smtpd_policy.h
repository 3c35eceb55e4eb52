/* smtpd_policy.h - policy services: their settings, their connections, and asking them */
#ifndef SMTPD_SMTPD_POLICY_H
#define SMTPD_SMTPD_POLICY_H

#include "base/list.h"
#include "mail/policy.h"
#include "net/endpoint.h"

#include "smtpd.h"

/* What stands behind check_policy_service. A setting that is not there is -1 or null: then that of
 * main.cf holds, as it is now. */
struct policy_service {
    char *text; /* as it stands there: the same text is the same service */
    char *name; /* for the log: "127.0.0.1:10023", "private/policy" */
    struct endpoint at;
    int64_t timeout, max_idle, max_ttl, retry_delay; /* seconds */
    int64_t request_limit, try_limit;
    const char *default_action, *context;
    struct list idle; /* its connections of nobody, the one used last first */
};

/*
 * smtpd_policy_conf.c. smtpd_policy_open, before the jail, knows a service of a list in main.cf.
 * Null: why says what is wrong. smtpd_policy_find: null: it is none of those. smtpd_policy_want:
 * the result of a table names it. smtpd_policy_check, behind all lists, reports those that none
 * has, and a wrong default action.
 */
struct policy_service *smtpd_policy_open(const char *text, struct why *why);
struct policy_service *smtpd_policy_find(const char *text);
int smtpd_policy_want(const char *text, struct why *why);
void smtpd_policy_check(void);
void smtpd_policy_paths(void); /* what the jail must leave open */
/* Calls fn with each. */
void smtpd_policy_each(void (*fn)(struct policy_service *p));

/*
 * smtpd_policy_conn.c. (waits) Asks, over a connection that this message or nobody has, and again
 * if that fails, for as long and as often as the settings say. -1: there is no answer, as has been
 * logged. Until the message ends, its session keeps the connection: so a service hears all about
 * one message before it hears of the next (SMTPD_POLICY_README).
 */
int smtpd_policy_ask(struct smtpd *s, struct policy_service *p, struct str request,
                     struct policy_reply *reply);

#endif
