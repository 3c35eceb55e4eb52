/*
 * The restriction lists of main.cf: read once at start, their tables opened. The names that there
 * are stand in the tables of the files that have the restrictions.
 */
#include <ctype.h>

#include "base/hash.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "conf/conf_missing.h"
#include "service/service.h"

#include "smtpd_check.h"
#include "smtpd_policy.h"

struct smtpd_lists smtpd_lists;

static struct hash *classes; /* name to struct restrictions */

static const struct restriction_def *const tables[] = {
    smtpd_simple_restrictions,   smtpd_client_restrictions, smtpd_address_restrictions,
    smtpd_access_restrictions,   smtpd_dnsbl_restrictions,  smtpd_server_restrictions,
    smtpd_policy_restrictions,   smtpd_cert_restrictions,   smtpd_verify_restrictions,
    smtpd_mx_backup_restrictions};

static const struct restriction_def *find_known(struct str name)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct restriction_def *d = tables[i]; d->name != NULL; d++)
            if (str_ieqz(name, d->name))
                return d;
    return NULL;
}

static void check_action(void *arg, const char *table, const char *where, const char *value)
{
    const struct restrictions *list = arg;
    struct why why = WHY;

    if (access_action_check(value, &why) < 0)
        conf_unknown_action(list->parameter, table, where, why_text(&why));
    why_free(&why);
}

/* A client that meets what is no action is told "Server configuration error" for ever. */
static struct maps *open_table(struct restrictions *list, const char *spec)
{
    if (list->only_names)
        return NULL;
    struct maps *m = maps_open(list->parameter, spec, DICT_FOLD | DICT_MAY_FAIL);

    if (service_trying())
        maps_values(m, check_action, list);
    return m;
}

/* Where nobody can log in, these refuse nothing. In Postfix's words. */
static void warn_of_logins(const struct restrictions *list, const struct restriction_def *d)
{
    if (!conf.smtpd_sasl_auth_enable && str_ends(strz(d->name), STR("_sender_login_mismatch")))
        msg_warn("%s: restriction `%s' ignored: no SASL support", list->parameter, d->name);
}

/* In the result of a table, which nobody has looked at before it is needed. */
static enum verdict no_dnsbl(struct check *k, const struct restriction *r)
{
    msg_warn("restriction %s: \"%s\" is no DNS list", r->name, r->arg);
    return check_deny(k, 451, "4.3.5", "Server configuration error");
}

static int wrong(struct why *why, const char *text)
{
    return why_set(why, "4.3.5", "%s", text);
}

/* "zen.example=127.0.0.[2..11]" */
static int read_dnsbl(struct restriction *r, struct why *why)
{
    struct dnsbl list;

    if (dnsbl_parse(strz(r->arg), &list, NULL) < 0) {
        r->fn = no_dnsbl;
        return wrong(why, "wants a DNS list behind it: domain or domain=d.d.d.d, where d is a "
                          "number or a pattern such as [2..11]");
    }
    r->dnsbl = mem_new(sizeof *r->dnsbl);
    *r->dnsbl = list;
    return 0;
}

static int read_ccert(struct restrictions *list, struct restriction *r, struct why *why)
{
    struct str spec;
    int result = smtpd_read_ccert(r, &spec, why);
    char *table = mem_dup(spec.p, spec.n);

    if (result == 0)
        r->table = open_table(list, table);
    free(table);
    return result;
}

/* In the result of a table, or the reply of a policy service. */
static enum verdict no_policy(struct check *k, const struct restriction *r)
{
    msg_warn("restriction %s: no list of main.cf has the service %s", r->name, r->arg);
    return check_deny(k, 451, "4.3.5", "Server configuration error");
}

/* Only the services that lists of main.cf have can be reached in the jail. */
static int read_policy(const struct restrictions *list, struct restriction *r, struct why *why)
{
    if (list->only_names)
        return smtpd_policy_want(r->arg, why) == 0 ? 0 : why_in(why, "wants a policy service");
    r->policy = list->of_table ? smtpd_policy_find(r->arg) : smtpd_policy_open(r->arg, why);
    if (r->policy == NULL)
        r->fn = no_policy;
    return r->policy != NULL || list->of_table ? 0 : why_in(why, "wants a policy service");
}

