/*
 * The tables of smtp_dns_reply_filter and its like: IGNORE is their only word.
 */
#include "base/str.h"
#include "conf/conf_missing.h"
#include "dict/maps.h"
#include "net/dns.h"
#include "service/resolver.h"
#include "service/service.h"

static struct maps *filters;

static bool is_ignore(const char *value)
{
    struct str rest = strz(value), word;

    return str_word(&rest, " \t", &word) && str_ieqz(word, "IGNORE");
}

/* A dns_filter_fn. */
static int filter(const char *record, struct why *why)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    enum dict_answer answer = maps_find(filters, record, &value, why);
    int result = answer == DICT_FAILED ? -1 : answer == DICT_FOUND;

    if (result > 0 && !is_ignore(value.p))
        result = why_set(why, "4.7.0", "%s: unknown DNS filter action: \"%s\"",
                         maps_parameter(filters), value.p);
    buf_free(&value);
    return result;
}

/* A maps_value_fn. */
static void check_filter_value(void *arg, const char *table, const char *where, const char *value)
{
    (void)arg;
    if (!is_ignore(value))
        conf_unknown_action(maps_parameter(filters), table, where,
                            "the only action of a DNS reply filter is IGNORE");
}

void resolver_filter(const char *parameter, const char *tables)
{
    filters = maps_open(parameter, tables, DICT_FOLD | DICT_MAY_FAIL);
    if (service_trying())
        maps_values(filters, check_filter_value, NULL);
    if (!maps_empty(filters))
        dns_set_filter(filter);
}
