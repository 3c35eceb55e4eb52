/*
 * Changing main.cf in place: comments, order and what is not named stay as they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_lines.h"

#include "postconf.h"

/* One parameter to change. */
struct change {
    struct str name, value;
    unsigned seen; /* how often main.cf has it */
};

struct editor {
    enum edit edit;
    VEC(struct change) changes;
    struct buf out;
    struct change *current; /* of the logical line being read, or null */
};

/* Renames over the file that path leads to, so a symbolic link stays one; owner and mode stay. */
void postconf_replace_file(const char *path, const struct buf *text)
{
    struct why why = WHY;
    struct stat st;
    char *real = realpath(path, NULL);

    if (real == NULL || stat(real, &st) < 0)
        postconf_fatal("open %s: %s", path, strerror(errno));
    if (file_replace(real, buf_str(text), st.st_mode & 07777, &why) < 0)
        postconf_fatal("%s", why_text(&why));
    if (geteuid() == 0 && chown(real, st.st_uid, st.st_gid) < 0)
        postconf_warn("chown %s: %s", real, strerror(errno));
    free(real);
}

static void add_set(struct editor *e, const char *arg)
{
    struct change *c = VEC_ADD(&e->changes);

    if (arg[0] == '#')
        postconf_fatal("-e, -X, or -# accepts no comment input");
    if (strchr(arg, '\n') != NULL)
        postconf_fatal("-e, -X, or -# accepts no multi-line input");
    const char *wrong = conf_split_setting(strz(arg), &c->name, &c->value);
    if (wrong != NULL)
        postconf_fatal("%s: \"%s\"", wrong, arg);
    for (size_t i = 0; i + 1 < e->changes.n; i++)
        if (str_eq(e->changes.at[i].name, c->name)) {
            e->changes.at[i].value = c->value;
            e->changes.n--;
            return;
        }
}

static void add_name(struct editor *e, const char *arg)
{
    if (arg[0] == '#')
        postconf_fatal("-e, -X, or -# accepts no comment input");
    if (arg[strcspn(arg, "= \t\r\n")] != '\0')
        postconf_fatal("-X or -# requires parameter names without value");
    VEC_ADD(&e->changes)->name = strz(arg);
}

static struct change *change_of(struct editor *e, struct str line)
{
    size_t n = 0;

    while (n < line.n && strchr("= \t\r\n", line.p[n]) == NULL)
        n++;
    VEC_EACH (&e->changes, c) {
        if (str_eq(c->name, str_upto(line, n)))
            return c;
    }
    return NULL;
}

static void put_setting(struct editor *e, const struct change *c)
{
    buf_addf(&e->out, "%.*s = %.*s\n", (int)c->name.n, c->name.p, (int)c->value.n, c->value.p);
}

static void put_line(struct editor *e, const char *before, struct str line)
{
    buf_addz(&e->out, before);
    buf_add(&e->out, line);
    buf_addc(&e->out, '\n');
}

static void edit_line(struct editor *e, struct str line)
{
    struct str text = str_trim(line);
    bool continues = line.n > 0 && strchr(" \t\r\v\f", line.p[0]) != NULL;

    if (text.n == 0 || text.p[0] == '#') {
        put_line(e, "", line);
        return;
    }
    if (!continues) {
        e->current = change_of(e, line);
        if (e->current != NULL && e->edit == EDIT_SET)
            put_setting(e, e->current);
        if (e->current != NULL && ++e->current->seen == 2)
            postconf_warn("%s/main.cf: multiple entries for \"%.*s\"", conf_dir(),
                          (int)e->current->name.n, e->current->name.p);
    }
    if (e->current == NULL)
        put_line(e, "", line);
    else if (e->edit == EDIT_COMMENT)
        put_line(e, "#", line);
}

static void edit_text(struct editor *e, struct str text)
{
    while (text.n > 0) {
        ptrdiff_t end = str_find(text, '\n');
        edit_line(e, end < 0 ? text : str_upto(text, (size_t)end));
        text = str_from(text, end < 0 ? text.n : (size_t)end + 1);
    }
    VEC_EACH (&e->changes, c) {
        if (c->seen == 0 && e->edit == EDIT_SET)
            put_setting(e, c);
    }
}

void postconf_lock(void)
{
    int fd = open(conf_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        postconf_fatal("lock %s: %s", conf_dir(), strerror(errno));
}

void postconf_edit_main(const struct postconf *p, char **args, int n)
{
    struct editor e = {.edit = p->edit, .out = BUF(20 << 20)};
    /* asked: by file_read; path is left out whole and no file */
    struct buf path = BUF(5000), text = BUF(16 << 20);
    struct why why = WHY;

    for (int i = 0; i < n; i++)
        if (p->edit == EDIT_SET)
            add_set(&e, args[i]);
        else
            add_name(&e, args[i]);
    buf_addf(&path, "%s/main.cf", conf_dir());
    postconf_lock();
    if (file_read(path.p, &text, &why) < 0)
        postconf_fatal("%s", why_text(&why));
    edit_text(&e, buf_str(&text));
    postconf_fits(&e.out);
    if (!str_eq(buf_str(&e.out), buf_str(&text)))
        postconf_replace_file(path.p, &e.out);
    buf_free(&e.out);
    buf_free(&text);
    buf_free(&path);
    VEC_FREE(&e.changes);
}
