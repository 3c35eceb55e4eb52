/*
 * The tables of users: lists of passwd-files. A name is looked for in their order.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "service/jail.h"
#include "service/service.h"

#include "authd.h"

enum { TABLES_MAX = 32 };

static struct {
    struct passwd_file *files[TABLES_MAX];
    size_t n;
    struct list_of {
        struct passwd_file *files[TABLES_MAX];
        size_t n;
    } passdb, userdb;
    struct user_rules rules;
} users;

static struct passwd_file *open_file(struct str path, const char *parameter)
{
    struct why why = WHY;
    struct buf name = BUF(4096);

    for (size_t i = 0; i < users.n; i++)
        if (str_eqz(path, passwd_file_path(users.files[i])))
            return users.files[i];
    if (users.n == TABLES_MAX)
        msg_fatal("%s: more than %d tables", parameter, TABLES_MAX);
    buf_add(&name, path);
    struct passwd_file *f = passwd_file_open(name.p, &why);
    if (f == NULL)
        msg_fatal("%s: %s", parameter, why_text(&why));
    buf_free(&name);
    users.files[users.n++] = f;
    return f;
}

static void open_list(struct list_of *list, const char *parameter, const char *specs)
{
    struct str rest = strz(specs);

    for (struct str spec; str_word(&rest, " \t\r\n,", &spec);) {
        if (!str_starts(spec, STR("passwd-file:/")))
            msg_fatal("%s: \"%.*s\" is not passwd-file:/PATH", parameter, (int)spec.n, spec.p);
        if (list->n == TABLES_MAX)
            msg_fatal("%s: more than %d tables", parameter, TABLES_MAX);
        list->files[list->n++] = open_file(str_from(spec, strlen("passwd-file:")), parameter);
    }
}

void users_open(void)
{
    struct why why = WHY;

    open_list(&users.passdb, "auth_passdb", conf.auth_passdb);
    open_list(&users.userdb, "auth_userdb", conf.auth_userdb);
    if (users.passdb.n == 0)
        msg_warn("auth_passdb is empty: nobody can log in");
    if (user_rules_load(&users.rules, &why) < 0)
        msg_fatal("%s", why_text(&why));
}

/* A file is replaced by renaming, so its directory is what must stay readable. */
void users_paths(void)
{
    for (size_t i = 0; i < users.n; i++) {
        struct str path = strz(passwd_file_path(users.files[i]));
        struct buf dir = BUF(4096);
        buf_add(&dir, str_upto(path, (size_t)str_rfind(path, '/')));
        jail_read(dir.n > 0 ? dir.p : "/");
        buf_free(&dir);
    }
}

/* What cannot be read any more in here is read by the next process, which starts as root. */
static void refresh(struct passwd_file *f)
{
    struct why why = WHY;

    int r = passwd_file_refresh(f, clock_ms(), &why);
    if (r > 0)
        msg_info("%s has changed: read again", passwd_file_path(f));
    else if (r < 0 && why.text.n > 0 && str_search(buf_str(&why.text), STR("ermission")) >= 0)
        service_refresh(passwd_file_path(f));
    else if (r < 0)
        msg_warn("%s", why_text(&why));
    why_free(&why);
}

static bool find(const struct list_of *list, struct str name, struct passwd_entry *e,
                 const struct passwd_file **where)
{
    for (size_t i = 0; i < list->n; i++) {
        refresh(list->files[i]);
        if (passwd_file_find(list->files[i], name, e)) {
            if (where != NULL)
                *where = list->files[i];
            return true;
        }
    }
    return false;
}

enum found users_password(struct str name, struct arena *mem, struct passwd_entry *e,
                          const char **source)
{
    *source = "passwd-file";
    if (users.passdb.n == 0 || !find(&users.passdb, name, e, NULL))
        return USER_UNKNOWN;
    e->name = arena_str(mem, e->name);
    e->password = arena_str(mem, e->password);
    if (e->allow_nets.p != NULL)
        e->allow_nets = arena_str(mem, e->allow_nets);
    if (e->nologin.p != NULL)
        e->nologin = arena_str(mem, e->nologin);
    return USER_FOUND;
}

int users_find(struct str name, struct arena *mem, struct user *u, struct why *why)
{
    struct passwd_entry e;

    if (!find(&users.userdb, name, &e, NULL))
        return why_set(why, "5.1.1", "not in auth_userdb");
    *u = (struct user){.name = arena_strz(mem, name),
                       .uid = e.uid,
                       .gid = e.gid,
                       .home = arena_strz(mem, e.home),
                       .mail = arena_strz(mem, e.mail),
                       .quota_rule = arena_strz(mem, e.quota_rule)};
    return user_complete(u, &users.rules, mem, why);
}
