#include "conf/conf_missing.h"

#include <ctype.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_inside.h"
#include "conf/conf_param.h"

#define T(name, effect)        {MISSING_TABLE, #name, effect},
#define S(name, effect)        {MISSING_PROGRAM, #name, effect},
#define H(name, reason)        {MISSING_PROGRAM, #name, NULL},
#define V(name, param, effect) {MISSING_VALUE, #name, effect, #param},

static const struct conf_missing missing[] = {
#include "conf/missing.def"
};
#undef T
#undef S
#undef H
#undef V

/* A name in missing.def has '_' where that of a program may have '-'. */
static bool is_name(const char *listed, struct str name)
{
    if (strlen(listed) != name.n)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (listed[i] != (name.p[i] == '-' ? '_' : tolower((unsigned char)name.p[i])))
            return false;
    return true;
}

const struct conf_missing *conf_missing_find(enum conf_missing_kind kind, struct str name)
{
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        if (missing[i].kind == kind && is_name(missing[i].name, name))
            return &missing[i];
    return NULL;
}

const struct conf_missing *conf_missing_value(const char *parameter, struct str value)
{
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        if (missing[i].kind == MISSING_VALUE && strcmp(missing[i].parameter, parameter) == 0 &&
            is_name(missing[i].name, value))
            return &missing[i];
    return NULL;
}

const struct conf_missing *conf_missing_table(struct str spec)
{
    if (str_starts(spec, STR("proxy:")))
        spec = str_from(spec, strlen("proxy:"));
    ptrdiff_t colon = str_find(spec, ':');
    return colon <= 0 ? NULL : conf_missing_find(MISSING_TABLE, str_upto(spec, (size_t)colon));
}

bool conf_missing_accepted(const char *name)
{
    return str_listed(conf.pombal_accept_missing, name);
}

/* Nothing, and zero, also as a time, switch a feature off. */
static bool is_off(const struct conf_param *p, struct str value)
{
    bool number = p->type == CONF_TYPE_INT || p->type == CONF_TYPE_TIME;
    int64_t n;

    return value.n == 0 || (number && num_parse_time(value, 's', 0, INT64_MAX, &n) && n == 0);
}

bool conf_is_default(const struct conf_param *p, const char *value)
{
    const char *usual = conf_expanded(p->def, NULL);

    return usual != NULL && str_ieq(str_trim(strz(value)), str_trim(strz(usual)));
}

bool conf_missing_param(const struct conf_param *p, const char *value)
{
    return p->reason == CONF_MATTERS && !is_off(p, str_trim(strz(value))) &&
           !conf_is_default(p, value);
}

void conf_unknown_action(const char *parameter, const char *table, const char *where,
                         const char *what)
{
    struct why why = WHY;

    if (!conf_missing_accepted("unknown_action")) {
        conf_fault(parameter,
                   "%s: %s: %s. Correct it, or name unknown_action in pombal_accept_missing", table,
                   where, what);
        return;
    }
    why_set(&why, "4.3.5", "%s: %s: %s", table, where, what);
    conf_blame(parameter, &why);
    msg_warn("%s", why_text(&why));
    why_free(&why);
}
