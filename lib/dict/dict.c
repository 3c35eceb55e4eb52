/*
 * The list of table types; opening, sharing, folding, and noticing that a file has changed.
 */
#include "dict/dict.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "conf/conf_missing.h"
#include "dict/dict_types.h"

static const struct dict_type *const types[] = {
    &dict_btree,  &dict_cidr,     &dict_environ,  &dict_fail,    &dict_hash,
    &dict_inline, &dict_pcre,     &dict_pipemap,  &dict_randmap, &dict_regexp,
    &dict_static, &dict_texthash, &dict_unionmap, &dict_unix,
};
enum { TYPES = sizeof types / sizeof *types, KEY_LIMIT = 1024 * 1024 };

static struct list open_tables = {&open_tables, &open_tables};

const struct dict_type *dict_type_at(size_t i)
{
    return i < TYPES ? types[i] : NULL;
}

static const struct dict_type *type_by_name(struct str name)
{
    for (size_t i = 0; i < TYPES; i++)
        if (str_eqz(name, types[i]->name))
            return types[i];
    return NULL;
}

struct dict *dict_new(const struct dict_type *type, size_t size)
{
    struct dict *d = mem_new(size);

    d->type = type;
    d->can = type->can;
    d->refs = 1;
    /* fits: dict_find has looked, and dict_put and dict_drop */
    d->folded = BUF(KEY_LIMIT);
    list_init(&d->open_tables);
    return d;
}

/* Files. */

int dict_file_watch(struct dict *d, int fd, const char *path, struct why *why)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return why_errno(why, "4.3.0", "fstat %s", path);
    d->owner = st.st_uid;
    d->replaced =
        !track_begin(&d->file, path) || d->file.dev != st.st_dev || d->file.ino != st.st_ino;
    return 0;
}

/* Watched first: what is written while it is read counts as a change. */
static int watch_and_read(struct dict *d, int fd, const char *path, struct buf *text,
                          struct why *why)
{
    if (dict_file_watch(d, fd, path, why) < 0)
        return -1;
    if (file_read_fd(fd, text) < 0)
        return why_errno(why, "4.3.0", "read %s", path);
    return buf_ok(text) ? 0 : why_set(why, "4.3.5", "%s: file is too large", path);
}
int dict_file_read(struct dict *d, const char *path, struct buf *text, struct why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return why_errno(why, "4.3.0", "open %s", path);
    int status = watch_and_read(d, fd, path, text, why);
    close(fd);
    return status;
}

/* A table that could not be opened: every lookup says why. */

struct unavailable {
    struct dict dict;
    int dir; /* where its file may come to exist, O_PATH: a chroot hides the name; or -1 */
    char *name; /* there, or null */
    int64_t again_ms; /* when it is worth another try; 0: when the file comes */
    struct why why;
};

static enum dict_answer unavailable_find(struct dict *d, const char *key __attribute__((unused)),
                                         struct buf *value __attribute__((unused)), struct why *why)
{
    struct unavailable *u = (struct unavailable *)d;

    msg_warn("%s is unavailable. %s", d->spec, why_text(&u->why));
    if (why != NULL)
        why_copy(why, &u->why);
    return DICT_FAILED;
}

static void unavailable_close(struct dict *d)
{
    struct unavailable *u = (struct unavailable *)d;

    if (u->dir >= 0)
        close(u->dir);
    free(u->name);
    why_free(&u->why);
}

static const struct dict_type unavailable = {
    .name = "unavailable",
    .can = DICT_SURVIVES_JAIL,
    .find = unavailable_find,
    .close = unavailable_close,
};

bool dict_is_unavailable(const struct dict *d)
{
    return d->type == &unavailable;
}

/* From the nearest directory that is there: those between may come, too, or be mounted. */
static void watch_for(struct unavailable *u, const char *path)
{
    size_t n = strlen(path);

    while (u->dir < 0 && n > 0) {
        while (n > 0 && path[n - 1] != '/')
            n--;
        char *dir = n == 0 ? mem_dupz(".") : mem_dup(path, n);
        u->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (u->dir >= 0)
            track_begin(&u->dict.file, dir); /* which may be reached by a link */
        free(dir);
        free(u->name);
        u->name = mem_dupz(path + n);
        while (n > 0 && path[n - 1] == '/')
            n--;
    }
}

static struct dict *open_unavailable(const struct dict_type *type, const char *arg,
                                     const struct why *why)
{
    struct unavailable *u = (struct unavailable *)dict_new(&unavailable, sizeof *u);
    struct buf path = BUF(8192);

    msg_error("%s", why_text(why));
    u->dir = -1;
    u->why = WHY;
    why_copy(&u->why, why);
    if (type != NULL && type->suffix != NULL && why_later(why)) {
        buf_addf(&path, "%s%s", arg, type->suffix);
        if (buf_ok(&path) && access(path.p, F_OK) < 0)
            watch_for(u, path.p);
    }
    /* It is there, but cannot be read; or it has no file (unix:), and nothing is wrong with it. */
    if (type != NULL && u->dir < 0 &&
        (type->suffix != NULL ? why_later(why) : strcmp(why->code, "4.3.0") == 0))
        u->again_ms = clock_ms() + conf.transport_retry_time * 1000;
    buf_free(&path);
    return &u->dict;
}

