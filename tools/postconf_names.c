/*
 * Which names may be set: the built-in ones, those that services of master.cf bring with them,
 * and those that a value, a restriction class or a table refers to.
 */
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "conf/conf.h"

#include "postconf.h"

static const char separators[] = ", \t\r\n";

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

void postconf_scan(struct str text, postconf_name_fn *each, void *arg)
{
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] != '$')
            continue;
        if (text.p[++i] == '$')
            continue;
        if (text.p[i] == '{' || text.p[i] == '(')
            i++;
        while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\t'))
            i++;
        size_t start = i;
        while (i < text.n && is_name_char(text.p[i]))
            i++;
        if (i > start)
            each(str_part(text, start, i - start), arg);
        i--;
    }
}

void postconf_add_name(struct postconf *p, struct str name, enum postconf_class c)
{
    if (hash_find(p->valid, name) == NULL)
        hash_put(p->valid, name, (void *)(uintptr_t)c);
}

static void add_prefixed(struct postconf *p, struct str prefix, const char *suffix,
                         enum postconf_class c)
{
    struct buf name = BUF(prefix.n + strlen(suffix)); /* fits: both */

    buf_add(&name, prefix);
    buf_addz(&name, suffix);
    postconf_add_name(p, buf_str(&name), c);
    buf_free(&name);
}

/* Delivery agents have all families but the time limit; pipe has that too, spawn that alone. */
static void add_service_names(struct postconf *p, const struct conf_service *s)
{
    static const char *const agents[] = {"smtp", "lmtp", "local", "virtual", "pipe", "error"};
    bool agent = false, timed;

    for (size_t i = 0; i < sizeof agents / sizeof *agents; i++)
        agent = agent || strcmp(s->command, agents[i]) == 0;
    timed = strcmp(s->command, "pipe") == 0 || strcmp(s->command, "spawn") == 0;
    for (size_t i = 0; i < conf_nfamilies; i++)
        if (conf_families[i].spawned ? timed : agent)
            add_prefixed(p, strz(s->name), conf_families[i].suffix, CLASS_SERVICE);
}

static bool some_service_sets(const struct postconf *p, struct str name)
{
    for (size_t i = 0; i < p->master.n; i++)
        for (size_t j = 0; j < p->master.at[i].noptions; j++)
            if (str_eqz(name, p->master.at[i].options[j].name))
                return true;
    return false;
}

/* A $name of main.cf's values may be set there by the administrator. */
static void add_reference(struct str name, void *arg)
{
    struct postconf *p = arg;

    if (hash_find(p->valid, name) != NULL)
        return;
    if (conf_find_raw(name, NULL) != NULL && conf_family_find(name, NULL) == NULL)
        postconf_add_name(p, name, CLASS_USER);
    else if (!p->defaults && !some_service_sets(p, name))
        postconf_warn("%s/main.cf: undefined parameter: %.*s", conf_dir(), (int)name.n, name.p);
}

static void add_restriction_classes(struct postconf *p)
{
    struct buf list = BUF(100000);
    struct str word;

    if (conf_expand("$smtpd_restriction_classes", &list, NULL) == 0) {
        struct str rest = buf_str(&list);
        while (str_word(&rest, separators, &word)) {
            add_reference(word, p);
            postconf_add_name(p, word, CLASS_USER);
        }
    }
    buf_free(&list);
}

/* A $name of a value that a program fills in itself (mailbox_command) is none of ours. */
static bool has_names_of_ours(struct str parameter)
{
    const struct conf_param *known = conf_param_find(parameter);
    return known == NULL || known->type != CONF_TYPE_RAW;
}

/* Old names are those that a default refers to: virtual_maps, for virtual_alias_maps. A value of
 * master.cf may refer to a name that only main.cf sets. */
static void add_if_set(struct str name, void *arg)
{
    struct postconf *p = arg;

    if (conf_find_raw(name, NULL) != NULL && conf_family_find(name, NULL) == NULL)
        postconf_add_name(p, name, CLASS_USER);
}

