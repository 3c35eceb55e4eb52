#include "conf/conf.h"

#include <errno.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf_expand.h"
#include "conf/conf_host.h"
#include "conf/conf_main.h"
#include "conf/conf_param.h"

enum { MAX_FILE = 16 << 20, MAX_VALUE = 1 << 20, MAX_PATH = 8192 };

#define P(type, name, def, low, high, help)   +1
#define K(type, name, def, low, high, reason) +1
enum {
    NPARAMS =
#include "conf/known.def"
#include "conf/params.def"
};
#undef P
#undef K

struct conf conf;

static struct {
    char *dir;
    struct conf_main main; /* owns the texts */
    const char *value[NPARAMS]; /* as written, or the default */
    unsigned line[NPARAMS]; /* in main.cf; 0: not set there */
    bool is_set[NPARAMS];
    struct hash *others; /* name to value: what is set and not in the table */
} state;

static size_t index_of(const struct conf_param *p)
{
    return (size_t)(p - conf_params);
}

static void set(const char *name, const char *value, unsigned line)
{
    const struct conf_param *p = conf_param_find(strz(name));

    if (p == NULL) {
        hash_put(state.others, strz(name), (void *)(uintptr_t)value);
        return;
    }
    state.value[index_of(p)] = value;
    state.line[index_of(p)] = line;
    state.is_set[index_of(p)] = true;
}

/* A default that is computed: main.cf and -o go before it. */
static void set_default(const char *name, const char *value)
{
    const struct conf_param *p = conf_param_find(strz(name));

    if (!state.is_set[index_of(p)])
        state.value[index_of(p)] = value;
}

const char *conf_find_raw(struct str name, void *unused)
{
    const struct conf_param *p = conf_param_find(name);
    const struct conf_family *f;

    (void)unused;
    if (p != NULL)
        return state.value[index_of(p)];
    const char *value = hash_find(state.others, name);
    if (value == NULL && (f = conf_family_find(name, NULL)) != NULL)
        value = f->def;
    return value;
}

int conf_expand(const char *text, struct buf *out, struct why *why)
{
    return conf_expand_text(strz(text), EXPAND_RECURSE, conf_find_raw, NULL, out, why);
}

/* The value expanded, in memory that lives as long as the configuration. */
static const char *expanded(const char *text, struct why *why)
{
    struct buf out = BUF(MAX_VALUE);
    const char *result = NULL;

    if (strchr(text, '$') == NULL)
        return text;
    if (conf_expand(text, &out, why) == 0)
        result = arena_strz(state.main.mem, buf_str(&out));
    buf_free(&out);
    return result;
}

/* Where a value came from goes in front of what is wrong with it. */
static int bad_value(const struct conf_param *p, struct why *why)
{
    unsigned line = state.line[index_of(p)];

    if (line > 0)
        return why_in(why, "%s/main.cf, line %u: %s = %s", state.dir, line, p->name,
                      state.value[index_of(p)]);
    return why_in(why, "%s = %s", p->name, state.value[index_of(p)]);
}

int conf_blame(const char *name, struct why *why)
{
    return bad_value(conf_param_find(strz(name)), why);
}

static char unit_of_default(const struct conf_param *p)
{
    struct buf out = BUF(1000);
    char unit = 's';

    if (conf_expand(p->def, &out, NULL) == 0 && out.n > 0 && out.p[out.n - 1] >= 'a')
        unit = out.p[out.n - 1];
    buf_free(&out);
    return unit;
}

static int parse_number(const struct conf_param *p, const char *text, int64_t *out, struct why *why)
{
    const char *what =
        p->type == CONF_TYPE_TIME ? "a time: a number and one of s m h d w" : "a number";
    struct str s = str_trim(strz(text));
    bool good = p->type == CONF_TYPE_TIME ? num_parse_time(s, unit_of_default(p), 0, INT64_MAX, out)
                                          : num_parse(s, INT64_MIN, INT64_MAX, out);

    if (!good)
        return why_set(why, "4.3.5", "\"%s\" is not %s", text, what);
    if (*out < p->low)
        return why_set(why, "4.3.5", "less than the minimum %lld", (long long)p->low);
    if (p->high > 0 && *out > p->high)
        return why_set(why, "4.3.5", "more than the maximum %lld", (long long)p->high);
    return 0;
}

static int parse_bool(const char *text, bool *out, struct why *why)
{
    struct str s = str_trim(strz(text));

    if (!str_ieqz(s, "yes") && !str_ieqz(s, "no"))
        return why_set(why, "4.3.5", "\"%s\" is neither yes nor no", text);
    *out = str_ieqz(s, "yes");
    return 0;
}

