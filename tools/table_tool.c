#include "table_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"

enum { SOURCE_LIMIT = 1 << 30 };

static void usage(const struct table_tool *t)
{
    msg_fatal("usage: %s %s", t->name, t->usage);
}

static void option(struct table_tool *t, int letter)
{
    switch (letter) {
    case 'b':
        t->body = true;
        return;
    case 'c':
        t->config = optarg;
        return;
    case 'd':
    case 'q':
        if (t->query != NULL || t->drop != NULL || t->walk)
            msg_fatal("specify only one of -s -q or -d");
        *(letter == 'd' ? &t->drop : &t->query) = optarg;
        return;
    case 'f':
        t->read_flags &= ~(unsigned)DICT_FOLD;
        t->write_flags &= ~(unsigned)DICT_FOLD;
        return;
    case 'F':
        t->read_flags |= DICT_FILE_VALUES;
        t->write_flags |= DICT_FILE_VALUES;
        return;
    case 'h':
        t->headers = true;
        return;
    case 'i':
        t->incremental = true;
        return;
    case 'n':
        t->write_flags |= DICT_KEY_BARE;
        t->write_flags &= ~(unsigned)DICT_KEY_NUL;
        return;
    case 'N':
        t->write_flags |= DICT_KEY_NUL;
        t->write_flags &= ~(unsigned)DICT_KEY_BARE;
        return;
    case 'o':
        t->keep_root = true;
        return;
    case 'p':
        t->write_flags &= ~(unsigned)DICT_SOURCE_MODE;
        return;
    case 'r':
    case 'w':
        t->write_flags &=
            ~(unsigned)(DICT_WARN_DUPLICATE | DICT_REPLACE_DUPLICATE | DICT_IGNORE_DUPLICATE);
        t->write_flags |= letter == 'r' ? DICT_REPLACE_DUPLICATE : DICT_IGNORE_DUPLICATE;
        return;
    case 's':
        if (t->query != NULL || t->drop != NULL)
            msg_fatal("specify only one of -s -q or -d");
        t->walk = true;
        return;
    case 'm': /* without effect: -h and -b see the message as a whole */
        t->mime = true;
        return;
    case 'u':
    case 'U':
        return;
    case 'v':
        msg_debug_topics("all");
        return;
    default:
        usage(t);
    }
}

int table_tool_options(struct table_tool *t, int argc, char **argv)
{
    struct why why = WHY;

    msg_open(t->name);
    argv[0] = (char *)(uintptr_t)t->name; /* getopt says it */
    t->read_flags = DICT_FOLD;
    t->write_flags = DICT_FOLD | DICT_WARN_DUPLICATE | DICT_SOURCE_MODE;
    for (int letter; (letter = getopt(argc, argv, t->options)) != -1;)
        option(t, letter);
    if ((t->headers || t->body || t->mime) && (t->query == NULL || strcmp(t->query, "-") != 0))
        msg_fatal("specify -b -h or -m only with \"-q -\"");
    if (conf_load(t->config, t->name, NULL, &why) < 0)
        msg_fatal("%s", why_text(&why));
    why_free(&why);
    return optind;
}

/* "file" alone is of the default type. */
static char *full_spec(const char *table)
{
    struct buf spec = BUF(strlen(conf.default_database_type) + 1 + strlen(table)); /* fits: both */

    if (strchr(table, ':') == NULL)
        buf_addf(&spec, "%s:", conf.default_database_type);
    buf_addz(&spec, table);
    return buf_take(&spec);
}

static struct dict *open_table(const char *table, enum dict_mode mode, unsigned flags)
{
    struct why why = WHY;
    char *spec = full_spec(table);
    struct dict *d = dict_open(spec, mode, flags, &why);

    if (d == NULL)
        msg_fatal("%s", why_text(&why));
    free(spec);
    why_free(&why);
    return d;
}

/*
 * Root makes a user's table as that user: what stands in that user's directories could else be
 * turned against root. Where the user may not write, nobody but root could have set a trap.
 */
static void become_owner(const struct table_tool *t, const struct stat *st, const char *path)
{
    struct buf copy = BUF(strlen(path)); /* fits: the same */

    if (t->keep_root || geteuid() != 0 || !S_ISREG(st->st_mode) ||
        (st->st_uid == 0 && st->st_gid == getegid()))
        return;
    if (setegid(st->st_gid) < 0 || seteuid(st->st_uid) < 0)
        msg_fatal("cannot become the owner of %s: %s", path, strerror(errno));
    buf_addz(&copy, path);
    if (faccessat(AT_FDCWD, dirname(copy.p), W_OK, AT_EACCESS) < 0 &&
        (seteuid(0) < 0 || setegid(getgid()) < 0))
        msg_fatal("cannot become root again: %s", strerror(errno));
    buf_free(&copy);
}

