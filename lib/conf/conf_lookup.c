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
    struct buf name = BUF(1000);

    buf_addf(&name, "%s%s", prefix, suffix);
    if (!buf_ok(&name))
        msg_fatal("%s/main.cf: the name %.100s...%s is too long", conf_dir(), prefix, suffix);
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
    if (unit != 0 ? !num_parse_time(digits, unit, 0, INT64_MAX, &value)
                  : !num_parse(digits, 0, INT64_MAX, &value))
        msg_fatal("%s/main.cf: %s%s = %s: not a %s", conf_dir(), prefix, suffix, text,
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
