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
#include "conf/conf_inside.h"
#include "conf/conf_main.h"
#include "conf/conf_missing.h"
#include "conf/conf_param.h"
#include "conf/conf_snapshot.h"

enum { MAX_FILE = 16 << 20, MAX_VALUE = 1 << 20, MAX_PATH = 8192, FAULT_MAX = 500 };

#define P(type, name, def, low, high, help)   +1
#define K(type, name, def, low, high, reason) +1
#define M(type, name, def, low, high, effect) +1
enum {
    NPARAMS =
#include "conf/known.def"
#include "conf/params.def"
};
#undef P
#undef K
#undef M

struct conf conf;

static size_t faults; /* conf_fault() in this process */

/* Of a parameter. */
struct given {
    const char *value; /* as written, or the default */
    unsigned line; /* in main.cf; 0: not set there */
    bool is_set;
};

static struct {
    char *dir;
    struct conf_main main; /* owns the texts */
    /* NPARAMS, as in the table. Apart from what a process goes on writing to, so that they are in
     * pages that children share. */
    struct given *given;
    struct hash *others; /* name to value: what is set and not in the table */
} state;

struct arena *conf_memory(void)
{
    return state.main.mem;
}

static struct given *given(const struct conf_param *p)
{
    if (state.given == NULL)
        state.given = mem_array(NPARAMS, sizeof *state.given);
    return &state.given[p - conf_params];
}

static void set(const char *name, const char *value, unsigned line)
{
    const struct conf_param *p = conf_param_find(strz(name));

    if (p == NULL) {
        hash_put(state.others, strz(name), (void *)(uintptr_t)value);
        return;
    }
    *given(p) = (struct given){value, line, true};
}

void conf_set_default(const char *name, const char *value)
{
    const struct conf_param *p = conf_param_find(strz(name));

    if (!given(p)->is_set)
        given(p)->value = value;
}

void conf_replace(const char *name, const char *value)
{
    given(conf_param_find(strz(name)))->value = value;
}

const char *conf_find_raw(struct str name, void *unused)
{
    const struct conf_param *p = conf_param_find(name);
    const struct conf_family *f;

    (void)unused;
    if (p != NULL)
        return given(p)->value;
    const char *value = hash_find(state.others, name);
    if (value == NULL && (f = conf_family_find(name, NULL)) != NULL)
        value = f->def;
    return value;
}

int conf_expand(const char *text, struct buf *out, struct why *why)
{
    return conf_expand_text(strz(text), EXPAND_RECURSE, conf_find_raw, NULL, out, why);
}

const char *conf_expanded(const char *text, struct why *why)
{
    struct buf out = BUF(MAX_VALUE);
    const char *result = NULL;

    if (strchr(text, '$') == NULL)
        return text;
    if (conf_expand(text, &out, why) == 0) {
        if (buf_ok(&out))
            result = arena_strz(state.main.mem, buf_str(&out));
        else
            why_set(why, "4.3.5", "the expanded value is longer than %d bytes", MAX_VALUE);
    }
    buf_free(&out);
    return result;
}

/* Where a value came from goes in front of what is wrong with it. */
static int bad_value(const struct conf_param *p, struct why *why)
{
    unsigned line = given(p)->line;

    if (line > 0)
        return why_in(why, "%s/main.cf, line %u: %s = %s", state.dir, line, p->name,
                      given(p)->value);
    return why_in(why, "%s = %s", p->name, given(p)->value);
}

int conf_blame(const char *name, struct why *why)
{
    const struct conf_param *p = conf_param_find(strz(name));

    if (p != NULL)
        return bad_value(p, why);
    return conf_line(name) > 0
               ? why_in(why, "%s/main.cf, line %u: %s", state.dir, conf_line(name), name)
               : why_in(why, "%s", name);
}

unsigned conf_line(const char *name)
{
    const struct conf_param *p = conf_param_find(strz(name));
    unsigned line = 0;

    if (p != NULL)
        return given(p)->line;
    VEC_EACH (&state.main.settings, s)
        if (strcmp(s->name, name) == 0)
            line = s->line;
    return line;
}

void conf_fault(const char *name, const char *fmt, ...)
{
    struct buf text = BUF_TEXT(FAULT_MAX);
    struct why why = WHY;
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    why_set(&why, "4.3.5", "%s", text.p);
    if (name != NULL)
        conf_blame(name, &why);
    msg_error("%s", why_text(&why));
    faults++;
    why_free(&why);
    buf_free(&text);
}

size_t conf_faults(void)
{
    return faults;
}

