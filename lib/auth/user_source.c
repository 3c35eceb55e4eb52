/*
 * The kinds of tables with users.
 */
#include "auth/user_source.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"

struct kind {
    const char *name;
    void *(*open)(const char *name, passwd_open_fn *again, struct why *why);
    void (*close)(void *table);
    /* Brings it up to date and looks. The slices of e are valid until the next wait. */
    enum user_found (*find)(void *table, struct str name, struct passwd_entry *e, struct why *why);
    void (*tell_problems)(const void *table);
    int (*enforced)(const void *table, const char *accepted, struct why *why);
};

struct user_source {
    const struct kind *kind;
    char *spec;
    void *table;
};

/* ---- passwd-file:/path */

static void *open_file(const char *name, passwd_open_fn *again, struct why *why)
{
    if (*name != '/') {
        why_set(why, "4.3.5", "passwd-file:%s: the path must begin with /", name);
        return NULL;
    }
    return passwd_file_open(name, again, why);
}

static void close_file(void *table)
{
    struct passwd_file *f = table;

    passwd_file_close(&f);
}

static void tell_problem(const struct passwd_file *f, unsigned line, const char *problem)
{
    msg_warn("%s, line %u: nobody can log in with it: %s", passwd_file_path(f), line, problem);
}

static enum user_found find_in_file(void *table, struct str name, struct passwd_entry *e,
                                    struct why *why)
{
    struct passwd_file *f = table;
    int r = passwd_file_refresh(f, why); /* waits */

    if (r < 0)
        return USER_LATER;
    if (r > 0) {
        msg_info("%s has changed: read again", passwd_file_path(f));
        passwd_file_problems(f, tell_problem);
    }
    return passwd_file_find(f, name, e) ? USER_FOUND : USER_UNKNOWN;
}

static void tell_file_problems(const void *table)
{
    passwd_file_problems(table, tell_problem);
}

static int file_enforced(const void *table, const char *accepted, struct why *why)
{
    struct str field;
    unsigned line = passwd_file_unenforced(table, accepted, &field);

    if (line == 0)
        return 0;
    return why_set(why, "4.3.5",
                   "%s, line %u: %.*s would not be enforced; remove it, or name it in "
                   "pombal_accept_missing",
                   passwd_file_path(table), line, (int)field.n, field.p);
}

static const struct kind kinds[] = {
    {"passwd-file", open_file, close_file, find_in_file, tell_file_problems, file_enforced},
};

/* ---- all kinds */

static const struct kind *find_kind(struct str name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (str_eqz(name, kinds[i].name))
            return &kinds[i];
    return NULL;
}

struct user_source *user_source_open(struct str spec, passwd_open_fn *again, struct why *why)
{
    struct user_source *s = mem_new(sizeof *s);
    ptrdiff_t colon = str_find(spec, ':');

    s->spec = mem_dup(spec.p, spec.n);
    s->kind = find_kind(colon < 0 ? spec : str_upto(spec, (size_t)colon));
    if (s->kind == NULL || colon < 0)
        why_set(why, "4.3.5",
                "\"%s\" is not a table of users that this suite has: passwd-file:/PATH", s->spec);
    else
        s->table = s->kind->open(s->spec + colon + 1, again, why);
    if (s->table == NULL)
        user_source_close(&s);
    return s;
}

void user_source_close(struct user_source **s)
{
    if (*s == NULL)
        return;
    if ((*s)->table != NULL)
        (*s)->kind->close((*s)->table);
    free((*s)->spec);
    free(*s);
    *s = NULL;
}

const char *user_source_spec(const struct user_source *s)
{
    return s->spec;
}

const char *user_source_kind(const struct user_source *s)
{
    return s->kind->name;
}

const char *user_source_path(const struct user_source *s)
{
    return strchr(s->spec, ':') + 1;
}

static void keep(struct str *text, struct arena *mem)
{
    if (text->p != NULL)
        *text = arena_str(mem, *text);
}

enum user_found user_source_find(struct user_source *s, struct str name, struct arena *mem,
                                 struct passwd_entry *e, struct why *why)
{
    enum user_found found = s->kind->find(s->table, name, e, why);

    if (found != USER_FOUND)
        return found;
    keep(&e->name, mem);
    keep(&e->password, mem);
    keep(&e->home, mem);
    keep(&e->mail, mem);
    keep(&e->quota_rule, mem);
    keep(&e->allow_nets, mem);
    keep(&e->nologin, mem);
    return USER_FOUND;
}

void user_source_tell_problems(const struct user_source *s)
{
    s->kind->tell_problems(s->table);
}

int user_source_enforced(const struct user_source *s, const char *accepted, struct why *why)
{
    return s->kind->enforced(s->table, accepted, why);
}
