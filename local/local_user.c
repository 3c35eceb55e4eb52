/*
 * Accounts, from the system's name service. This is the one place of the delivery agents that asks
 * it: local's work begins with nothing else, and a process serves few deliveries at a time.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"

#include "local.h"

enum { ENTRY_LIMIT = 64 * 1024 };

static struct rights default_rights;

static int local_user_fill(struct arena *mem, const struct passwd *pw, struct rights *r)
{
    *r = (struct rights){
        .uid = pw->pw_uid,
        .gid = pw->pw_gid,
        .user = arena_strz(mem, strz(pw->pw_name)),
        .home = arena_strz(mem, strz(pw->pw_dir)),
        .shell = arena_strz(mem, strz(*pw->pw_shell != 0 ? pw->pw_shell : "/bin/sh")),
    };
    return 1;
}

static int answer(struct arena *mem, int error, const struct passwd *found, struct rights *r,
                  struct why *why)
{
    if (found != NULL)
        return local_user_fill(mem, found, r);
    if (error == 0 || error == ENOENT || error == ESRCH)
        return 0;
    why_set(why, "4.3.0", "user lookup error");
    msg_warn("error looking up passwd info: %s", strerror(error));
    return -1;
}

int local_user(struct arena *mem, const char *name, struct rights *r, struct why *why)
{
    char *room = arena_alloc(mem, ENTRY_LIMIT);
    struct passwd pw, *found = NULL;
    int error = getpwnam_r(name, &pw, room, ENTRY_LIMIT, &found);

    return answer(mem, error, found, r, why);
}

int local_user_by_id(struct arena *mem, uid_t uid, struct rights *r, struct why *why)
{
    char *room = arena_alloc(mem, ENTRY_LIMIT);
    struct passwd pw, *found = NULL;
    int error = getpwuid_r(uid, &pw, room, ENTRY_LIMIT, &found);

    return answer(mem, error, found, r, why);
}

/* default_privs: a user that owns nothing of worth. The lookup also loads what the name service
 * needs, which the jail forbids later. */
/*
 * The name service loads a module of nsswitch.conf only when it gets to it, and in the jail nothing
 * can be loaded any more. A name, a number and a group that do not exist make it try them all.
 */
static void load_name_services(void)
{
    enum { NO_ID = 2147483646 };
    gid_t groups[1];
    int n = 1;

    (void)getpwnam("no such user");
    (void)getpwuid(NO_ID);
    (void)getgrnam("no such group");
    (void)getgrgid(NO_ID);
    (void)getgrouplist("no such user", NO_ID, groups, &n);
}

void local_user_open(void)
{
    load_name_services();
    const struct passwd *pw = getpwnam(conf.default_privs);

    if (pw == NULL)
        msg_fatal("file %s/main.cf: parameter default_privs: unknown user: %s", conf_dir(),
                  conf.default_privs);
    if (pw->pw_uid == 0 || pw->pw_gid == 0)
        msg_fatal("file %s/main.cf: parameter default_privs: %s: privileged user", conf_dir(),
                  conf.default_privs);
    default_rights = (struct rights){pw->pw_uid, pw->pw_gid, conf.default_privs, "", "/bin/sh"};
}

int local_default_rights(struct rights *r, struct why *why)
{
    *r = default_rights;
    return r->uid != 0 ? 0 : why_set(why, "4.3.5", "mail system configuration error");
}
