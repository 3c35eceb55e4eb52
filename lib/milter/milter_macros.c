/*
 * Which macros a filter is sent at a stage, and their values.
 */
#include <string.h>

#include "conf/conf.h"
#include "milter/milter_inside.h"

static const char separators[] = ", \t\r\n";

static struct str configured(enum milter_stage stage)
{
    switch (stage) {
    case MILTER_AT_CONNECT:
        return strz(conf.milter_connect_macros);
    case MILTER_AT_HELO:
        return strz(conf.milter_helo_macros);
    case MILTER_AT_MAIL:
        return strz(conf.milter_mail_macros);
    case MILTER_AT_RCPT:
        return strz(conf.milter_rcpt_macros);
    case MILTER_AT_DATA:
        return strz(conf.milter_data_macros);
    case MILTER_AT_END:
        return strz(conf.milter_end_of_data_macros);
    case MILTER_AT_END_OF_HEADER:
        return strz(conf.milter_end_of_header_macros);
    case MILTER_AT_UNKNOWN:
        return strz(conf.milter_unknown_command_macros);
    case MILTER_STAGES:
        break;
    }
    return STR("");
}

/* Braces are a way of writing: {i} is i. */
static struct str bare(struct str name)
{
    str_unbrace(&name);
    return name;
}

/* "name=value", "{name = value}" of milter_macro_defaults. */
static bool split_default(struct str word, struct str *name, struct str *value)
{
    str_unbrace(&word);
    ptrdiff_t at = str_find(word, '=');
    if (at <= 0)
        return false;
    *name = str_trim(str_upto(word, (size_t)at));
    *value = str_trim(str_from(word, (size_t)at + 1));
    return true;
}

int milter_macro_defaults_check(const char *text, struct why *why)
{
    struct str rest = strz(text), word, name, value;

    while (str_word_braces(&rest, separators, &word))
        if (!split_default(word, &name, &value))
            return why_set(why, "4.3.5", "\"%.*s\": name=value or {name = value} is wanted",
                           (int)word.n, word.p);
    return 0;
}

static struct str default_of(struct str macro)
{
    struct str rest = strz(conf.milter_macro_defaults), word, name, value;

    while (str_word_braces(&rest, separators, &word))
        if (split_default(word, &name, &value) && str_eq(bare(name), macro))
            return value;
    return (struct str){0};
}

static struct str value_of(const struct milters *all, struct str macro)
{
    const char *value = NULL;
    struct buf braced = BUF(macro.n + 2); /* fits: two braces more */

    if (str_eqz(macro, "j"))
        value = conf.myhostname;
    else if (str_eqz(macro, "v"))
        value = conf.milter_macro_v;
    else if (str_eqz(macro, "daemon_name"))
        value = conf.milter_macro_daemon_name;
    else if (all->macro != NULL) {
        buf_addf(&braced, macro.n > 1 ? "{%.*s}" : "%.*s", (int)macro.n, macro.p);
        value = all->macro(all->arg, buf_str(&braced));
    }
    buf_free(&braced);
    return value != NULL ? strz(value) : default_of(macro);
}

void milter_put_macros(struct buf *out, const struct milters *all, const struct milter *m,
                       enum milter_stage stage, enum milter_command command)
{
    struct str rest = m->terms.lists[stage].p != NULL ? m->terms.lists[stage] : configured(stage);
    struct str name;
    size_t begin = milter_packet_begin(out, MILTER_MACROS);

    buf_addc(out, (char)command);
    while (str_word(&rest, separators, &name)) {
        struct str value = value_of(all, bare(name));
        if (value.p == NULL)
            continue;
        milter_put_text(out, name);
        milter_put_text(out, value);
    }
    milter_packet_end(out, begin);
}
