/*
 * The names stand here, and not only beside their functions in smtpd, so that "pombal check" can
 * tell a wrong one before smtpd answers each recipient with 451.
 */
#include "conf/restrictions.h"

#include <stdlib.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "conf/conf_missing.h"

static const struct {
    const char *name;
    enum restriction_arg arg;
} names[] = {
    {"check_client_access", RESTRICTION_TABLE},
    {"check_helo_access", RESTRICTION_TABLE},
    {"check_recipient_access", RESTRICTION_TABLE},
    {"check_reverse_client_hostname_access", RESTRICTION_TABLE},
    {"check_sasl_access", RESTRICTION_TABLE},
    {"check_sender_access", RESTRICTION_TABLE},
    {"defer", RESTRICTION_ALONE},
    {"defer_if_permit", RESTRICTION_ALONE},
    {"defer_if_reject", RESTRICTION_ALONE},
    {"defer_unauth_destination", RESTRICTION_ALONE},
    {"permit", RESTRICTION_ALONE},
    {"permit_auth_destination", RESTRICTION_ALONE},
    {"permit_inet_interfaces", RESTRICTION_ALONE},
    {"permit_mynetworks", RESTRICTION_ALONE},
    {"permit_sasl_authenticated", RESTRICTION_ALONE},
    {"permit_tls_all_clientcerts", RESTRICTION_ALONE},
    {"reject", RESTRICTION_ALONE},
    {"reject_authenticated_sender_login_mismatch", RESTRICTION_ALONE},
    {"reject_invalid_helo_hostname", RESTRICTION_ALONE},
    {"reject_invalid_hostname", RESTRICTION_ALONE},
    {"reject_known_sender_login_mismatch", RESTRICTION_ALONE},
    {"reject_non_fqdn_helo_hostname", RESTRICTION_ALONE},
    {"reject_non_fqdn_hostname", RESTRICTION_ALONE},
    {"reject_non_fqdn_recipient", RESTRICTION_ALONE},
    {"reject_non_fqdn_sender", RESTRICTION_ALONE},
    {"reject_plaintext_session", RESTRICTION_ALONE},
    {"reject_sender_login_mismatch", RESTRICTION_ALONE},
    {"reject_unauth_destination", RESTRICTION_ALONE},
    {"reject_unauth_pipelining", RESTRICTION_ALONE},
    {"reject_unauthenticated_sender_login_mismatch", RESTRICTION_ALONE},
    {"reject_unknown_client", RESTRICTION_ALONE},
    {"reject_unknown_client_hostname", RESTRICTION_ALONE},
    {"reject_unknown_helo_hostname", RESTRICTION_ALONE},
    {"reject_unknown_hostname", RESTRICTION_ALONE},
    {"reject_unknown_recipient_domain", RESTRICTION_ALONE},
    {"reject_unknown_reverse_client_hostname", RESTRICTION_ALONE},
    {"reject_unknown_sender_domain", RESTRICTION_ALONE},
    {"reject_unlisted_recipient", RESTRICTION_ALONE},
    {"reject_unlisted_sender", RESTRICTION_ALONE},
    {"sleep", RESTRICTION_TEXT},
    {"warn_if_reject", RESTRICTION_ALONE},
};

bool restriction_known(struct str name, enum restriction_arg *arg)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_ieqz(name, names[i].name)) {
            if (arg != NULL)
                *arg = names[i].arg;
            return true;
        }
    return false;
}

/* In these a table may stand alone: it is looked up for the client, the HELO name and so on. */
static bool takes_tables(const char *parameter)
{
    return str_listed("smtpd_client_restrictions smtpd_helo_restrictions smtpd_sender_restrictions "
                      "smtpd_relay_restrictions smtpd_recipient_restrictions",
                      parameter);
}

int restrictions_check(const char *parameter, const char *list, const char *classes,
                       restriction_fault *fault, void *arg)
{
    struct str rest = strz(list), name, value;
    enum restriction_arg wants;
    int faults = 0;

    while (str_word_braces(&rest, ", \t\r\n", &name)) {
        const struct conf_missing *missing = conf_missing_find(MISSING_RESTRICTION, name);
        const char *what = NULL;
        if (missing != NULL) {
            for (int i = 0; i < missing->args && str_word_braces(&rest, ", \t\r\n", &value);)
                i++;
        } else if (restriction_known(name, &wants)) {
            if (wants != RESTRICTION_ALONE && !str_word_braces(&rest, ", \t\r\n", &value))
                what = wants == RESTRICTION_TABLE ? "wants a table behind it"
                                                  : "wants a value behind it";
        } else if (!str_has_word(classes, name) &&
                   !(str_find(name, ':') > 0 && takes_tables(parameter))) {
            what = "is no restriction that is known here";
        }
        if (what != NULL) {
            fault(arg, parameter, name, what);
            faults++;
        }
    }
    return faults;
}

static int check_classes(restriction_fault *fault, void *arg)
{
    struct str rest = strz(conf.smtpd_restriction_classes), word;
    int faults = 0;

    while (str_word(&rest, ", \t\r\n", &word)) {
        char *name = mem_dup(word.p, word.n);
        const char *text = conf_find(name);
        if (text == NULL) {
            fault(arg, "smtpd_restriction_classes", word, "is not defined");
            faults++;
        } else {
            faults += restrictions_check(name, text, conf.smtpd_restriction_classes, fault, arg);
        }
        free(name);
    }
    return faults;
}

int restrictions_check_all(restriction_fault *fault, void *arg)
{
    const struct {
        const char *parameter, *list;
    } all[] = {{"smtpd_client_restrictions", conf.smtpd_client_restrictions},
               {"smtpd_helo_restrictions", conf.smtpd_helo_restrictions},
               {"smtpd_sender_restrictions", conf.smtpd_sender_restrictions},
               {"smtpd_relay_restrictions", conf.smtpd_relay_restrictions},
               {"smtpd_recipient_restrictions", conf.smtpd_recipient_restrictions},
               {"smtpd_data_restrictions", conf.smtpd_data_restrictions},
               {"smtpd_end_of_data_restrictions", conf.smtpd_end_of_data_restrictions},
               {"smtpd_etrn_restrictions", conf.smtpd_etrn_restrictions}};
    int faults = check_classes(fault, arg);

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        faults += restrictions_check(all[i].parameter, all[i].list, conf.smtpd_restriction_classes,
                                     fault, arg);
    return faults;
}