static int parse_text(const struct conf_param *p, const char *text, const char **out,
                      struct why *why)
{
    size_t n = strlen(text);

    if (n == 0 && p->low > 0)
        return why_set(why, "4.3.5", "must not be empty");
    if (n < (size_t)p->low || (p->high > 0 && n > (size_t)p->high))
        return why_set(why, "4.3.5", "must have %lld to %lld characters", (long long)p->low,
                       (long long)p->high);
    *out = text;
    return 0;
}

static int fill_one(const struct conf_param *p, struct why *why)
{
    const char *text = state.value[index_of(p)];
    void *member = (char *)&conf + p->offset;

    if (p->type == CONF_TYPE_RAW)
        return parse_text(p, text, member, why);
    text = expanded(text, why);
    if (text == NULL)
        return -1;
    switch (p->type) {
    case CONF_TYPE_INT:
    case CONF_TYPE_TIME:
        return parse_number(p, text, member, why);
    case CONF_TYPE_BOOL:
        return parse_bool(text, member, why);
    default:
        return parse_text(p, text, member, why);
    }
}

/* What the administrator has set comes first: a default that refers to it is not to be blamed. */
static int fill_all(struct why *why)
{
    for (int pass = 0; pass < 2; pass++)
        for (const struct conf_param *p = conf_params; p < conf_params + conf_nparams; p++)
            if (p->reason == CONF_EFFECTIVE && state.is_set[index_of(p)] == (pass == 0) &&
                fill_one(p, why) < 0)
                return bad_value(p, why);
    return 0;
}

static bool has_value(const char *name)
{
    return state.is_set[index_of(conf_param_find(strz(name)))];
}

/* myhostname and mydomain each give the other its default. */
static int compute_names(struct why *why)
{
    struct arena *mem = state.main.mem;
    struct buf host = BUF(300);

    conf_host_name(&host);
    const char *dot = strchr(host.p, '.');
    const char *domain = dot == NULL ? "localdomain" : arena_strz(mem, strz(dot + 1));
    set_default("mydomain", domain);
    const char *full = dot != NULL ? arena_strz(mem, buf_str(&host))
                                   : expanded(arena_printf(mem, "%s.$mydomain", host.p), why);
    buf_free(&host);
    set_default("myhostname", full == NULL ? "" : full);
    const char *name = full == NULL ? NULL : expanded("$myhostname", why);
    if (name == NULL)
        return why_in(why, "%s/main.cf: myhostname", state.dir);
    dot = strchr(name, '.');
    set_default("mydomain", has_value("myhostname") && dot != NULL ? dot + 1 : domain);
    return 0;
}

static int compute_networks(struct why *why)
{
    struct buf networks = BUF(100000);

    if (has_value("mynetworks"))
        return 0;
    const char *style = expanded("$mynetworks_style", why);
    const char *protocols = expanded("$inet_protocols", why);
    if (style == NULL || protocols == NULL)
        return why_in(why, "%s/main.cf: mynetworks", state.dir);
    bool all = strstr(protocols, "all") != NULL;
    conf_host_networks(style, all || strstr(protocols, "ipv4") != NULL,
                       all || strstr(protocols, "ipv6") != NULL, &networks);
    set_default("mynetworks", arena_strz(state.main.mem, buf_str(&networks)));
    buf_free(&networks);
    return 0;
}

static void compute_process(const char *service, bool defaults_only)
{
    struct arena *mem = state.main.mem;

    if (!defaults_only && strcmp(state.dir, CONF_DEFAULT_DIR) != 0)
        set("config_directory", state.dir, 0);
    set_default("process_name", program_invocation_short_name);
    set_default("process_id", arena_printf(mem, "%d", (int)getpid()));
    set_default("service_name", service == NULL ? "" : arena_strz(mem, strz(service)));
}

static int set_overrides(const char *const *overrides, struct why *why)
{
    struct arena *mem = state.main.mem;

    for (; overrides != NULL && *overrides != NULL; overrides++) {
        const char *equals = strchr(*overrides, '=');
        if (equals == NULL || equals == *overrides)
            return why_set(why, "4.3.5", "-o %s: expected name=value", *overrides);
        struct str name = str_trim((struct str){*overrides, (size_t)(equals - *overrides)});
        set(arena_strz(mem, name), arena_strz(mem, str_trim(strz(equals + 1))), 0);
    }
    return 0;
}

