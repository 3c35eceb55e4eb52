/*
 * Values by name, and by names that are put together: relay_destination_concurrency_limit.
 */
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_inside.h"
#include "conf/conf_param.h"

const char *conf_find(const char *name)
{
    struct why why = WHY;
    const char *raw = conf_find_raw(strz(name), NULL);

    if (raw == NULL)
        return NULL;
    const char *text = conf_expanded(raw, &why);
    if (text == NULL)
        msg_fatal("%s/main.cf: %s = %s: %s", conf_dir(), name, raw, why_text(&why));
    return text;
}

const char *conf_str_of(const char *prefix, const char *suffix, const char *otherwise)
{
    /* fits: both. A table can name a transport, and nobody must stop for its length */
    struct buf name = BUF(strlen(prefix) + strlen(suffix));

    buf_addz(&name, prefix);
    buf_addz(&name, suffix);
    bool known = conf_param_find(buf_str(&name)) != NULL || conf_is_set(name.p);
    const char *text = known ? conf_find(name.p) : otherwise;
    buf_free(&name);
    return text;
}

/* unit 0: a plain number; 's': a time in seconds. */
static int64_t number_of(const char *prefix, const char *suffix, char unit, int64_t otherwise)
{
    int64_t value;
    const char *text = conf_str_of(prefix, suffix, NULL);
    struct str digits = str_trim(strz(text));

    if (text == NULL)
        return otherwise;
    if (unit != 0 ? !num_parse_time(digits, unit, 0, CONF_NUMBER_MAX, &value)
                  : !num_parse(digits, 0, CONF_NUMBER_MAX, &value))
        msg_fatal("%s/main.cf: %s%s = %s: not a %s, or too large", conf_dir(), prefix, suffix, text,
                  unit != 0 ? "time (a number and one of s m h d w)" : "number");
    return value;
}

int64_t conf_int_of(const char *prefix, const char *suffix, int64_t otherwise)
{
    return number_of(prefix, suffix, 0, otherwise);
}

int64_t conf_time_of(const char *prefix, const char *suffix, int64_t otherwise)
{
    return number_of(prefix, suffix, 's', otherwise);
}

int conf_family_check(const char *name, struct why *why)
{
    const struct conf_family *f = conf_family_find(strz(name), NULL);
    int64_t value;

    if (f == NULL || f->type == CONF_TYPE_STR || conf_param_find(strz(name)) != NULL)
        return 0;
    const char *text = conf_find(name);
    struct str number = str_trim(strz(text));
    if (f->type == CONF_TYPE_TIME ? num_parse_time(number, 's', 0, CONF_NUMBER_MAX, &value)
                                  : num_parse(number, 0, CONF_NUMBER_MAX, &value))
        return 0;
    return why_set(why, "4.3.5", "\"%s\" is not %s", text,
                   f->type == CONF_TYPE_TIME ? "a time: a number and one of s m h d w"
                                             : "a number");
}
