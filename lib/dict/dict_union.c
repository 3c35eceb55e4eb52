/*
 * unionmap: all results together; pipemap: each result is the next table's key; randmap: one of
 * some values.
 */
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "base/vec.h"
#include "dict/dict_make.h"
#include "dict/dict_types.h"

struct group {
    struct dict dict;
    VEC(struct dict *) tables;
    VEC(char *) values; /* randmap */
};

static int bad_syntax(const struct dict_type *type, const char *arg, struct why *why)
{
    return why_set(why, "4.3.5", "bad syntax: \"%s:%s\"; need \"%s:{%s...}\"", type->name, arg,
                   type->name, type == &dict_randmap ? "value" : "type:name");
}

/* A group can what all its members can. */
static int add_table(struct group *g, struct str spec, unsigned flags, struct why *why)
{
    struct buf text = BUF(DICT_VALUE_LIMIT);
    struct dict *d = NULL;

    buf_add(&text, spec);
    if (buf_ok(&text) && strchr(text.p, ':') != NULL)
        d = dict_open(text.p, DICT_READ, flags, why);
    else
        why_set(why, "4.3.5", "bad syntax: \"%s\"; need \"type:name\"", text.p);
    buf_free(&text);
    if (d == NULL)
        return -1;
    d->flags &=
        ~(unsigned)DICT_FILE_VALUES; /* the contents of files are decoded once, by the group */
    *VEC_ADD(&g->tables) = d;
    if (d->owner != 0)
        g->dict.owner = d->owner;
    g->dict.can =
        g->tables.n == 1 ? d->can & ~(unsigned)(DICT_WALKS | DICT_WRITES) : g->dict.can & d->can;
    return 0;
}

/* One of the results of randmap. */
static int add_value(struct group *g, struct str word, unsigned flags, struct why *why)
{
    struct buf file = BUF(DICT_VALUE_LIMIT);
    char *text = mem_dup(word.p, word.n);
    int status = 0;

    if ((flags & DICT_FILE_VALUES) != 0) {
        status = dict_file_value(text, &file, why);
        if (status == 0 && !buf_ok(&file))
            status = why_set(why, "4.3.5", "the files %s are too long for a table", text);
        free(text);
        text = buf_take(&file);
    }
    *VEC_ADD(&g->values) = text;
    return status;
}

static void group_close(struct dict *d)
{
    struct group *g = (struct group *)d;

    VEC_EACH (&g->tables, t)
        dict_close(t);
    VEC_EACH (&g->values, v)
        free(*v);
    VEC_FREE(&g->tables);
    VEC_FREE(&g->values);
}

static struct dict *group_open(const struct dict_type *type, const char *arg, unsigned flags,
                               struct why *why)
{
    struct group *g = (struct group *)dict_new(type, sizeof *g);
    struct dict *d = &g->dict;
    struct str rest = strz(arg), word;
    int status = 0;

    if (!str_unbrace(&rest))
        status = bad_syntax(type, arg, why);
    while (status == 0 && str_word_braces(&rest, ", \t\r\n", &word)) {
        if (type != &dict_randmap) {
            status = add_table(g, word, flags, why);
            continue;
        }
        str_unbrace(&word);
        status = add_value(g, word, flags, why);
    }
    if (status == 0 && g->tables.n + g->values.n == 0)
        status = bad_syntax(type, arg, why);
    if (status < 0)
        dict_close(&d);
    return d;
}

static enum dict_answer union_find(struct dict *d, const char *key, struct buf *value,
                                   struct why *why)
{
    struct group *g = (struct group *)d;
    struct buf one = BUF(value->max);
    enum dict_answer all = DICT_NONE;

    VEC_EACH (&g->tables, t) {
        enum dict_answer answer = dict_find(*t, key, &one, why);
        if (answer == DICT_NONE)
            continue;
        if (all == DICT_FOUND && answer == DICT_FOUND)
            buf_addc(value, ',');
        if (answer == DICT_FOUND)
            buf_add(value, buf_str(&one));
        all = answer;
        if (answer == DICT_FAILED)
            break;
    }
    buf_free(&one);
    return all;
}

static enum dict_answer pipe_find(struct dict *d, const char *key, struct buf *value,
                                  struct why *why)
{
    struct group *g = (struct group *)d;
    struct buf text = BUF(value->max);
    enum dict_answer answer = DICT_FOUND;

    buf_addz(&text, key);
    VEC_EACH (&g->tables, t) {
        answer = !buf_ok(&text) || text.n == 0 ? DICT_NONE : dict_find(*t, text.p, value, why);
        if (answer != DICT_FOUND)
            break;
        buf_set(&text, buf_str(value));
    }
    buf_free(&text);
    if (answer != DICT_FOUND)
        buf_clear(value);
    return answer;
}

static enum dict_answer rand_find(struct dict *d, const char *key __attribute__((unused)),
                                  struct buf *value, struct why *why __attribute__((unused)))
{
    struct group *g = (struct group *)d;

    buf_addz(value, g->values.at[random_below((uint32_t)g->values.n)]);
    return DICT_FOUND;
}

static struct dict *union_open(const char *arg, enum dict_mode mode __attribute__((unused)),
                               unsigned flags, struct why *why)
{
    return group_open(&dict_unionmap, arg, flags, why);
}

static struct dict *pipe_open(const char *arg, enum dict_mode mode __attribute__((unused)),
                              unsigned flags, struct why *why)
{
    return group_open(&dict_pipemap, arg, flags, why);
}

static struct dict *rand_open(const char *arg, enum dict_mode mode __attribute__((unused)),
                              unsigned flags, struct why *why)
{
    return group_open(&dict_randmap, arg, flags, why);
}

static void rand_values(struct dict *d, dict_value_fn *fn, void *arg)
{
    VEC_EACH (&((struct group *)d)->values, v)
        fn(arg, "any key", *v);
}

const struct dict_type dict_unionmap = {
    .name = "unionmap",
    .can = DICT_SURVIVES_JAIL,
    .open = union_open,
    .find = union_find,
    .close = group_close,
};
const struct dict_type dict_pipemap = {
    .name = "pipemap",
    .can = DICT_SURVIVES_JAIL,
    .open = pipe_open,
    .find = pipe_find,
    .close = group_close,
};
const struct dict_type dict_randmap = {
    .name = "randmap",
    .can = DICT_SURVIVES_JAIL,
    .open = rand_open,
    .find = rand_find,
    .values = rand_values,
    .close = group_close,
};