static void become_root(void)
{
    if (getuid() == 0 && (seteuid(0) < 0 || setegid(getgid()) < 0))
        msg_fatal("cannot become root again: %s", strerror(errno));
}

static void read_source(const struct table_tool *t, const char *path, struct buf *text)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        msg_fatal("open %s: %s", path, strerror(errno));
    if (file_read_fd(fd, text) < 0)
        msg_fatal("read %s: %s", path, strerror(errno));
    close(fd);
    become_owner(t, &st, path);
}

static void table_tool_fill(const struct table_tool *t, struct dict *d, const char *path,
                            const struct buf *text)
{
    struct why why = WHY;

    if (dict_make(d, t->kind, path, buf_str(text), &why) < 0 || dict_commit(d, &why) < 0) {
        dict_close(&d); /* removes the half-made one */
        msg_fatal("%s", why_text(&why));
    }
    why_free(&why);
}

void table_tool_make(struct table_tool *t, const char *table)
{
    /* asked: by read_source */
    struct buf text = BUF(SOURCE_LIMIT);
    const char *colon = strchr(table, ':');
    const char *path = colon == NULL ? table : colon + 1;

    read_source(t, path, &text);
    struct dict *d = open_table(table, DICT_REBUILD, t->write_flags);
    table_tool_fill(t, d, path, &text);
    dict_close(&d);
    become_root();
    buf_free(&text);
}

static void add_from_stdin(struct table_tool *t, const char *table)
{
    /* asked: by read_source */
    struct buf text = BUF(SOURCE_LIMIT);

    if (file_read_fd(STDIN_FILENO, &text) < 0)
        msg_fatal("read stdin: %s", strerror(errno));
    struct dict *d = open_table(table, DICT_UPDATE, t->write_flags | DICT_CREATE);
    table_tool_fill(t, d, "stdin", &text);
    dict_close(&d);
    buf_free(&text);
}

/* The first table that knows the key answers. */
static bool table_tool_find(struct dict **tables, int n, const char *key, struct buf *value)
{
    struct why why = WHY;
    bool found = false;

    for (int i = 0; i < n && !found; i++) {
        enum dict_answer answer = dict_find(tables[i], key, value, &why);
        if (answer == DICT_FAILED)
            msg_fatal("table %s: query error: %s", tables[i]->spec, why_text(&why));
        found = answer == DICT_FOUND;
        if (found && value->n == 0)
            msg_warn("table %s: key %s: empty string result is not allowed", tables[i]->spec, key);
    }
    why_free(&why);
    return found;
}

/* As the source is written. */
static const char *separator(const struct table_tool *t)
{
    return t->kind == SOURCE_ALIASES ? ":" : "";
}

static bool show(const struct table_tool *t, struct dict **tables, int n, const char *key)
{
    struct buf value = BUF(DICT_VALUE_LIMIT); /* asked: by dict_find */
    bool found = table_tool_find(tables, n, key, &value);

    if (found)
        printf("%s%s\t%s\n", key, separator(t), value.p);
    buf_free(&value);
    return found;
}

struct asking {
    struct dict **tables;
    int n;
    bool found;
};

/* A message on standard input: headers with their continuation lines, then the body's lines. */
static void show_message(const struct table_tool *t, struct asking *a, struct str text)
{
    struct buf key = BUF(text.n); /* fits: a part of text */
    struct str line;
    bool in_headers = true;

    while (str_split(&text, '\n', &line)) {
        if (text.p == NULL && line.n == 0)
            break;
        bool goes_on =
            in_headers && key.n > 0 && line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
        if (key.n > 0 && !goes_on) {
            a->found |= show(t, a->tables, a->n, key.p);
            buf_clear(&key);
        }
        if (in_headers && line.n == 0) {
            in_headers = false;
            continue;
        }
        if (!(in_headers ? t->headers : t->body))
            continue;
        if (goes_on)
            buf_addc(&key, '\n');
        buf_add(&key, line);
    }
    if (key.n > 0)
        a->found |= show(t, a->tables, a->n, key.p);
    buf_free(&key);
}