static char unit_of_default(const struct conf_param *p)
{
    struct buf out = BUF(1000);
    char unit = 's';

    if (conf_expand(p->def, &out, NULL) == 0 && buf_ok(&out) && out.n > 0 &&
        out.p[out.n - 1] >= 'a')
        unit = out.p[out.n - 1];
    buf_free(&out);
    return unit;
}

int64_t conf_param_high(const struct conf_param *p)
{
    return p->high > 0 ? p->high : CONF_NUMBER_MAX;
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
    if (*out > conf_param_high(p))
        return why_set(why, "4.3.5", "more than the maximum %lld", (long long)conf_param_high(p));
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
    const char *text = given(p)->value;
    void *member = (char *)&conf + p->offset;

    if (p->type == CONF_TYPE_RAW)
        return parse_text(p, text, member, why);
    text = conf_expanded(text, why);
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
static int fill_all(conf_tell_fn *tell, void *arg)
{
    struct why why = WHY;
    int result = 0;

    for (int pass = 0; pass < 2 && result == 0; pass++)
        for (const struct conf_param *p = conf_params; p < conf_params + conf_nparams; p++)
            if (p->reason == CONF_EFFECTIVE && given(p)->is_set == (pass == 0) &&
                fill_one(p, &why) < 0) {
                result = bad_value(p, &why);
                tell(arg, &why);
                why_clear(&why);
            }
    why_free(&why);
    return result;
}

static void compute_process(const char *service, bool defaults_only)
{
    struct arena *mem = state.main.mem;

    if (!defaults_only && strcmp(state.dir, CONF_DEFAULT_DIR) != 0)
        set("config_directory", state.dir, 0);
    conf_set_default("process_name", program_invocation_short_name);
    conf_set_default("process_id", arena_printf(mem, "%d", (int)getpid()));
    conf_set_default("service_name", service == NULL ? "" : arena_strz(mem, strz(service)));
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
    struct buf text = BUF(MAX_FILE), path = BUF_TEXT(MAX_PATH);

    buf_addf(&path, "%s/main.cf", state.dir);
    int result = conf_file_read(state.dir, "main.cf", &text, why);
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
    char *here = dir[0] == '/' ? NULL : getcwd(NULL, 0);
    /* fits: both and a slash */
    struct buf path = BUF((here != NULL ? strlen(here) + 1 : 0) + strlen(dir));

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
        given(&conf_params[i])->value = conf_params[i].def;
    if (defaults_only)
        state.main.mem = arena_new(NULL);
    else if (read_main(why) < 0)
        return -1;
    if (set_overrides(overrides, why) < 0)
        return -1;
    compute_process(service, defaults_only);
    return conf_compute_names(why) < 0 ? -1 : conf_compute_networks(why);
}

int conf_load_telling(const char *dir, const char *service, const char *const *overrides,
                      conf_tell_fn *tell, void *arg)
{
    struct why why = WHY;
    int result = read_all(dir, service, false, overrides, &why);

    if (result == 0)
        result = conf_read_origin(&why);
    if (result < 0)
        tell(arg, &why);
    else
        result = fill_all(tell, arg);
    why_free(&why);
    return result;
}

static void keep_first(void *arg, struct why *why)
{
    struct why *first = arg;

    if (first != NULL && first->code[0] == 0)
        why_copy(first, why);
}

int conf_load(const char *dir, const char *service, const char *const *overrides, struct why *why)
{
    why_clear(why);
    return conf_load_telling(dir, service, overrides, keep_first, why);
}

/* Text is kept by who uses it: it is made anew only where it must be. */
static bool may_change(const struct conf_param *p)
{
    const char *value = given(p)->value;

    if (p->reason != CONF_EFFECTIVE || p->type == CONF_TYPE_RAW || strchr(value, '$') == NULL)
        return false;
    return p->type != CONF_TYPE_STR || strstr(value, "stress") != NULL;
}

void conf_set_stress(bool on)
{
    struct given *stress = given(conf_param_find(STR("stress")));
    struct why why = WHY;

    if (stress->is_set || on == (*conf.stress != 0))
        return;
    stress->value = conf.stress = on ? "yes" : "";
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
    free(state.given);
    free(state.dir);
    memset(&state, 0, sizeof state);
    memset(&conf, 0, sizeof conf);
}

const char *conf_dir(void)
{
    return state.dir;
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
        if (p->reason == CONF_TUNES && given(p)->line > 0 &&
            !conf_is_default(p, conf_find(p->name)))
            msg_warn("%s/main.cf, line %u: %s has no effect: the feature is not there yet",
                     state.dir, given(p)->line, p->name);
}

bool conf_is_set(const char *name)
{
    const struct conf_param *p = conf_param_find(strz(name));

    return p != NULL ? given(p)->is_set : hash_find(state.others, strz(name)) != NULL;
}