/* What follows the name is taken off *rest. */
static int read_known(struct restrictions *list, struct restriction *r,
                      const struct restriction_def *d, struct str *rest, struct why *why)
{
    struct str arg;

    if (d->arg != RESTRICTION_ALONE && !str_word_braces(rest, ", \t\r\n", &arg))
        return wrong(why, d->arg == RESTRICTION_TABLE ? "wants a table behind it"
                                                      : "wants a value behind it");
    warn_of_logins(list, d);
    r->fn = d->fn;
    if (d->arg != RESTRICTION_ALONE)
        r->arg = mem_dup(arg.p, arg.n);
    if (d->arg == RESTRICTION_TABLE)
        r->table = open_table(list, r->arg);
    switch (d->arg) {
    case RESTRICTION_DNSBL:
        return read_dnsbl(r, why);
    case RESTRICTION_POLICY:
        return read_policy(list, r, why);
    case RESTRICTION_CCERT:
        return read_ccert(list, r, why);
    default:
        return 0;
    }
}

/* How many letters have to be changed, added or left out. Large: they are not alike. */
static size_t difference(struct str a, const char *b)
{
    enum { MOST = 60 };
    size_t row[MOST + 1], nb = strlen(b);

    if (a.n > MOST || nb > MOST)
        return MOST;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t above = row[j];
            size_t best = diagonal + (tolower((unsigned char)a.p[i - 1]) != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = above;
        }
    }
    return row[nb];
}

/* Null: none looks like it. */
static const char *nearest(struct str name)
{
    const char *found = NULL;
    size_t least = name.n / 3 + 1;

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct restriction_def *d = tables[i]; d->name != NULL; d++) {
            size_t n = difference(name, d->name);
            if (n < least) {
                least = n;
                found = d->name;
            }
        }
    return found;
}

static int no_such(struct str name, struct why *why)
{
    const char *meant = nearest(name);

    wrong(why, "is no restriction that is known here");
    if (meant != NULL && why != NULL)
        why_set(why, "4.3.5", "is no restriction that is known here: did you mean %s?", meant);
    return -1;
}

/* -1: why says what is wrong with it, without its name: "wants a table behind it". */
static int read_one(struct restrictions *list, struct str name, struct str *rest, struct why *why)
{
    struct restriction *r = VEC_ADD(&list->at);
    const struct restriction_def *known = find_known(name);

    r->name = mem_dup(name.p, name.n);
    r->fn = check_unknown;
    if (known != NULL)
        return read_known(list, r, known, rest, why);
    if (classes != NULL && (r->list = hash_find(classes, name)) != NULL) {
        r->fn = check_class;
    } else if (str_find(name, ':') > 0 && list->bare_table != NULL) {
        r->fn = list->bare_table;
        r->arg = r->name;
        r->table = open_table(list, r->arg);
    } else {
        return no_such(name, why);
    }
    return 0;
}

void smtpd_read_result(struct restrictions *list, const char *text)
{
    struct str rest = strz(text), word;

    list->parameter = "access table";
    list->of_table = true;
    while (str_word_braces(&rest, ", \t\r\n", &word))
        read_one(list, word, &rest, NULL);
}

int smtpd_check_result(const char *text, struct why *why)
{
    struct restrictions list = {.only_names = true};
    struct str rest = strz(text), word;
    int result = 0;

    while (result == 0 && str_word_braces(&rest, ", \t\r\n", &word))
        result = read_one(&list, word, &rest, why);
    smtpd_free_list(&list);
    if (result == 0)
        return 0;
    return why_in(why, "\"%.*s\" is neither an action nor a restriction", (int)word.n, word.p);
}

/* A fault would be answered with "Server configuration error" for ever. bare_table: what a table
 * alone ("hash:/file") stands for in this list; null: nothing. */
