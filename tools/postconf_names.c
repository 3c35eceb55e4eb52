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

static void add_valid(struct postconf *p, struct str name, enum postconf_class c)
{
    if (hash_find(p->valid, name) == NULL)
        hash_put(p->valid, name, (void *)(uintptr_t)c);
}

static void add_prefixed(struct postconf *p, struct str prefix, const char *suffix,
                         enum postconf_class c)
{
    struct buf name = BUF(2000);

    buf_add(&name, prefix);
    buf_addz(&name, suffix);
    add_valid(p, buf_str(&name), c);
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
        add_valid(p, name, CLASS_USER);
    else if (!p->defaults && !some_service_sets(p, name))
        postconf_warn("%s/main.cf: undefined parameter: %.*s", conf_dir(), (int)name.n, name.p);
}

/* Tables whose settings can stand in main.cf as <name>_<setting>: ldap_table(5) and so on. */
static void add_table_names(struct postconf *p, struct str type, struct str name)
{
    static const char *const sql[] = {"_hosts",
                                      "_user",
                                      "_password",
                                      "_dbname",
                                      "_query",
                                      "_result_format",
                                      "_domain",
                                      "_table",
                                      "_select_field",
                                      "_where_field",
                                      "_expansion_limit",
                                      "_additional_conditions",
                                      "_select_function",
                                      "_option_file",
                                      "_option_group",
                                      "_tls_cert_file",
                                      "_tls_key_file",
                                      "_tls_CAfile",
                                      "_tls_CApath",
                                      "_tls_ciphers",
                                      "_tls_verify_cert",
                                      "_charset",
                                      "_require_result_set",
                                      "_encoding",
                                      "_dbpath",
                                      "_idle_interval",
                                      "_retry_interval",
                                      "_stored_procedure",
                                      NULL};
    static const char *const ldap[] = {"_server_host",
                                       "_server_port",
                                       "_search_base",
                                       "_query_filter",
                                       "_result_attribute",
                                       "_special_result_attribute",
                                       "_leaf_result_attribute",
                                       "_terminal_result_attribute",
                                       "_result_format",
                                       "_result_filter",
                                       "_domain",
                                       "_expansion_limit",
                                       "_size_limit",
                                       "_recursion_limit",
                                       "_bind",
                                       "_bind_dn",
                                       "_bind_pw",
                                       "_dereference",
                                       "_chase_referrals",
                                       "_cache",
                                       "_cache_expiry",
                                       "_cache_size",
                                       "_version",
                                       "_timeout",
                                       "_scope",
                                       "_debuglevel",
                                       "_start_tls",
                                       "_tls_ca_cert_dir",
                                       "_tls_ca_cert_file",
                                       "_tls_cert",
                                       "_tls_key",
                                       "_tls_require_cert",
                                       "_tls_random_file",
                                       "_tls_cipher_suite",
                                       "_sasl_mechs",
                                       "_sasl_realm",
                                       "_sasl_authz_id",
                                       "_sasl_minssf",
                                       NULL};
    static const char *const memcache[] = {
        "_memcache", "_backup",      "_flags",           "_ttl",
        "_domain",   "_key_format",  "_line_size_limit", "_data_size_limit",
        "_max_try",  "_retry_pause", "_timeout",         NULL};
    static const char *const sql_types[] = {"mysql", "pgsql", "sqlite"};
    const char *const *suffixes = str_eqz(type, "ldap")       ? ldap
                                  : str_eqz(type, "memcache") ? memcache
                                                              : NULL;

    for (size_t i = 0; i < 3; i++)
        if (str_eqz(type, sql_types[i]))
            suffixes = sql;
    if (suffixes == NULL || name.n == 0 || name.p[0] == '/' || name.p[0] == '.')
        return;
    for (; *suffixes != NULL; suffixes++)
        add_prefixed(p, name, *suffixes, CLASS_USER);
}

static void find_tables(struct postconf *p, struct str value)
{
    struct str word, type;

    while (str_word(&value, ", \t\r\n{}", &word)) {
        while (str_starts(word, STR("proxy:")))
            word = str_from(word, 6);
        ptrdiff_t colon = str_find(word, ':');
        if (colon <= 0)
            continue;
        type = str_upto(word, (size_t)colon);
        add_table_names(p, type, str_from(word, (size_t)colon + 1));
    }
}

static void add_restriction_classes(struct postconf *p)
{
    struct buf list = BUF(100000);
    struct str word;

    if (conf_expand("$smtpd_restriction_classes", &list, NULL) == 0) {
        struct str rest = buf_str(&list);
        while (str_word(&rest, separators, &word)) {
            add_reference(word, p);
            add_valid(p, word, CLASS_USER);
        }
    }
    buf_free(&list);
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
        postconf_scan(strz(value), add_reference, p);
        find_tables(p, strz(value));
    }
    hash_free(&last, NULL);
    for (size_t i = 0; p->overrides.at[i] != NULL; i++)
        postconf_scan(strz(p->overrides.at[i]), add_reference, p);
}

void postconf_find_names(struct postconf *p)
{
    p->valid = hash_new();
    for (size_t i = 0; i < conf_nparams; i++)
        add_valid(p, strz(conf_params[i].name), CLASS_BUILTIN);
    for (size_t i = 0; i < p->master.n; i++)
        add_service_names(p, &p->master.at[i]);
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

/* Values of master.cf refer to parameters that main.cf defines. */
static bool master_refers_to(const struct postconf *p, const char *name)
{
    struct search search = {name, false};

    for (size_t i = 0; i < p->master.n && !search.found; i++)
        for (size_t j = 0; j < p->master.at[i].noptions; j++)
            postconf_scan(strz(p->master.at[i].options[j].value), match_name, &search);
    return search.found;
}

static void warn_unused_main(const struct postconf *p)
{
    const struct conf_main *m = conf_settings();
    struct hash *seen = hash_new();

    for (size_t i = m->settings.n; i > 0; i--) {
        const struct conf_setting *s = &m->settings.at[i - 1];
        if (hash_find(p->valid, strz(s->name)) != NULL || hash_find(seen, strz(s->name)) != NULL ||
            master_refers_to(p, s->name))
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