static int read_main(struct why *why)
{
    struct buf text = BUF(MAX_FILE), path = BUF(5000);

    buf_addf(&path, "%s/main.cf", state.dir);
    int result = file_read(path.p, &text, why);
    if (result == 0)
        result = conf_main_parse(buf_str(&text), path.p, &state.main, why);
    buf_free(&text);
    buf_free(&path);
    if (result < 0)
        return -1;
    VEC_EACH (&state.main.settings, s) {
        set(s->name, s->value, s->line);
    }
    return 0;
}

/* Programs change to another directory, and read it again. */
static char *absolute(const char *dir)
{
    struct buf path = BUF(MAX_PATH);
    char *here = dir[0] == '/' ? NULL : getcwd(NULL, 0);

    if (here != NULL)
        buf_addf(&path, "%s/", here);
    buf_addz(&path, dir);
    free(here);
    return buf_take(&path);
}

static int read_all(const char *dir, const char *service, bool defaults_only,
                    const char *const *overrides, struct why *why)
{
    if (dir == NULL)
        dir = getenv("MAIL_CONFIG");
    char *full = absolute(dir != NULL && dir[0] != '\0' ? dir : CONF_DEFAULT_DIR);
    conf_unload(); /* dir may be conf_dir() */
    state.dir = full;
    state.others = hash_new();
    for (size_t i = 0; i < NPARAMS; i++)
        state.value[i] = conf_params[i].def;
    if (defaults_only)
        state.main.mem = arena_new(NULL);
    else if (read_main(why) < 0)
        return -1;
    if (set_overrides(overrides, why) < 0)
        return -1;
    compute_process(service, defaults_only);
    return compute_names(why) < 0 ? -1 : compute_networks(why);
}

int conf_load(const char *dir, const char *service, const char *const *overrides, struct why *why)
{
    return read_all(dir, service, false, overrides, why) < 0 ? -1 : fill_all(why);
}

/* Text is kept by who uses it: it is made anew only where it must be. */
static bool may_change(const struct conf_param *p)
{
    const char *value = state.value[index_of(p)];

    if (p->reason != CONF_EFFECTIVE || p->type == CONF_TYPE_RAW || strchr(value, '$') == NULL)
        return false;
    return p->type != CONF_TYPE_STR || strstr(value, "stress") != NULL;
}

void conf_set_stress(bool on)
{
    size_t stress = index_of(conf_param_find(STR("stress")));
    struct why why = WHY;

    if (state.is_set[stress] || on == (*conf.stress != 0))
        return;
    state.value[stress] = conf.stress = on ? "yes" : "";
    for (const struct conf_param *p = conf_params; p < conf_params + conf_nparams; p++)
        if (may_change(p) && fill_one(p, &why) < 0) {
            bad_value(p, &why);
            msg_warn("%s", why_text(&why));
            why_clear(&why);
        }
    why_free(&why);
}

int conf_read(const char *dir, bool defaults_only, const char *const *overrides, struct why *why)
{
    return read_all(dir, NULL, defaults_only, overrides, why);
}

const struct conf_main *conf_settings(void)
{
    return &state.main;
}

void conf_unload(void)
{
    hash_free(&state.others, NULL);
    conf_main_free(&state.main);
    free(state.dir);
    memset(&state, 0, sizeof state);
    memset(&conf, 0, sizeof conf);
}

const char *conf_dir(void)
{
    return state.dir;
}

/* conf.lmtp_x into conf.smtp_x; the pairs have the same types. */
static void use_one_lmtp(const struct conf_param *from)
{
    struct buf name = BUF(100);

    if (strcmp(from->name, "lmtp_lhlo_name") == 0)
        buf_addz(&name, "smtp_helo_name");
    else if (strcmp(from->name, "lmtp_lhlo_timeout") == 0)
        buf_addz(&name, "smtp_helo_timeout");
    else if (str_starts(strz(from->name), STR("lmtp_discard_lhlo_")))
        buf_addf(&name, "smtp_discard_ehlo_%s", from->name + strlen("lmtp_discard_lhlo_"));
    else
        buf_addf(&name, "smtp_%s", from->name + strlen("lmtp_"));
    const struct conf_param *to = conf_param_find(buf_str(&name));
    buf_free(&name);
    if (to == NULL || to->reason != CONF_EFFECTIVE || to->type != from->type)
        return;
    size_t size = from->type == CONF_TYPE_BOOL ? sizeof(bool)
                  : from->type == CONF_TYPE_INT || from->type == CONF_TYPE_TIME
                      ? sizeof(int64_t)
                      : sizeof(const char *);
    memcpy((char *)&conf + to->offset, (const char *)&conf + from->offset, size);
}

