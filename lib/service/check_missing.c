#include "service/check_missing.h"

#include <errno.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_main.h"
#include "conf/conf_master.h"
#include "conf/conf_missing.h"
#include "conf/conf_param.h"

enum { TEXT_MAX = 600 };

/* Where something stands, and what came of it. */
struct place {
    const struct conf_service *service; /* null: main.cf */
    const char *parameter; /* null: the service's program */
    bool good;
};

static void add_place(struct buf *text, const struct place *p)
{
    unsigned line = p->service == NULL ? conf_line(p->parameter) : 0;

    if (p->service != NULL)
        buf_addf(text, "%s/master.cf, line %u: service %s: ", conf_dir(), p->service->first_line,
                 p->service->name);
    else if (line > 0)
        buf_addf(text, "%s/main.cf, line %u: ", conf_dir(), line);
    if (p->parameter != NULL)
        buf_addf(text, p->service != NULL ? "-o %s" : "%s", p->parameter);
}

/* what: " = value", ": table type mysql", as it goes on behind the place; advice: how to do
 * without. */
static void tell(struct place *p, const char *what, const char *name, const char *effect,
                 const char *advice)
{
    struct buf text = BUF_TEXT(TEXT_MAX);
    bool accepted = conf_missing_accepted(name);

    add_place(&text, p);
    buf_addf(&text, "%s is not there yet: %s.", what, effect);
    if (accepted) {
        msg_warn("%s pombal_accept_missing accepts that.", text.p);
    } else {
        msg_error("%s %s, or name %s in pombal_accept_missing.", text.p, advice, name);
        p->good = false;
    }
    buf_free(&text);
}

static void check_param(struct place *p, const struct conf_param *param, const char *value)
{
    struct buf what = BUF_TEXT(TEXT_MAX / 2);

    if (!conf_missing_param(param, value))
        return;
    buf_addf(&what, " = %s:", value);
    tell(p, what.p, param->name, param->effect, "Remove the line");
    buf_free(&what);
}

/* Where main.cf writes it, for a default that refers there. */
static const char *written_in(struct str word, const char *otherwise)
{
    const struct conf_main *settings = conf_settings();
    const char *name = otherwise;

    for (size_t i = 0; i < settings->settings.n; i++)
        if (str_search(strz(settings->settings.at[i].value), word) >= 0)
            name = settings->settings.at[i].name;
    return name;
}

/* Also those inside of others, as in unionmap:{ mysql:/x, hash:/y }. Told: tables by name, and the
 * parameter that they were told of last. */
static void check_tables(struct place *p, const char *value, struct hash *told)
{
    const char *parameter = p->parameter;
    bool by_default = p->service == NULL && !conf_is_set(parameter);
    struct str rest = strz(value), word;
    struct buf what = BUF_TEXT(TEXT_MAX / 2);

    while (str_word(&rest, ", \t\r\n{}", &word)) {
        const struct conf_missing *m = conf_missing_table(word);
        const void *before = m == NULL ? NULL : hash_find(told, word);
        if (m == NULL || before == parameter || (before != NULL && by_default))
            continue;
        hash_put(told, word, (void *)(uintptr_t)parameter);
        p->parameter = by_default ? written_in(word, parameter) : parameter;
        buf_clear(&what);
        buf_addf(&what, ": table type %s", m->name);
        tell(p, what.p, m->name, m->effect, "Use a table of another type");
    }
    p->parameter = parameter;
    buf_free(&what);
}

static bool holds_restrictions(const char *parameter)
{
    return str_ends(strz(parameter), STR("_restrictions")) ||
           str_listed(conf.smtpd_restriction_classes, parameter);
}

static void check_value(struct place *p, const char *value)
{
    const struct conf_missing *m = conf_missing_value(p->parameter, str_trim(strz(value)));
    struct buf what = BUF_TEXT(TEXT_MAX / 2);

    if (m == NULL)
        return;
    buf_addf(&what, " = %s:", m->name);
    tell(p, what.p, m->name, m->effect, "Choose another value");
    buf_free(&what);
}

