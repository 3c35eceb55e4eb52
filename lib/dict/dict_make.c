#include "dict/dict_make.h"

#include <ctype.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "dict/alias_text.h"

enum { FILE_LIMIT = DICT_VALUE_LIMIT / 4 * 3 };

static bool is_comment(struct str line)
{
    struct str text = str_trim(line);
    return text.n == 0 || text.p[0] == '#' || text.p[0] == 0;
}

static void end_line(struct buf *line, int number, logical_line_fn *fn, void *arg)
{
    if (line->n > 0)
        fn(arg, (struct str){line->p, strnlen(line->p, line->n)}, number);
    buf_clear(line);
}

void logical_lines(struct str text, logical_line_fn *fn, void *arg)
{
    /* fits: physical lines of text. None is too long: an entry that is left out is mail that goes
     * elsewhere, or that nobody refuses */
    struct buf line = BUF(text.n);
    struct str physical;
    int number = 0, first = 0;

    while (str_split(&text, '\n', &physical)) {
        number++;
        if (is_comment(physical))
            continue;
        if (!isspace((unsigned char)physical.p[0]) || line.n == 0) {
            end_line(&line, first, fn, arg);
            first = number;
        }
        buf_add(&line, physical);
    }
    end_line(&line, first, fn, arg);
    buf_free(&line);
}

/* The key ends at the first blank that is not inside quotes; it keeps its quotes. */
static int split_map_line(struct str line, struct str *key, struct str *value, struct why *why)
{
    bool quoted = false;
    size_t i;

    for (i = 0; i < line.n && (quoted || !isspace((unsigned char)line.p[i])); i++) {
        if (line.p[i] == '\\' && i + 1 < line.n)
            i++;
        else if (line.p[i] == '"')
            quoted = !quoted;
    }
    if (quoted)
        return why_set(why, "4.3.5", "unbalanced '\"' in '%.*s' -- ignoring this line", (int)line.n,
                       line.p);
    *key = str_upto(line, i);
    *value = str_trim(str_from(line, i));
    return value->n > 0 ? 0 : why_set(why, "4.3.5", "expected format: key whitespace value");
}

int source_entry(enum source kind, struct str line, struct buf *key, struct buf *value,
                 struct why *why)
{
    struct str k, v;

    why_clear(why);
    buf_clear(key);
    buf_clear(value);
    line = str_rtrim(line);
    if (conf.smtputf8_enable && !utf8_valid(line))
        return why_set(why, "4.3.5", "non-UTF-8 input \"%.*s\" -- ignoring this line", (int)line.n,
                       line.p);
    if (kind == SOURCE_ALIASES)
        return alias_entry(line, key, value, why);
    if (split_map_line(line, &k, &v, why) < 0)
        return -1;
    buf_add(key, k);
    buf_add(value, v);
    if (!buf_ok(key) || !buf_ok(value))
        return why_set(why, "4.3.5", "entry is too long");
    if (key->p[key->n - 1] == ':')
        why_set(why, "4.3.5", "record is in \"key: value\" format; is this an alias file?");
    return 0;
}

struct reading {
    enum source kind;
    const char *path;
    source_entry_fn *fn;
    void *arg;
    struct buf key, value;
    struct why why;
    bool ended;
};

static void read_line(void *arg, struct str line, int number)
{
    struct reading *r = arg;

    if (r->ended)
        return;
    if (isspace((unsigned char)line.p[0])) {
        struct str shown = str_rtrim(str_upto(line, 30));
        msg_warn("%s: logical line must not start with whitespace: \"%.*s\"", r->path, (int)shown.n,
                 shown.p);
        return;
    }
    int status = source_entry(r->kind, line, &r->key, &r->value, &r->why);
    if (r->why.code[0] != 0)
        msg_warn("%s, line %d: %s", r->path, number, why_text(&r->why));
    if (status == 0)
        r->ended = !r->fn(r->arg, r->key.p, r->value.p, number);
}

bool source_read(enum source kind, const char *path, struct str text, source_entry_fn *fn,
                 void *arg)
{
    /* fits: parts of a line, at worst with quotes and all letters escaped */
    struct reading r = {.kind = kind,
                        .path = path,
                        .fn = fn,
                        .arg = arg,
                        .key = BUF(4 * text.n + 16), /* fits: see above */
                        .value = BUF(4 * text.n + 16), /* fits: see above */
                        .why = WHY};

    logical_lines(text, read_line, &r);
    buf_free(&r.key);
    buf_free(&r.value);
    why_free(&r.why);
    return !r.ended;
}

int dict_file_value(const char *names, struct buf *base64, struct why *why)
{
    struct buf all = BUF(FILE_LIMIT), one = BUF(FILE_LIMIT);
    struct str rest = strz(names), name;
    int status = 0;

    while (status == 0 && str_word(&rest, ", \t\r\n", &name)) {
        struct buf path = BUF(8192);
        buf_add(&path, name);
        buf_clear(&one);
        if (all.n > 0)
            buf_addc(&all, '\n');
        status = buf_ok(&path) ? file_read(path.p, &one, why)
                               : why_set(why, "4.3.5", "%.100s...: the name is too long", path.p);
        buf_add(&all, buf_str(&one));
        buf_free(&path);
    }
    if (status == 0 && !buf_ok(&all))
        status = why_set(why, "4.3.5", "%s: too large for a table value", names);
    else if (status == 0 && all.n == 0)
        status = why_set(why, "4.3.5", "empty pathname list or empty files: \"%s\"", names);
    if (status == 0)
        encode_base64(base64, buf_str(&all));
    if (status == 0 && !buf_ok(base64))
        status = why_set(why, "4.3.5", "%s: too large for a table value", names);
    buf_free(&one);
    buf_free(&all);
    return status;
}

struct making {
    struct dict *d;
    const char *path;
    struct why *why;
    int status;
};

static bool make_entry(void *arg, const char *key, const char *value, int number)
{
    struct making *m = arg;
    /* asked: by dict_file_value */
    struct buf file = BUF(DICT_VALUE_LIMIT);

    if ((m->d->flags & DICT_FILE_VALUES) != 0) {
        if (dict_file_value(value, &file, m->why) < 0) {
            msg_warn("%s, line %d: %s", m->path, number, why_text(m->why));
            buf_free(&file);
            return true;
        }
        value = file.p;
    }
    if (dict_put(m->d, key, value, m->why) == DICT_FAILED)
        m->status = -1;
    buf_free(&file);
    return m->status == 0;
}

/* What other readers of aliases.db look for. */
static void sign(struct making *m)
{
    struct buf now = BUF_TEXT(30);

    buf_addf(&now, "%lld", (long long)clock_wall());
    if (make_entry(m, "@", "@", 0) && make_entry(m, "YP_LAST_MODIFIED", now.p, 0))
        make_entry(m, "YP_MASTER_NAME", conf.myhostname, 0);
    buf_free(&now);
}

int dict_make(struct dict *d, enum source kind, const char *path, struct str text, struct why *why)
{
    struct making m = {d, path, why, 0};

    if (source_read(kind, path, text, make_entry, &m) && kind == SOURCE_ALIASES) {
        unsigned flags = d->flags;
        d->flags &= ~(unsigned)(DICT_FOLD | DICT_FILE_VALUES);
        sign(&m);
        d->flags = flags;
    }
    return m.status;
}
