/*
 * texthash:, inline: and static:, tables whose contents stand in a text.
 */
#include <ctype.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "dict/dict_make.h"
#include "dict/dict_types.h"

enum { TEXT_LIMIT = 1 << 30 };

struct text_table {
    struct dict dict;
    struct hash *entries; /* inline, texthash */
    char *value; /* static */
    size_t cursor;
    const char *path;
    bool failed;
    struct why *why;
};

static enum dict_answer text_find(struct dict *d, const char *key, struct buf *value,
                                  struct why *why __attribute__((unused)))
{
    struct text_table *t = (struct text_table *)d;
    const char *found = t->entries == NULL ? t->value : hash_find(t->entries, strz(key));

    if (found == NULL)
        return DICT_NONE;
    buf_addz(value, found);
    return DICT_FOUND;
}

static enum dict_answer text_next(struct dict *d, struct buf *key, struct buf *value,
                                  struct why *why __attribute__((unused)))
{
    struct text_table *t = (struct text_table *)d;
    struct str k;
    void *v;

    if (!hash_next(t->entries, &t->cursor, &k, &v))
        return DICT_NONE;
    buf_add(key, k);
    buf_addz(value, v);
    return DICT_FOUND;
}

static void text_close(struct dict *d)
{
    struct text_table *t = (struct text_table *)d;

    if (t->entries != NULL)
        hash_free(&t->entries, free);
    free(t->value);
}

/* False: the key is there already and stays. */
static bool dict_text_add(struct text_table *t, const char *key, const char *value)
{
    struct buf k = BUF(DICT_VALUE_LIMIT);
    bool added;

    if ((t->dict.flags & DICT_FOLD) != 0)
        dict_fold(strz(key), &k);
    else
        buf_addz(&k, key);
    if (!buf_ok(&k)) {
        msg_warn("%s: a key that is too long is left out: %.50s...", t->dict.type->name, key);
        buf_free(&k);
        return true;
    }
    added = hash_find(t->entries, buf_str(&k)) == NULL;
    if (added)
        hash_put(t->entries, buf_str(&k), mem_dupz(value));
    buf_free(&k);
    return added;
}

static bool add_value(struct text_table *t, const char *key, const char *value)
{
    /* asked: by dict_file_value */
    struct buf file = BUF(DICT_VALUE_LIMIT);
    bool added = true;

    if ((t->dict.flags & DICT_FILE_VALUES) == 0)
        return dict_text_add(t, key, value);
    if (dict_file_value(value, &file, t->why) < 0)
        t->failed = true;
    else
        added = dict_text_add(t, key, file.p);
    buf_free(&file);
    return added;
}

/* texthash:/path */

static bool texthash_entry(void *arg, const char *key, const char *value, int number)
{
    struct text_table *t = arg;

    if (!add_value(t, key, value))
        msg_warn("%s, line %d: duplicate entry: \"%s\"", t->path, number, key);
    return !t->failed;
}

static struct dict *texthash_open(const char *arg, enum dict_mode mode __attribute__((unused)),
                                  unsigned flags, struct why *why)
{
    struct text_table *t = (struct text_table *)dict_new(&dict_texthash, sizeof *t);
    struct buf text = BUF(TEXT_LIMIT);
    struct dict *d = &t->dict;

    d->flags = flags;
    t->path = arg;
    t->why = why;
    t->entries = hash_new();
    if (dict_file_read(d, arg, &text, why) < 0)
        t->failed = true;
    else
        source_read(SOURCE_MAP, arg, buf_str(&text), texthash_entry, t);
    buf_free(&text);
    t->why = NULL;
    if (t->failed)
        dict_close(&d);
    return d;
}

/* static:value and static:{ value } */

