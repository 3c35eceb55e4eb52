/*
 * For check, start and reload: can mail go where the parameters and tables send it? Mail for a
 * transport that there is not, or for a next hop that cannot be read, would wait.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_master.h"
#include "mail/domain.h"
#include "route/nexthop.h"
#include "route/resolve.h"

#include "qmgr.h"

struct place {
    const char *parameter;
    const char *table, *where; /* null: the value of the parameter itself */
};

static void fault(const struct place *p, const char *text)
{
    if (p->table != NULL)
        conf_fault(p->parameter, "%s: %s: %s", p->table, p->where, text);
    else
        conf_fault(p->parameter, "%s", text);
}

/* Postfix runs with it, and another program may bring the service. */
static void warn_of_transport(const struct place *p, struct str name)
{
    if (p->table != NULL) /* those of parameters are told by pombal(1) */
        msg_warn("%s = %s: %s: master.cf has no service \"%.*s\" of type unix: mail for it waits",
                 p->parameter, p->table, p->where, (int)name.n, name.p);
}

static bool is_program(const struct conf_service *s, const char *name)
{
    return strcmp(s->command, name) == 0;
}

/* What is behind "transport:" is the business of smtp and lmtp only; a pipe takes anything. */
static void check_hop(const struct place *p, const struct conf_service *s, struct str hop)
{
    struct why why = WHY;
    bool lmtp = is_program(s, "lmtp") || strcmp(s->name, "lmtp") == 0;

    if ((lmtp || is_program(s, "smtp")) && nexthop_check(hop, lmtp, &why) < 0)
        fault(p, why_text(&why));
    why_free(&why);
}

/* "transport:nexthop", "transport", ":nexthop". "$1" stands for a part of the address. */
static void check_route(const struct place *p, const char *value)
{
    struct str text = strz(value);
    ptrdiff_t colon = str_find(text, ':');
    struct str name = colon < 0 ? text : str_upto(text, (size_t)colon);
    struct str hop = colon < 0 ? STR("") : str_from(text, (size_t)colon + 1);
    char service[200];

    if (str_find(text, '$') >= 0 || str_ieqz(text, "DUNNO") || name.n >= sizeof service)
        return;
    /* "[host]:25" in a transport table is a mistake that sends mail nowhere. */
    snprintf(service, sizeof service, "%.*s", (int)name.n, name.p);
    const struct conf_service *s = transport_service(name.n > 0 ? service : "smtp");
    if (s == NULL && name.n > 0)
        warn_of_transport(p, name);
    else if (s != NULL)
        check_hop(p, s, hop);
}

/* A resolve_value_fn. */
static void check_table(void *arg, const struct resolve_value *v)
{
    struct place p = {v->parameter, v->table, v->where};
    struct why why = WHY;

    (void)arg;
    if (!v->is_relayhost)
        check_route(&p, v->value);
    else if (strchr(v->value, '$') == NULL && strcasecmp(v->value, "DUNNO") != 0 &&
             nexthop_check(strz(v->value), false, &why) < 0)
        fault(&p, why_text(&why));
    why_free(&why);
}

/* "*.example.com" and "@example.com" look like something, but are the name of no domain. */
static void check_domains(const char *parameter)
{
    struct str rest = strz(conf_is_set(parameter) ? conf_find(parameter) : NULL), word;
    struct why why = WHY;

    while (str_word_braces(&rest, ", \t\r\n", &word)) {
        struct str name = word.n > 0 && word.p[0] == '!' ? str_from(word, 1) : word;
        if (name.n > 0 && name.p[0] == '.')
            name = str_from(name, 1); /* its subdomains */
        bool is_list = str_find(name, ':') >= 0 || str_find(name, '/') >= 0;
        if (is_list || domain_valid(name) || domain_is_literal(name, NULL) ||
            !str_is_printable(name))
            continue;
        why_set(&why, "4.3.5", "\"%.*s\" is no domain: it matches no mail", (int)word.n, word.p);
        conf_blame(parameter, &why);
        msg_warn("%s", why_text(&why));
        why_clear(&why);
    }
    why_free(&why);
}

void qmgr_check_routes(void)
{
    static const char *const lists[] = {"mydestination", "relay_domains", "virtual_alias_domains",
                                        "virtual_mailbox_domains"};
    static const char *const names[] = {
        "content_filter",    "default_transport", "fallback_transport", "local_transport",
        "mailbox_transport", "relay_transport",   "virtual_transport"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (conf_is_set(names[i])) {
            struct place p = {.parameter = names[i]};
            check_route(&p, conf_find(names[i]));
        }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        check_domains(lists[i]);
    resolve_values(check_table, NULL);
    classes_tell_overlaps();
}