/* A file has come; or one that could not be read, for want of memory or in the middle of a rebuild,
 * may be fine now, or its directory may have come. */
static bool may_be_there(struct unavailable *u, int64_t now_ms)
{
    struct stat st; /* a call that every jail allows */

    return (u->dir >= 0 && fstatat(u->dir, u->name, &st, 0) == 0) ||
           (u->again_ms > 0 && now_ms >= u->again_ms) || track_changed(&u->dict.file);
}

static bool changed(struct dict *d, int64_t now_ms)
{
    return d->type == &unavailable ? may_be_there((struct unavailable *)d, now_ms)
                                   : d->replaced || track_glance(&d->file, now_ms);
}

const char *dicts_changed(void)
{
    int64_t now_ms = clock_ms();

    LIST_EACH (&open_tables, l) {
        struct dict *d = LIST_OF(l, struct dict, open_tables);
        if (changed(d, now_ms))
            return d->spec;
    }
    return NULL;
}

/* Opening. */

static struct dict *find_open(const char *spec, unsigned flags)
{
    LIST_EACH (&open_tables, l) {
        struct dict *d = LIST_OF(l, struct dict, open_tables);
        if (d->flags == flags && strcmp(d->spec, spec) == 0)
            return d;
    }
    return NULL;
}

static int split_spec(const char *spec, const struct dict_type **type, const char **arg,
                      struct why *why)
{
    const char *name = spec;

    if (str_starts(strz(name), STR("proxy:")))
        name += 6;
    const char *colon = strchr(name, ':');
    if (colon == NULL || colon == name || colon[1] == 0)
        return why_set(why, "4.3.5",
                       "open dictionary: expecting \"type:name\" form instead of \"%s\"", spec);
    *arg = colon + 1;
    *type = type_by_name((struct str){name, (size_t)(colon - name)});
    if (*type == NULL)
        return why_set(why, "4.3.5", "unsupported dictionary type: %.*s", (int)(colon - name),
                       name);
    return 0;
}

int dict_spec_check(const char *spec, struct why *why)
{
    const struct dict_type *type;
    const char *arg;

    return conf_missing_table(strz(spec)) != NULL ? 0 : split_spec(spec, &type, &arg, why);
}

static struct dict *open_new(const char *spec, enum dict_mode mode, unsigned flags, struct why *why)
{
    const struct dict_type *type = NULL;
    const char *arg = NULL;
    struct why own = WHY;
    struct dict *d = NULL;

    if (split_spec(spec, &type, &arg, &own) == 0) {
        if (mode == DICT_REBUILD && (type->can & DICT_WRITES) == 0)
            why_set(&own, "4.3.5",
                    "unsupported dictionary type: %s does not support bulk-mode creation.",
                    type->name);
        else if (mode != DICT_READ && (type->can & DICT_WRITES) == 0 && type->suffix != NULL)
            why_set(&own, "4.3.5", "%s map requires O_RDONLY access mode", spec);
        else
            d = type->open(arg, mode, flags, &own);
    }
    if (d == NULL && (flags & DICT_MAY_FAIL) != 0)
        d = open_unavailable(type, arg, &own);
    if (d == NULL && why != NULL)
        why_copy(why, &own);
    why_free(&own);
    return d;
}

struct dict *dict_open(const char *spec, enum dict_mode mode, unsigned flags, struct why *why)
{
    struct dict *d = mode == DICT_READ ? find_open(spec, flags) : NULL;

    if (d != NULL) {
        d->refs++;
        return d;
    }
    d = open_new(spec, mode, flags, why);
    if (d == NULL)
        return NULL;
    d->spec = mem_dupz(spec);
    d->mode = mode;
    d->flags = flags;
    if (mode == DICT_READ)
        list_add(&open_tables, &d->open_tables);
    return d;
}

void dict_close(struct dict **dict)
{
    struct dict *d = *dict;

    *dict = NULL;
    if (d == NULL || --d->refs > 0)
        return;
    list_drop(&d->open_tables);
    if (d->type->close != NULL)
        d->type->close(d);
    track_end(&d->file);
    buf_free(&d->folded);
    free(d->spec);
    free(d);
}

/* Lookup. */

void dict_fold(struct str key, struct buf *out)
{
    if (conf.smtputf8_enable) {
        utf8_fold(key, out);
    } else {
        size_t before = out->n;
        buf_add(out, key);
        str_lower(out->p + before, out->n - before);
    }
}

static const char *fold(struct dict *d, const char *key)
{
    if ((d->flags & DICT_FOLD) == 0 || (d->can & DICT_MATCHES) != 0)
        return key;
    buf_clear(&d->folded);
    dict_fold(strz(key), &d->folded);
    return buf_ok(&d->folded) ? d->folded.p : key;
}

static enum dict_answer cannot(const struct dict *d, const char *what, struct why *why)
{
    why_set(why, "4.3.5", "table %s: %s operation is not supported", d->spec, what);
    return DICT_FAILED;
}

