#include "dict/maps.h"

#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"

struct maps {
    char *parameter;
    VEC(struct dict *) tables;
};

enum { SPEC_LIMIT = 1024 * 1024 };

struct maps *maps_open(const char *parameter, const char *specs, unsigned flags)
{
    struct maps *m = mem_new(sizeof *m);
    struct str rest = strz(specs), word;
    struct buf spec = BUF(SPEC_LIMIT);
    struct why why = WHY;

    m->parameter = mem_dupz(parameter);
    while (str_word_braces(&rest, ", \t\r\n", &word)) {
        buf_set(&spec, word);
        if (!buf_ok(&spec))
            msg_fatal("%s: a table's name is longer than %d bytes", parameter, SPEC_LIMIT);
        if (dict_spec_check(spec.p, &why) < 0)
            conf_fault(parameter, "%s", why_text(&why));
        *VEC_ADD(&m->tables) = dict_open(spec.p, DICT_READ, flags | DICT_MAY_FAIL, NULL);
    }
    buf_free(&spec);
    why_free(&why);
    return m;
}

bool maps_empty(const struct maps *m)
{
    return m == NULL || m->tables.n == 0;
}

const char *maps_parameter(const struct maps *m)
{
    return m->parameter;
}

size_t maps_count(const struct maps *m)
{
    return m == NULL ? 0 : m->tables.n;
}

struct dict *maps_at(struct maps *m, size_t i)
{
    return m->tables.at[i];
}

static enum dict_answer maps_failed(const struct dict *d, const char *key, const struct why *reason,
                                    struct why *why)
{
    msg_warn("%s lookup error for \"%.100s\": %s", d->spec, key, why_text(reason));
    why_set(why, "4.3.0", "Temporary lookup failure");
    return DICT_FAILED;
}

static enum dict_answer maps_search(struct maps *m, const char *key, bool part, struct buf *value,
                                    struct why *why)
{
    struct why reason = WHY;
    enum dict_answer answer = DICT_NONE;

    buf_clear(value);
    if (m == NULL)
        return DICT_NONE;
    for (size_t i = 0; i < m->tables.n && answer == DICT_NONE; i++) {
        struct dict *d = m->tables.at[i];
        answer = part ? dict_find_part(d, key, value, &reason) : dict_find(d, key, value, &reason);
        if (answer == DICT_FOUND && value->n == 0) {
            msg_warn("%s lookup of %s returns an empty string result", m->parameter, key);
            msg_warn("%s should return NO RESULT in case of NOT FOUND", m->parameter);
            why_set(&reason, "4.3.5", "empty result");
            answer = DICT_FAILED;
        }
        if (answer == DICT_FAILED)
            maps_failed(d, key, &reason, why);
    }
    why_free(&reason);
    return answer;
}

enum dict_answer maps_find(struct maps *m, const char *key, struct buf *value, struct why *why)
{
    return maps_search(m, key, false, value, why);
}

enum dict_answer maps_find_part(struct maps *m, const char *key, struct buf *value, struct why *why)
{
    return maps_search(m, key, true, value, why);
}

enum dict_answer maps_find_host(struct maps *m, const char *host, struct buf *value,
                                struct why *why)
{
    enum dict_answer answer = maps_find(m, host, value, why);

    while (answer == DICT_NONE && host[0] != 0 && (host = strchr(host + 1, '.')) != NULL)
        answer = maps_find(m, host, value, why);
    return answer;
}

struct each_value {
    const char *table;
    maps_value_fn *fn;
    void *arg;
};

static void one_value(void *arg, const char *where, const char *value)
{
    const struct each_value *e = arg;

    e->fn(e->arg, e->table, where, value);
}

void maps_values(struct maps *m, maps_value_fn *fn, void *arg)
{
    for (size_t i = 0; i < maps_count(m); i++) {
        struct each_value e = {m->tables.at[i]->spec, fn, arg};
        dict_values(m->tables.at[i], one_value, &e);
    }
}

void maps_close(struct maps **maps)
{
    struct maps *m = *maps;

    *maps = NULL;
    if (m == NULL)
        return;
    VEC_EACH (&m->tables, d)
        dict_close(d);
    VEC_FREE(&m->tables);
    free(m->parameter);
    free(m);
}