static void show_keys(const struct table_tool *t, struct asking *a, struct str text)
{
    struct buf key = BUF(text.n); /* fits: a part of text */
    struct str line;

    while (str_split(&text, '\n', &line)) {
        buf_set(&key, line);
        if (text.p != NULL || line.n > 0)
            a->found |= show(t, a->tables, a->n, key.p);
    }
    buf_free(&key);
}

static bool ask_all(const struct table_tool *t, struct asking *a)
{
    /* asked: by read_source */
    struct buf text = BUF(SOURCE_LIMIT);

    if (strcmp(t->query, "-") != 0) {
        a->found = table_tool_find(a->tables, a->n, t->query, &text);
        if (a->found)
            printf("%s\n", text.p);
    } else if (file_read_fd(STDIN_FILENO, &text) < 0)
        msg_fatal("read stdin: %s", strerror(errno));
    else if (t->headers || t->body)
        show_message(t, a, buf_str(&text));
    else
        show_keys(t, a, buf_str(&text));
    buf_free(&text);
    return a->found;
}

static int ask(const struct table_tool *t, int tables, char **table)
{
    struct asking a = {mem_array((size_t)tables, sizeof *a.tables), tables, false};

    for (int i = 0; i < tables; i++)
        a.tables[i] = open_table(table[i], DICT_READ, t->read_flags);
    ask_all(t, &a);
    for (int i = 0; i < tables; i++)
        dict_close(&a.tables[i]);
    free(a.tables);
    if (fflush(stdout) != 0)
        msg_fatal("write error: %s", strerror(errno));
    return a.found ? 0 : 1;
}

static bool drop_key(struct dict *d, const char *key)
{
    struct why why = WHY;
    enum dict_answer answer = dict_drop(d, key, &why);

    if (answer == DICT_FAILED)
        msg_fatal("%s", why_text(&why));
    why_free(&why);
    return answer == DICT_FOUND;
}

static bool drop_from(const struct table_tool *t, const char *table, struct str keys)
{
    struct dict *d = open_table(table, DICT_UPDATE, t->write_flags);
    struct buf key = BUF(keys.n); /* fits: a part of keys */
    struct why why = WHY;
    struct str line;
    bool found = false;

    while (str_split(&keys, '\n', &line)) {
        buf_set(&key, line);
        if (line.n > 0)
            found |= drop_key(d, key.p);
    }
    if (found && dict_commit(d, &why) < 0)
        msg_fatal("%s", why_text(&why));
    dict_close(&d);
    buf_free(&key);
    why_free(&why);
    return found;
}

static int drop(const struct table_tool *t, int tables, char **table)
{
    struct buf keys = BUF(SOURCE_LIMIT);
    bool found = false;

    if (strcmp(t->drop, "-") != 0)
        buf_addz(&keys, t->drop);
    else if (file_read_fd(STDIN_FILENO, &keys) < 0)
        msg_fatal("read stdin: %s", strerror(errno));
    for (int i = 0; i < tables; i++)
        found |= drop_from(t, table[i], buf_str(&keys));
    buf_free(&keys);
    return found ? 0 : 1;
}

static void walk(const struct table_tool *t, const char *table)
{
    struct dict *d = open_table(table, DICT_READ, t->read_flags);
    struct buf key = BUF(DICT_VALUE_LIMIT), value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    enum dict_answer answer;

    while ((answer = dict_next(d, &key, &value, &why)) == DICT_FOUND) {
        if (key.n == 0)
            msg_warn("table %s: empty lookup key value is not allowed", d->spec);
        else if (value.n == 0)
            msg_warn("table %s: key %s: empty string value is not allowed", d->spec, key.p);
        printf("%s%s\t%s\n", key.p, separator(t), value.p);
    }
    if (answer == DICT_FAILED)
        msg_fatal("%s", why_text(&why));
    dict_close(&d);
    buf_free(&key);
    buf_free(&value);
    why_free(&why);
}

int table_tool_run(struct table_tool *t, int tables, char **table)
{
    if (tables == 0)
        usage(t);
    if (t->query != NULL)
        return ask(t, tables, table);
    if (t->drop != NULL)
        return drop(t, tables, table);
    for (int i = 0; i < tables; i++) {
        if (t->walk)
            walk(t, table[i]);
        else if (t->incremental)
            add_from_stdin(t, table[i]);
        else
            table_tool_make(t, table[i]);
    }
    if (fflush(stdout) != 0)
        msg_fatal("write error: %s", strerror(errno));
    return 0;
}
