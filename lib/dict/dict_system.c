/*
 * unix:, environ: and fail:.
 *
 * unix:passwd.byname (and group.byname) is the default of local_recipient_maps. The C library's
 * name service cannot be asked from a jail, and it blocks; so all accounts are read once when the
 * table is opened, and a change of /etc/passwd is noticed like that of any other table. Accounts
 * of a directory service that does not list them (getpwent) are not found this way: such sites name
 * that directory in local_recipient_maps, or leave it empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "dict/dict_types.h"

struct accounts {
    struct dict dict;
    struct hash *entries;
};

static void add_account(struct accounts *a, const struct passwd *pw)
{
    struct buf line = BUF(DICT_VALUE_LIMIT);

    buf_addf(&line, "%s:%s:%u:%u:%s:%s:%s", pw->pw_name, pw->pw_passwd, pw->pw_uid, pw->pw_gid,
             pw->pw_gecos, pw->pw_dir, pw->pw_shell);
    if (buf_ok(&line) && hash_find(a->entries, strz(pw->pw_name)) == NULL)
        hash_put(a->entries, strz(pw->pw_name), buf_take(&line));
    buf_free(&line);
}

static void add_group(struct accounts *a, const struct group *gr)
{
    struct buf line = BUF(DICT_VALUE_LIMIT);

    buf_addf(&line, "%s:%s:%u:", gr->gr_name, gr->gr_passwd, gr->gr_gid);
    for (char **member = gr->gr_mem; *member != NULL; member++)
        buf_addf(&line, "%s%s", member == gr->gr_mem ? "" : ",", *member);
    if (!buf_ok(&line))
        msg_warn("unix:group.byname: the members of %s do not fit", gr->gr_name);
    else if (hash_find(a->entries, strz(gr->gr_name)) == NULL)
        hash_put(a->entries, strz(gr->gr_name), buf_take(&line));
    buf_free(&line);
}

static void read_accounts(struct accounts *a)
{
    setpwent();
    for (struct passwd *pw; (pw = getpwent()) != NULL;)
        add_account(a, pw);
    endpwent();
}

static void read_groups(struct accounts *a)
{
    setgrent();
    for (struct group *gr; (gr = getgrent()) != NULL;)
        add_group(a, gr);
    endgrent();
}

static struct dict *unix_open(const char *arg, enum dict_mode mode __attribute__((unused)),
                              unsigned flags __attribute__((unused)), struct why *why)
{
    bool groups = strcmp(arg, "group.byname") == 0;

    if (!groups && strcmp(arg, "passwd.byname") != 0) {
        why_set(why, "4.3.5", "unknown table: unix:%s", arg);
        return NULL;
    }
    struct accounts *a = (struct accounts *)dict_new(&dict_unix, sizeof *a);
    struct dict *d = &a->dict;
    const char *path = groups ? "/etc/group" : "/etc/passwd";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    a->entries = hash_new();
    if (fd >= 0 && dict_file_watch(d, fd, path, why) < 0) {
        dict_close(&d);
        return NULL;
    }
    if (groups)
        read_groups(a);
    else
        read_accounts(a);
    return d;
}

static enum dict_answer unix_find(struct dict *d, const char *key, struct buf *value,
                                  struct why *why __attribute__((unused)))
{
    const char *line = hash_find(((struct accounts *)d)->entries, strz(key));

    if (line == NULL)
        return DICT_NONE;
    buf_addz(value, line);
    return DICT_FOUND;
}

static void unix_close(struct dict *d)
{
    hash_free(&((struct accounts *)d)->entries, free);
}

static struct dict *environ_open(const char *arg __attribute__((unused)),
                                 enum dict_mode mode __attribute__((unused)),
                                 unsigned flags __attribute__((unused)),
                                 struct why *why __attribute__((unused)))
{
    return dict_new(&dict_environ, sizeof(struct dict));
}

static enum dict_answer environ_find(struct dict *d __attribute__((unused)), const char *key,
                                     struct buf *value, struct why *why __attribute__((unused)))
{
    const char *text = getenv(key);

    if (text == NULL)
        return DICT_NONE;
    buf_addz(value, text);
    return DICT_FOUND;
}

static struct dict *fail_open(const char *arg __attribute__((unused)),
                              enum dict_mode mode __attribute__((unused)),
                              unsigned flags __attribute__((unused)),
                              struct why *why __attribute__((unused)))
{
    return dict_new(&dict_fail, sizeof(struct dict));
}

static enum dict_answer fail_find(struct dict *d, const char *key __attribute__((unused)),
                                  struct buf *value __attribute__((unused)), struct why *why)
{
    why_set(why, "4.3.0", "table %s always fails", d->spec);
    return DICT_FAILED;
}

static enum dict_answer fail_next(struct dict *d, struct buf *key __attribute__((unused)),
                                  struct buf *value, struct why *why)
{
    return fail_find(d, "", value, why);
}

const struct dict_type dict_unix = {
    .name = "unix",
    .can = DICT_SURVIVES_JAIL,
    .open = unix_open,
    .find = unix_find,
    .close = unix_close,
};
const struct dict_type dict_environ = {
    .name = "environ",
    .can = DICT_SURVIVES_JAIL,
    .open = environ_open,
    .find = environ_find,
};
const struct dict_type dict_fail = {
    .name = "fail",
    .can = DICT_SURVIVES_JAIL,
    .open = fail_open,
    .find = fail_find,
    .next = fail_next,
};
