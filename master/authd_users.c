/*
 * The tables of users: a name is looked for in the order of auth_passdb and auth_userdb.
 */
#include "auth/user.h"
#include "base/arena.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "service/jail.h"

#include "authd.h"

struct sources {
    VEC(struct user_source *) at;
};

static struct {
    struct sources all, passdb, userdb;
    struct user_rules rules;
} users;

/* The same table may stand in both lists: it is opened once. */
static struct user_source *open_source(struct str spec, const char *parameter)
{
    struct why why = WHY;

    VEC_EACH (&users.all.at, s)
        if (str_eqz(spec, user_source_spec(*s)))
            return *s;
    struct user_source *s = user_source_open(spec, reader_open, &why);
    if (s == NULL || user_source_enforced(s, conf.pombal_accept_missing, &why) < 0)
        msg_fatal("%s: %s", parameter, why_text(&why));
    user_source_tell_problems(s);
    reader_allow(user_source_path(s));
    *VEC_ADD(&users.all.at) = s;
    return s;
}

static void open_list(struct sources *list, const char *parameter, const char *specs)
{
    struct str rest = strz(specs);

    for (struct str spec; str_word(&rest, ", \t\r\n", &spec);)
        *VEC_ADD(&list->at) = open_source(spec, parameter);
}

void users_open(void)
{
    struct why why = WHY;

    open_list(&users.passdb, "auth_passdb", conf.auth_passdb);
    open_list(&users.userdb, "auth_userdb", conf.auth_userdb);
    if (users.passdb.at.n == 0)
        msg_warn("auth_passdb is empty: nobody can log in");
    if (user_rules_load(&users.rules, &why) < 0)
        msg_fatal("%s", why_text(&why));
}

void users_paths(void)
{
    VEC_EACH (&users.all.at, s)
        jail_read_file(user_source_path(*s));
}

/* (waits) The first that knows the name; one that cannot say now ends the search. */
static enum user_found authd_users_find(struct sources *list, struct str name, struct arena *mem,
                                        struct passwd_entry *e, const char **kind, struct why *why)
{
    VEC_EACH (&list->at, s) {
        enum user_found found = user_source_find(*s, name, mem, e, why);
        *kind = user_source_kind(*s);
        if (found != USER_UNKNOWN)
            return found;
    }
    return USER_UNKNOWN;
}

enum user_found users_password(struct str name, struct arena *mem, struct passwd_entry *e,
                               const char **kind, struct why *why)
{
    *kind = "auth";
    return authd_users_find(&users.passdb, name, mem, e, kind, why);
}

enum user_found users_find(struct str name, struct arena *mem, struct user *u, struct why *why)
{
    struct passwd_entry e;
    const char *kind;
    enum user_found found = authd_users_find(&users.userdb, name, mem, &e, &kind, why);

    if (found == USER_UNKNOWN)
        why_set(why, "5.1.1", "not in auth_userdb");
    if (found != USER_FOUND)
        return found;
    *u = (struct user){.name = arena_strz(mem, name),
                       .uid = e.uid,
                       .gid = e.gid,
                       .home = arena_strz(mem, e.home),
                       .mail = arena_strz(mem, e.mail),
                       .quota_rule = arena_strz(mem, e.quota_rule)};
    return user_complete(u, &users.rules, mem, why) < 0 ? USER_UNKNOWN : USER_FOUND;
}