static void read_list(struct restrictions *list, const char *parameter, const char *text,
                      restriction_fn *bare_table)
{
    struct str rest = strz(text), word;
    struct why why = WHY;

    list->parameter = parameter;
    list->bare_table = bare_table;
    while (str_word_braces(&rest, ", \t\r\n", &word))
        if (read_one(list, word, &rest, &why) < 0)
            conf_fault(parameter, "\"%.*s\" %s", (int)word.n, word.p, why_text(&why));
    why_free(&why);
}

void smtpd_free_list(struct restrictions *list)
{
    VEC_EACH (&list->at, r) {
        maps_close(&r->table);
        if (r->dnsbl != NULL)
            dnsbl_free(r->dnsbl);
        free(r->dnsbl);
        if (r->arg != r->name)
            free(r->arg);
        free(r->name);
    }
    VEC_FREE(&list->at);
}

/* Classes may name each other, so all names are known before the first is read. */
static void read_classes(void)
{
    struct str rest = strz(conf.smtpd_restriction_classes), word;
    size_t cursor = 0;
    void *value;

    classes = hash_new();
    while (str_word(&rest, ", \t\r\n", &word))
        if (hash_find(classes, word) == NULL)
            hash_put(classes, word, mem_new(sizeof(struct restrictions)));
    while (hash_next(classes, &cursor, &word, &value)) {
        char *name = mem_dup(word.p, word.n);
        const char *text = conf_find(name);
        if (text == NULL)
            conf_fault("smtpd_restriction_classes", "\"%s\" is not defined", name);
        read_list(value, name, text != NULL ? text : "", NULL);
    }
}

static bool is_closing(const struct restriction *r)
{
    static const char *const closing[] = {"reject_unauth_destination", "defer_unauth_destination",
                                          "reject", "defer", "defer_if_permit"};
    for (size_t i = 0; i < sizeof closing / sizeof *closing; i++)
        if (strcasecmp(r->name, closing[i]) == 0)
            return true;
    return false;
}

/* As Postfix: does the list refuse strangers, and not only behind a "permit" or as a warning? */
static bool closes_relay(const struct restrictions *list, unsigned depth)
{
    for (size_t n = 0; n < list->at.n && depth < RESTRICTION_DEPTH_MOST; n++) {
        const struct restriction *r = &list->at.at[n];
        if (strcasecmp(r->name, "warn_if_reject") == 0)
            n++;
        else if (strcasecmp(r->name, "permit") == 0)
            return false;
        else if (is_closing(r) || (r->list != NULL && closes_relay(r->list, depth + 1)))
            return true;
    }
    return false;
}

void smtpd_open_lists(void)
{
    struct smtpd_lists *l = &smtpd_lists;

    read_classes();
    read_list(&l->client, "smtpd_client_restrictions", conf.smtpd_client_restrictions,
              check_client_access);
    read_list(&l->helo, "smtpd_helo_restrictions", conf.smtpd_helo_restrictions, check_helo_access);
    read_list(&l->sender, "smtpd_sender_restrictions", conf.smtpd_sender_restrictions,
              check_sender_access);
    read_list(&l->relay, "smtpd_relay_restrictions", conf.smtpd_relay_restrictions,
              check_recipient_access);
    read_list(&l->rcpt, "smtpd_recipient_restrictions", conf.smtpd_recipient_restrictions,
              check_recipient_access);
    read_list(&l->data, "smtpd_data_restrictions", conf.smtpd_data_restrictions, NULL);
    read_list(&l->end_of_data, "smtpd_end_of_data_restrictions",
              conf.smtpd_end_of_data_restrictions, NULL);
    read_list(&l->etrn, "smtpd_etrn_restrictions", conf.smtpd_etrn_restrictions, NULL);
    smtpd_policy_check();
    if (!closes_relay(&l->relay, 0) && !closes_relay(&l->rcpt, 0))
        msg_fatal("in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify "
                  "at least one working instance of: reject_unauth_destination, "
                  "defer_unauth_destination, reject, defer or defer_if_permit");
}