static void check_words(struct place *p, const char *value, struct hash *told)
{
    check_value(p, value);
    check_tables(p, value, told);
}

/* First what main.cf sets, then the defaults that refer to it: each table is told where it is
 * written. */
static void check_effective(struct place *p, bool set, struct hash *told)
{
    for (const struct conf_param *c = conf_params; c < conf_params + conf_nparams; c++) {
        if (c->reason != CONF_EFFECTIVE || c->type != CONF_TYPE_STR || conf_is_set(c->name) != set)
            continue;
        p->parameter = c->name;
        if (set)
            check_words(p, conf_find(c->name), told);
        else if (strchr(c->def, '$') != NULL)
            check_tables(p, conf_find(c->name), told);
    }
}

static void check_classes(struct place *p, struct hash *told)
{
    struct str rest = strz(conf.smtpd_restriction_classes), word;

    while (str_word(&rest, ", \t\r\n", &word)) {
        char *name = mem_dup(word.p, word.n);
        const char *value = conf_find(name);
        p->parameter = name;
        if (value != NULL)
            check_words(p, value, told);
        free(name);
    }
}

bool check_missing_main(void)
{
    struct place p = {.good = true};
    struct hash *told = hash_new();

    for (const struct conf_param *c = conf_params; c < conf_params + conf_nparams; c++)
        if (c->reason == CONF_MATTERS && conf_is_set(c->name)) {
            p.parameter = c->name;
            check_param(&p, c, conf_find(c->name));
        }
    check_effective(&p, true, told);
    check_classes(&p, told);
    check_effective(&p, false, told);
    hash_free(&told, NULL);
    return p.good;
}

bool service_has_program(const char *command)
{
    struct buf path = BUF(4096);

    buf_addf(&path, "%s/%s", conf.daemon_directory, command);
    bool there = buf_ok(&path) && (access(path.p, X_OK) == 0 || errno != ENOENT);
    buf_free(&path);
    return there;
}

static bool is_harmless(const char *command)
{
    const struct conf_missing *m = conf_missing_find(MISSING_PROGRAM, strz(command));
    return m != NULL && m->effect == NULL;
}

bool service_left_out(const struct conf_service *s)
{
    return !service_has_program(s->command) &&
           (is_harmless(s->command) || conf_missing_accepted(s->command));
}

static void check_program(struct place *p)
{
    const char *command = p->service->command;
    const struct conf_missing *m = conf_missing_find(MISSING_PROGRAM, strz(command));
    struct buf what = BUF_TEXT(TEXT_MAX / 2);

    if (service_has_program(command) || is_harmless(command))
        return;
    buf_addf(&what, "the program %s/%s", conf.daemon_directory, command);
    tell(p, what.p, command, m != NULL ? m->effect : "nobody would serve its clients",
         "Remove the line");
    buf_free(&what);
}

/* Those of main.cf are told by conf_warn_ignored. */
static void tell_idle_option(const struct place *p, const char *value)
{
    struct buf text = BUF_TEXT(TEXT_MAX);

    add_place(&text, p);
    msg_warn("%s = %s has no effect: the feature is not there yet", text.p, value);
    buf_free(&text);
}

bool check_missing_service(const struct conf_service *s)
{
    struct place p = {.service = s, .good = true};
    struct hash *told = hash_new();

    check_program(&p);
    for (size_t i = 0; i < s->noptions; i++) {
        const struct conf_param *c = conf_param_find(strz(s->options[i].name));
        const char *value = conf_find(s->options[i].name);
        p.parameter = s->options[i].name;
        if (c != NULL && c->reason == CONF_MATTERS)
            check_param(&p, c, value);
        else if (c != NULL && c->reason == CONF_TUNES && !conf_is_default(c, value))
            tell_idle_option(&p, value);
        else if (c != NULL ? c->reason == CONF_EFFECTIVE && c->type == CONF_TYPE_STR
                           : holds_restrictions(p.parameter))
            check_words(&p, value, told);
    }
    hash_free(&told, NULL);
    return p.good;
}
