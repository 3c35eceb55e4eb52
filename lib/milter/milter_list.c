#include "milter/milter_list.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"

static const char separators[] = ", \t\r\n";

static int take_where(struct milter_entry *e, struct str where, struct why *why)
{
    e->name = mem_dup(where.p, where.n);
    return endpoint_parse(where, false, &e->at, why);
}

static bool take_action(struct str value, enum milter_default *otherwise)
{
    static const char *const names[] = {"accept", "quarantine", "reject", "tempfail", "shutdown"};

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eqz(value, names[i])) {
            *otherwise = (enum milter_default)i;
            return true;
        }
    return false;
}

/* "6", "6 no_header_reply": a version and words. */
static bool take_protocol(struct str value, struct milter_entry *e)
{
    struct str word;
    uint32_t version = 0;
    bool good = true;

    e->no_header_reply = false;
    while (str_word(&value, separators, &word)) {
        if (str_eqz(word, "no_header_reply"))
            e->no_header_reply = true;
        else
            good = good && version == 0 && num_parse_u32(word, 2, 6, &version) && version != 5;
    }
    if (good && version != 0)
        e->version = version;
    return good && version != 0;
}

#define PROTOCOLS "2, 3, 4 or 6, and maybe no_header_reply,"

int milter_protocol_check(const char *text, struct why *why)
{
    struct milter_entry e = {.version = 0};

    if (take_protocol(strz(text), &e))
        return 0;
    return why_set(why, "4.3.5", "\"%s\": " PROTOCOLS " is wanted", text);
}

static bool take_time(struct str value, int64_t *ms)
{
    int64_t seconds;

    if (!num_parse_time(value, 's', 1, INT32_MAX, &seconds))
        return false;
    *ms = seconds * 1000;
    return true;
}

static int take_setting(struct milter_entry *e, struct str setting, struct why *why)
{
    str_unbrace(&setting);
    ptrdiff_t at = str_find(setting, '=');
    struct str name = str_trim(str_upto(setting, (size_t)(at < 0 ? 0 : at)));
    struct str value = str_trim(str_from(setting, (size_t)(at + 1)));
    const char *wanted = NULL;

    if (at <= 0)
        return why_set(why, "4.3.5", "\"%s\": \"%.*s\": name=value is wanted", e->name,
                       (int)setting.n, setting.p);
    if (str_eqz(name, "connect_timeout"))
        wanted = take_time(value, &e->connect_ms) ? NULL : "a time";
    else if (str_eqz(name, "command_timeout"))
        wanted = take_time(value, &e->command_ms) ? NULL : "a time";
    else if (str_eqz(name, "content_timeout"))
        wanted = take_time(value, &e->content_ms) ? NULL : "a time";
    else if (str_eqz(name, "default_action"))
        wanted = take_action(value, &e->otherwise)
                     ? NULL
                     : "accept, reject, tempfail, quarantine or shutdown";
    else if (str_eqz(name, "protocol"))
        wanted = take_protocol(value, e) ? NULL : PROTOCOLS;
    else
        return why_set(why, "4.3.5",
                       "\"%s\": there is no setting \"%.*s\", but connect_timeout, "
                       "command_timeout, content_timeout, default_action, protocol",
                       e->name, (int)name.n, name.p);
    if (wanted == NULL)
        return 0;
    return why_set(why, "4.3.5", "\"%s\": \"%.*s\": %s is wanted", e->name, (int)setting.n,
                   setting.p, wanted);
}

/* What the parameters say; they have been checked when they were loaded or are faults of their own
 * (service/conf_values.c). */
static void set_defaults(struct milter_entry *e)
{
    *e = (struct milter_entry){.connect_ms = conf.milter_connect_timeout * 1000,
                               .command_ms = conf.milter_command_timeout * 1000,
                               .content_ms = conf.milter_content_timeout * 1000,
                               .otherwise = MILTER_DEFAULT_TEMPFAIL,
                               .version = 6};
    take_action(str_trim(strz(conf.milter_default_action)), &e->otherwise);
    take_protocol(strz(conf.milter_protocol), e);
}

static int take_entry(struct milter_entry *e, struct str word, struct why *why)
{
    struct str where = word, setting;

    set_defaults(e);
    if (!str_unbrace(&word))
        return take_where(e, where, why);
    if (!str_word(&word, separators, &where))
        return why_set(why, "4.3.5", "{} is empty: inet:host:port or unix:path is wanted");
    if (take_where(e, where, why) < 0)
        return -1;
    while (str_word_braces(&word, separators, &setting))
        if (take_setting(e, setting, why) < 0)
            return -1;
    return 0;
}

int milter_list_read(struct milter_list *list, const char *text, struct why *why)
{
    struct str rest = strz(text), word;
    int result = 0;

    list->n = 0;
    while (result == 0 && str_word_braces(&rest, separators, &word)) {
        if (list->n == MILTERS_MOST)
            result = why_set(why, "4.3.5", "more than %d mail filters", MILTERS_MOST);
        else
            result = take_entry(&list->at[list->n++], word, why);
    }
    if (result < 0)
        milter_list_free(list);
    return result;
}

void milter_list_free(struct milter_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->at[i].name);
        endpoint_free(&list->at[i].at);
    }
    list->n = 0;
}

void milter_list_open(struct milter_list *list, const char *parameter, const char *text)
{
    struct why why = WHY;

    if (milter_list_read(list, text, &why) < 0)
        conf_fault(parameter, "%s", why_text(&why));
    why_free(&why);
}