static struct dict *static_open(const char *arg, enum dict_mode mode __attribute__((unused)),
                                unsigned flags, struct why *why)
{
    struct text_table *t = (struct text_table *)dict_new(&dict_static, sizeof *t);
    /* asked: by dict_file_value */
    struct buf file = BUF(DICT_VALUE_LIMIT);
    struct str value = strz(arg);
    struct dict *d = &t->dict;
    int status = 0;

    if (arg[0] == '{' && !str_unbrace(&value))
        status = why_set(why, "4.3.5", "bad static:name syntax: missing '}' in \"%s\"", arg);
    t->value = mem_dup(value.p, value.n);
    if (status == 0 && (flags & DICT_FILE_VALUES) != 0) {
        status = dict_file_value(t->value, &file, why);
        free(t->value);
        t->value = buf_take(&file);
    }
    if (status < 0)
        dict_close(&d);
    return d;
}

/* inline:{ key=value, { key = text with spaces } } */

static int inline_entry(struct text_table *t, struct str entry, const char *arg)
{
    struct buf key = BUF(DICT_VALUE_LIMIT), value = BUF(DICT_VALUE_LIMIT);
    int status = -1;

    if (entry.n > 0 && entry.p[0] == '{' && !str_unbrace(&entry)) {
        why_set(t->why, "4.3.5",
                "missing '}' in \"%.*s\": \"inline:%s\"; need "
                "\"inline:{name=value...}\"",
                (int)entry.n, entry.p, arg);
    } else {
        ptrdiff_t equals = str_find(entry, '=');
        struct str name = str_trim(str_upto(entry, equals < 0 ? 0 : (size_t)equals));
        if (equals < 0 || name.n == 0) {
            why_set(t->why, "4.3.5", "missing %s: \"inline:%s\"; need \"inline:{name=value...}\"",
                    equals < 0 ? "'=' after attribute name" : "attribute name", arg);
        } else {
            buf_add(&key, name);
            buf_add(&value, str_trim(str_from(entry, (size_t)equals + 1)));
            if (!buf_ok(&key) || !buf_ok(&value))
                t->failed = true, why_set(t->why, "4.3.5", "an entry of inline: is too long");
            else if (!add_value(t, key.p, value.p))
                msg_warn("inline:%s: duplicate entry: \"%s\"", arg, key.p);
            status = t->failed ? -1 : 0;
        }
    }
    buf_free(&key);
    buf_free(&value);
    return status;
}

static struct dict *inline_open(const char *arg, enum dict_mode mode __attribute__((unused)),
                                unsigned flags, struct why *why)
{
    struct text_table *t = (struct text_table *)dict_new(&dict_inline, sizeof *t);
    struct str rest = strz(arg), entry;
    struct dict *d = &t->dict;
    int status = 0;

    d->flags = flags;
    t->why = why;
    t->entries = hash_new();
    if (!str_unbrace(&rest) || rest.n == 0)
        status = why_set(why, "4.3.5", "bad syntax: \"inline:%s\"; need \"inline:{name=value...}\"",
                         arg);
    while (status == 0 && str_word_braces(&rest, ", \t\r\n", &entry))
        status = inline_entry(t, entry, arg);
    t->why = NULL;
    if (status < 0)
        dict_close(&d);
    return d;
}

const struct dict_type dict_texthash = {
    .name = "texthash",
    .can = DICT_WALKS | DICT_SURVIVES_JAIL,
    .suffix = "",
    .open = texthash_open,
    .find = text_find,
    .next = text_next,
    .close = text_close,
};
const struct dict_type dict_inline = {
    .name = "inline",
    .can = DICT_WALKS | DICT_SURVIVES_JAIL,
    .open = inline_open,
    .find = text_find,
    .next = text_next,
    .close = text_close,
};
static void static_values(struct dict *d, dict_value_fn *fn, void *arg)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);

    if (text_find(d, "any key", &value, NULL) == DICT_FOUND && buf_ok(&value))
        fn(arg, "any key", value.p);
    buf_free(&value);
}

const struct dict_type dict_static = {
    .name = "static",
    .can = DICT_SURVIVES_JAIL,
    .open = static_open,
    .find = text_find,
    .values = static_values,
    .close = text_close,
};