static void scan_defaults_and_master(struct postconf *p)
{
    for (size_t i = 0; i < conf_nparams; i++)
        postconf_scan(strz(conf_params[i].def), add_if_set, p);
    for (size_t i = 0; i < p->master.n; i++)
        for (size_t j = 0; j < p->master.at[i].noptions; j++) {
            postconf_scan(strz(p->master.at[i].options[j].value), add_if_set, p);
            postconf_find_tables(p, strz(p->master.at[i].options[j].value));
        }
}

static void scan_values(struct postconf *p)
{
    size_t cursor = 0;
    struct str name;
    struct hash *last = hash_new();
    void *value;

    const struct conf_main *m = conf_settings();
    for (size_t i = 0; i < m->settings.n; i++)
        hash_put(last, strz(m->settings.at[i].name), (void *)(uintptr_t)m->settings.at[i].value);
    while (hash_next(last, &cursor, &name, &value)) {
        if (has_names_of_ours(name))
            postconf_scan(strz(value), add_reference, p);
        postconf_find_tables(p, strz(value));
    }
    hash_free(&last, NULL);
    for (size_t i = 0; p->overrides.at[i] != NULL; i++)
        postconf_scan(strz(p->overrides.at[i]), add_reference, p);
}

void postconf_find_names(struct postconf *p)
{
    p->valid = hash_new();
    for (size_t i = 0; i < conf_nparams; i++)
        postconf_add_name(p, strz(conf_params[i].name), CLASS_BUILTIN);
    for (size_t i = 0; i < p->master.n; i++)
        add_service_names(p, &p->master.at[i]);
    scan_defaults_and_master(p);
    add_restriction_classes(p);
    scan_values(p);
}

struct search {
    const char *name;
    bool found;
};

static void match_name(struct str name, void *arg)
{
    struct search *s = arg;
    s->found = s->found || str_eqz(name, s->name);
}

/* Does main.cf or an option of the same service refer to this option? */
static bool option_is_used(const struct conf_service *s, const char *name)
{
    struct search search = {name, false};

    for (size_t i = 0; i < s->noptions; i++)
        postconf_scan(strz(s->options[i].value), match_name, &search);
    const struct conf_main *m = conf_settings();
    for (size_t i = 0; i < m->settings.n; i++)
        postconf_scan(strz(m->settings.at[i].value), match_name, &search);
    return search.found;
}

struct undefined {
    const struct postconf *p;
    const struct conf_service *service;
};

static void check_defined(struct str name, void *arg)
{
    struct undefined *u = arg;

    for (size_t i = 0; i < u->service->noptions; i++)
        if (str_eqz(name, u->service->options[i].name))
            return;
    if (hash_find(u->p->valid, name) == NULL && conf_find_raw(name, NULL) == NULL)
        postconf_warn("%s/master.cf: undefined parameter: %.*s", conf_dir(), (int)name.n, name.p);
}

static void warn_undefined_in(const struct postconf *p, const struct conf_service *s)
{
    struct undefined u = {p, s};

    for (size_t i = 0; i < s->noptions; i++)
        postconf_scan(strz(s->options[i].value), check_defined, &u);
}

static void warn_unused_main(const struct postconf *p)
{
    const struct conf_main *m = conf_settings();
    struct hash *seen = hash_new();

    for (size_t i = m->settings.n; i > 0; i--) {
        const struct conf_setting *s = &m->settings.at[i - 1];
        if (hash_find(p->valid, strz(s->name)) != NULL || hash_find(seen, strz(s->name)) != NULL)
            continue;
        hash_put(seen, strz(s->name), seen);
        postconf_warn("%s/main.cf: unused parameter: %s=%s", conf_dir(), s->name, s->value);
    }
    hash_free(&seen, NULL);
}

void postconf_warn_unused(const struct postconf *p, bool main_too)
{
    if (main_too)
        warn_unused_main(p);
    for (size_t i = 0; i < p->master.n; i++) {
        const struct conf_service *s = &p->master.at[i];
        warn_undefined_in(p, s);
        for (size_t j = 0; j < s->noptions; j++)
            if (hash_find(p->valid, strz(s->options[j].name)) == NULL &&
                !option_is_used(s, s->options[j].name))
                postconf_warn("%s/master.cf: unused parameter: %s=%s", conf_dir(),
                              s->options[j].name, s->options[j].value);
    }
}
