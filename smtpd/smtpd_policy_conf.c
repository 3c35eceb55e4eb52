/*
 * What stands behind check_policy_service: "inet:host:port", "unix:path", or the same with settings
 * of its own, "{ inet:host:port, timeout=10s, { default_action = 451 4.3.5 text } }".
 */
#include <stddef.h>

#include "base/num.h"
#include "conf/conf.h"
#include "service/jail.h"

#include "smtpd_check.h"
#include "smtpd_policy.h"

static struct {
    VEC(struct policy_service *) all;
    VEC(char *) wanted; /* by tables */
} services;

static const struct number {
    const char *name;
    bool is_time;
    int64_t low;
    size_t at; /* in struct policy_service */
} numbers[] = {
    {"max_idle", true, 1, offsetof(struct policy_service, max_idle)},
    {"max_ttl", true, 1, offsetof(struct policy_service, max_ttl)},
    {"request_limit", false, 0, offsetof(struct policy_service, request_limit)},
    {"retry_delay", true, 1, offsetof(struct policy_service, retry_delay)},
    {"timeout", true, 1, offsetof(struct policy_service, timeout)},
    {"try_limit", false, 1, offsetof(struct policy_service, try_limit)},
};

static int64_t *number_at(struct policy_service *p, size_t at)
{
    return (int64_t *)(void *)((char *)p + at);
}

static void service_free(struct policy_service *p)
{
    free(p->text);
    free(p->name);
    endpoint_free(&p->at);
    free((void *)(uintptr_t)p->default_action);
    free((void *)(uintptr_t)p->context);
    free(p);
}

static int set_number(struct policy_service *p, const struct number *n, struct str value,
                      struct why *why)
{
    int64_t *out = number_at(p, n->at);

    if (n->is_time ? num_parse_time(value, 's', n->low, INT32_MAX, out)
                   : num_parse(value, n->low, INT32_MAX, out))
        return 0;
    return why_set(why, "4.3.5", "%s = %.*s: wants a %s of %lld or more", n->name, (int)value.n,
                   value.p, n->is_time ? "time" : "number", (long long)n->low);
}

/* "name=value" */
static int set_one(struct policy_service *p, struct str setting, struct why *why)
{
    str_unbrace(&setting);
    ptrdiff_t is = str_find(setting, '=');
    struct str name = str_trim(str_upto(setting, is < 0 ? setting.n : (size_t)is));
    struct str value = str_trim(str_from(setting, is < 0 ? setting.n : (size_t)is + 1));

    if (is < 0)
        return why_set(why, "4.3.5", "\"%.*s\" is not name=value", (int)setting.n, setting.p);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (str_eqz(name, numbers[i].name))
            return set_number(p, &numbers[i], value, why);
    if (str_eqz(name, "policy_context")) {
        p->context = mem_dup(value.p, value.n);
        return 0;
    }
    if (!str_eqz(name, "default_action"))
        return why_set(why, "4.3.5",
                       "there is no setting \"%.*s\": default_action, max_idle, max_ttl, "
                       "policy_context, request_limit, retry_delay, timeout, try_limit",
                       (int)name.n, name.p);
    if (value.n == 0)
        return why_set(why, "4.3.5", "default_action is empty");
    p->default_action = mem_dup(value.p, value.n);
    return access_action_check(p->default_action, why);
}

static int set_endpoint(struct policy_service *p, struct str endpoint, struct why *why)
{
    struct str name = str_from(endpoint, (size_t)(str_find(endpoint, ':') + 1));

    p->name = mem_dup(name.p, name.n);
    return endpoint_parse(endpoint, false, &p->at, why);
}

static struct policy_service *parse(const char *text, struct why *why)
{
    struct policy_service *p = mem_new(sizeof *p);
    struct str rest = strz(text), word = rest;
    bool braces = str_unbrace(&rest);
    int result;

    p->text = mem_dupz(text);
    list_init(&p->idle);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *number_at(p, numbers[i].at) = -1;
    if (braces && !str_word_braces(&rest, ", \t\r\n", &word))
        word = STR("");
    result = set_endpoint(p, word, why);
    while (result == 0 && braces && str_word_braces(&rest, ", \t\r\n", &word))
        result = set_one(p, word, why);
    if (result == 0)
        return p;
    service_free(p);
    return NULL;
}

struct policy_service *smtpd_policy_find(const char *text)
{
    VEC_EACH (&services.all, p)
        if (strcmp((*p)->text, text) == 0)
            return *p;
    return NULL;
}

struct policy_service *smtpd_policy_open(const char *text, struct why *why)
{
    struct policy_service *p = smtpd_policy_find(text);

    if (p == NULL && (p = parse(text, why)) != NULL)
        *VEC_ADD(&services.all) = p;
    return p;
}

int smtpd_policy_want(const char *text, struct why *why)
{
    struct policy_service *p = parse(text, why);

    if (p == NULL)
        return -1;
    service_free(p);
    *VEC_ADD(&services.wanted) = mem_dupz(text);
    return 0;
}

void smtpd_policy_check(void)
{
    struct why why = WHY;

    if (access_action_check(conf.smtpd_policy_service_default_action, &why) < 0)
        conf_fault("smtpd_policy_service_default_action", "%s", why_text(&why));
    why_free(&why);
    VEC_EACH (&services.wanted, text) {
        if (smtpd_policy_find(*text) == NULL)
            conf_fault(NULL,
                       "an access table has check_policy_service %s, which no list and no class of "
                       "main.cf has: smtpd may not connect to it. Let the table name a class of "
                       "smtpd_restriction_classes",
                       *text);
        free(*text);
    }
    VEC_FREE(&services.wanted);
}

void smtpd_policy_paths(void)
{
    VEC_EACH (&services.all, p)
        if ((*p)->at.host != NULL)
            jail_port((*p)->at.port);
}

void smtpd_policy_each(void (*fn)(struct policy_service *p))
{
    VEC_EACH (&services.all, p)
        fn(*p);
}
