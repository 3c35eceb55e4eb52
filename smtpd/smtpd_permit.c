/*
 * smtpd_log_access_permit_actions: a line for what lets a request pass.
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "dict/match.h"

#include "smtpd_check.h"

static struct match *actions;

void smtpd_open_permit(void)
{
    actions = match_open("smtpd_log_access_permit_actions", conf.smtpd_log_access_permit_actions);
}

static bool is_logged(const char *action)
{
    struct why why = WHY;
    enum dict_answer answer = match_string(actions, action, &why);

    if (answer == DICT_FAILED)
        msg_warn("%s", why_text(&why));
    why_free(&why);
    return answer == DICT_FOUND;
}

void check_log_permit(struct check *k, const char *action, const char *class, const char *subject,
                      const char *table)
{
    struct buf text = BUF_TEXT(4096);

    if (match_empty(actions) || k->s->defer_if_permit.code != 0 || !is_logged(action))
        return;
    buf_addf(&text, "action=%s for %s=%s ", action, class, subject); /* the blank as in Postfix */
    if (table != NULL)
        buf_addf(&text, "from %s", table);
    smtpd_log(k->s, "permit", k->rcpt, text.p);
    buf_free(&text);
}

/* What the restrictions that let pass are about. */
enum about { ABOUT_CLIENT, ABOUT_HELO, ABOUT_RCPT, ABOUT_LIST };
static const struct {
    const char *name;
    enum about about;
} permits[] = {
    {"permit", ABOUT_LIST},
    {"permit_auth_destination", ABOUT_RCPT},
    {"permit_dnswl_client", ABOUT_CLIENT},
    {"permit_inet_interfaces", ABOUT_CLIENT},
    {"permit_mx_backup", ABOUT_RCPT},
    {"permit_mynetworks", ABOUT_CLIENT},
    {"permit_naked_ip_address", ABOUT_HELO},
    {"permit_rhswl_client", ABOUT_CLIENT},
    {"permit_sasl_authenticated", ABOUT_CLIENT},
    {"permit_tls_all_clientcerts", ABOUT_CLIENT},
    {"permit_tls_clientcerts", ABOUT_CLIENT},
};

static void log_about(struct check *k, const char *action, enum about about)
{
    if (about == ABOUT_CLIENT)
        check_log_permit(k, action, "Client host", k->s->namaddr, NULL);
    else if (about == ABOUT_HELO && k->s->helo != NULL)
        check_log_permit(k, action, "Helo command", k->s->helo, NULL);
    else if (about == ABOUT_RCPT && k->rcpt != NULL)
        check_log_permit(k, action, "Recipient address", k->rcpt, NULL);
    else if (about == ABOUT_LIST)
        check_log_permit(k, action, k->class, k->subject, NULL);
}

void check_log_restriction(struct check *k, const struct restriction *r)
{
    for (size_t i = 0; i < sizeof permits / sizeof *permits; i++)
        if (strcasecmp(r->name, permits[i].name) == 0)
            log_about(k, r->name, permits[i].about);
}