void conf_use_lmtp(void)
{
    for (const struct conf_param *p = conf_params; p < conf_params + conf_nparams; p++)
        if (p->reason == CONF_EFFECTIVE && str_starts(strz(p->name), STR("lmtp_")))
            use_one_lmtp(p);
}

void conf_warn_duplicates(void)
{
    struct hash *seen = hash_new();

    VEC_EACH (&state.main.settings, s) {
        const char *earlier = hash_put(seen, strz(s->name), (void *)(uintptr_t)s->value);
        if (earlier != NULL)
            msg_warn("%s/main.cf, line %u: overriding earlier entry: %s=%s", state.dir, s->line,
                     s->name, earlier);
    }
    hash_free(&seen, NULL);
}

void conf_warn_ignored(void)
{
    conf_warn_duplicates();
    for (const struct conf_param *p = conf_params; p < conf_params + conf_nparams; p++)
        if (p->reason != CONF_EFFECTIVE && state.is_set[index_of(p)])
            msg_warn("%s/main.cf, line %u: %s has no effect: %s", state.dir,
                     state.line[index_of(p)], p->name,
                     p->reason == CONF_LATER ? "the feature is not there yet"
                                             : "nothing here needs it");
}

/* Is name, or name=value, in the list? Sets what the list gives a value. */
static bool environment_keeps(struct str list, struct str name)
{
    struct str word;

    while (str_word_braces(&list, ", \t\r\n", &word))
        if (str_eq(word, name))
            return true;
    return false;
}

static void set_environment(struct str list)
{
    struct str word, name, value;

    while (str_word_braces(&list, ", \t\r\n", &word)) {
        str_unbrace(&word);
        ptrdiff_t equals = str_find(word, '=');
        if (equals <= 0)
            continue;
        name = str_trim(str_upto(word, (size_t)equals));
        value = str_trim(str_from(word, (size_t)equals + 1));
        setenv(arena_strz(state.main.mem, name), arena_strz(state.main.mem, value), 1);
    }
}

void conf_clean_environment(void)
{
    struct str list = strz(conf.import_environment);

    for (size_t i = 0; environ[i] != NULL;) {
        struct str entry = strz(environ[i]);
        ptrdiff_t equals = str_find(entry, '=');
        struct str name = str_upto(entry, equals < 0 ? entry.n : (size_t)equals);
        if (environment_keeps(list, name) || unsetenv(arena_strz(state.main.mem, name)) < 0)
            i++;
    }
    set_environment(list);
}

const char *conf_find(const char *name)
{
    struct why why = WHY;
    const char *raw = conf_find_raw(strz(name), NULL);

    if (raw == NULL)
        return NULL;
    const char *text = expanded(raw, &why);
    if (text == NULL)
        msg_fatal("%s/main.cf: %s = %s: %s", state.dir, name, raw, why_text(&why));
    return text;
}

bool conf_is_set(const char *name)
{
    const struct conf_param *p = conf_param_find(strz(name));

    return p != NULL ? state.is_set[index_of(p)] : hash_find(state.others, strz(name)) != NULL;
}

const char *conf_str_of(const char *prefix, const char *suffix, const char *otherwise)
{
    struct buf name = BUF(1000);

    buf_addf(&name, "%s%s", prefix, suffix);
    bool known = conf_param_find(buf_str(&name)) != NULL || conf_is_set(name.p);
    const char *text = known ? conf_find(name.p) : otherwise;
    buf_free(&name);
    return text;
}

int64_t conf_int_of(const char *prefix, const char *suffix, int64_t otherwise)
{
    int64_t value;
    const char *text = conf_str_of(prefix, suffix, NULL);

    if (text == NULL)
        return otherwise;
    if (!num_parse(str_trim(strz(text)), 0, INT64_MAX, &value))
        msg_fatal("%s/main.cf: %s%s = %s: not a number", state.dir, prefix, suffix, text);
    return value;
}

int64_t conf_time_of(const char *prefix, const char *suffix, int64_t otherwise)
{
    int64_t value;
    const char *text = conf_str_of(prefix, suffix, NULL);

    if (text == NULL)
        return otherwise;
    if (!num_parse_time(str_trim(strz(text)), 's', 0, INT64_MAX, &value))
        msg_fatal("%s/main.cf: %s%s = %s: not a time (a number and one of s m h d w)", state.dir,
                  prefix, suffix, text);
    return value;
}