static enum dict_answer too_long(const struct dict *d, const char *what, const char *key,
                                 struct why *why)
{
    why_set(why, "4.3.5", "table %s: %s of \"%.100s\" is too long", d->spec, what, key);
    return DICT_FAILED;
}

/* The value is a file's contents in base64, as postmap -F stored it. */
static enum dict_answer file_value(struct dict *d, const char *key, struct buf *value,
                                   struct why *why)
{
    struct buf plain = BUF(value->max);

    if (!decode_base64(&plain, buf_str(value)) || !buf_ok(&plain)) {
        why_set(why, "4.3.5", "table %s: key %.100s: malformed BASE64 value: %.30s", d->spec, key,
                value->p);
        buf_free(&plain);
        return DICT_FAILED;
    }
    buf_set(value, buf_str(&plain));
    buf_free(&plain);
    return DICT_FOUND;
}

enum dict_answer dict_find(struct dict *d, const char *key, struct buf *value, struct why *why)
{
    buf_clear(value);
    if (*key == 0)
        return DICT_NONE;
    if (d->type->find == NULL)
        return cannot(d, "lookup", why);
    if (strlen(key) > KEY_LIMIT) /* which no table can hold, but a pattern can match */
        return (d->type->can & DICT_MATCHES) != 0 ? too_long(d, "key", key, why) : DICT_NONE;
    enum dict_answer answer = d->type->find(d, fold(d, key), value, why);
    if (answer == DICT_FOUND && !buf_ok(value))
        return too_long(d, "value", key, why);
    if (answer == DICT_FOUND && (d->flags & DICT_FILE_VALUES) != 0)
        return file_value(d, key, value, why);
    return answer;
}

enum dict_answer dict_find_part(struct dict *d, const char *key, struct buf *value, struct why *why)
{
    if ((d->can & DICT_MATCHES) == 0)
        return dict_find(d, key, value, why);
    buf_clear(value);
    return DICT_NONE;
}

enum dict_answer dict_put(struct dict *d, const char *key, const char *value, struct why *why)
{
    if (d->type->put == NULL)
        return cannot(d, "update", why);
    return strlen(key) > KEY_LIMIT ? too_long(d, "key", key, why)
                                   : d->type->put(d, fold(d, key), value, why);
}

enum dict_answer dict_drop(struct dict *d, const char *key, struct why *why)
{
    if (d->type->drop == NULL)
        return cannot(d, "delete", why);
    return strlen(key) > KEY_LIMIT ? DICT_NONE : d->type->drop(d, fold(d, key), why);
}

/* One value that is no file's contents does not hide the others. */
static enum dict_answer next_value(struct dict *d, struct buf *key, struct buf *value,
                                   struct why *why)
{
    for (;;) {
        buf_clear(key);
        buf_clear(value);
        enum dict_answer answer = d->type->next(d, key, value, why);
        if (answer == DICT_FOUND && (!buf_ok(key) || !buf_ok(value)))
            return too_long(d, buf_ok(key) ? "value" : "key", key->p, why);
        if (answer != DICT_FOUND || (d->flags & DICT_FILE_VALUES) == 0 ||
            file_value(d, key->p, value, why) == DICT_FOUND)
            return answer;
        msg_warn("%s", why_text(why));
        why_free(why);
    }
}

enum dict_answer dict_next(struct dict *d, struct buf *key, struct buf *value, struct why *why)
{
    if (d->type->next == NULL)
        return cannot(d, "sequence", why);
    return next_value(d, key, value, why);
}

/* Who asks for the values of a table of files, and gets what is in them. */
struct file_reader {
    struct dict *d;
    dict_value_fn *fn;
    void *arg;
};

static void decoded(void *arg, const char *where, const char *value)
{
    struct file_reader *r = arg;
    struct buf text = BUF(DICT_VALUE_LIMIT); /* asked: by decode_base64, which fails */
    struct why why = WHY;

    buf_addz(&text, value);
    if (file_value(r->d, where, &text, &why) == DICT_FOUND)
        r->fn(r->arg, where, text.p);
    else
        msg_warn("%s", why_text(&why));
    why_free(&why);
    buf_free(&text);
}

static void own_values(struct dict *d, dict_value_fn *fn, void *arg)
{
    struct file_reader reader = {d, fn, arg};

    if ((d->flags & DICT_FILE_VALUES) != 0)
        d->type->values(d, decoded, &reader);
    else
        d->type->values(d, fn, arg);
}

void dict_values(struct dict *d, dict_value_fn *fn, void *arg)
{
    struct buf key = BUF(KEY_LIMIT), value = BUF(DICT_VALUE_LIMIT); /* asked: by next_value */
    struct why why = WHY;

    if (d->type->values != NULL)
        own_values(d, fn, arg);
    else if (d->type->next != NULL)
        while (next_value(d, &key, &value, &why) == DICT_FOUND)
            fn(arg, key.p, value.p);
    buf_free(&key);
    buf_free(&value);
    why_free(&why);
}

int dict_commit(struct dict *d, struct why *why)
{
    return d->type->commit == NULL ? 0 : d->type->commit(d, why);
}
