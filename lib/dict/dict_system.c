/*
 * unix:, environ: and fail:.
 *
 * unix:passwd.byname (and group.byname) is the default of local_recipient_maps. The C library's
 * name service cannot be asked from a jail, and it blocks; so all accounts are read once when the
 * table is opened, and a change of /etc/passwd is noticed like that of any other table. Where
 * /etc/nsswitch.conf names a directory service that does not list its accounts (sssd as a rule),
 * nobody can tell whether it has one that was not read: then the lookup fails, and mail is put off.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "dict/dict_types.h"

struct accounts {
    struct dict dict;
    struct hash *entries;
    char *hidden; /* what is asked besides the files and does not list what it has; or null */
};

/* The sources of "passwd:" or "group:" in /etc/nsswitch.conf. Actions as [NOTFOUND=return] stand
 * between them. */
static bool next_source(struct str *rest, struct str *source)
{
    bool inside = false;

    while (str_word(rest, " \t", source)) {
        bool action = inside || source->p[0] == '[';
        inside = action && !str_ends(*source, STR("]"));
        if (!action)
            return true;
    }
    return false;
}

/* These have listed all of theirs, or have none that get mail. */
static bool lists_all(struct str source)
{
    static const char *const known[] = {"files", "compat",     "db",         "systemd",
                                        "nis",   "extrausers", "mymachines", "altfiles"};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eqz(source, known[i]))
            return true;
    return false;
}

/* The first source that may have hidden something, to be freed, or null. -1 and why: it cannot be
 * told now. */
static int find_hidden(const char *database, char **hidden, struct why *why)
{
    struct buf text = BUF(64 * 1024);
    struct str rest, line, source;
    bool missing = access("/etc/nsswitch.conf", F_OK) < 0 && errno == ENOENT;
    int result = missing ? 0 : file_read("/etc/nsswitch.conf", &text, why);

    rest = buf_str(&text);
    while (result == 0 && *hidden == NULL && str_split(&rest, '\n', &line)) {
        ptrdiff_t comment = str_find(line, '#');
        line = str_trim(comment < 0 ? line : str_upto(line, (size_t)comment));
        if (!str_starts(line, strz(database)))
            continue;
        line = str_from(line, strlen(database));
        while (*hidden == NULL && next_source(&line, &source))
            if (!lists_all(source))
                *hidden = mem_dup(source.p, source.n);
    }
    buf_free(&text);
    return result;
}

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

/* systemd makes these for a service while it runs. */
static bool is_dynamic(unsigned id)
{
    return id >= 61184 && id <= 65519;
}

/* The error that ended a list before its end, or 0: name services leave others behind that mean
 * nothing. */
static int cut_by(int error)
{
    return error == EIO || error == EMFILE || error == ENFILE || error == ENOMEM ? error : 0;
}

/* 1: there are some that are not in the file, so a directory service lists what it has; 0: there
 * are none. -1 and errno: some may be missing. */
static int read_accounts(struct accounts *a)
{
    FILE *f = fopen("/etc/passwd", "re");
    int error = f == NULL && errno != ENOENT ? errno : 0;
    size_t dynamic = 0;

    errno = 0;
    for (struct passwd *pw; f != NULL && (pw = fgetpwent(f)) != NULL; errno = 0)
        add_account(a, pw);
    error = error != 0 ? error : cut_by(errno);
    if (f != NULL)
        fclose(f);
    size_t in_file = hash_count(a->entries);
    setpwent();
    errno = 0;
    for (struct passwd *pw; (pw = getpwent()) != NULL; errno = 0) {
        dynamic += is_dynamic(pw->pw_uid);
        add_account(a, pw);
    }
    error = error != 0 ? error : cut_by(errno);
    endpwent();
    errno = error;
    return error != 0 ? -1 : hash_count(a->entries) > in_file + dynamic;
}

static int read_groups(struct accounts *a)
{
    FILE *f = fopen("/etc/group", "re");
    int error = f == NULL && errno != ENOENT ? errno : 0;
    size_t dynamic = 0;

    errno = 0;
    for (struct group *gr; f != NULL && (gr = fgetgrent(f)) != NULL; errno = 0)
        add_group(a, gr);
    error = error != 0 ? error : cut_by(errno);
    if (f != NULL)
        fclose(f);
    size_t in_file = hash_count(a->entries);
    setgrent();
    errno = 0;
    for (struct group *gr; (gr = getgrent()) != NULL; errno = 0) {
        dynamic += is_dynamic(gr->gr_gid);
        add_group(a, gr);
    }
    error = error != 0 ? error : cut_by(errno);
    endgrent();
    errno = error;
    return error != 0 ? -1 : hash_count(a->entries) > in_file + dynamic;
}

/* Whoever is missing must not look like a user that there is not. */
static int unix_read(struct accounts *a, bool groups, struct why *why)
{
    const char *path = groups ? "/etc/group" : "/etc/passwd";
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno != ENOENT)
        return why_errno(why, "4.3.0", "open %s", path);
    int watched = fd < 0 ? 0 : dict_file_watch(&a->dict, fd, path, why);
    if (fd >= 0)
        close(fd);
    if (watched < 0)
        return -1;
    int listed = groups ? read_groups(a) : read_accounts(a);
    if (listed < 0)
        return why_errno(why, "4.3.0", "read the entries of %s", path);
    return listed > 0 ? 0 : find_hidden(groups ? "group:" : "passwd:", &a->hidden, why);
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
    a->entries = hash_new();
    if (unix_read(a, groups, why) < 0) {
        dict_close(&d);
        return NULL;
    }
    if (a->hidden != NULL)
        msg_warn("unix:%s: \"%s\" in /etc/nsswitch.conf does not list its accounts: mail for those "
                 "that are not in the file is put off. Name a table that has them in the place of "
                 "this one",
                 arg, a->hidden);
    return d;
}

static enum dict_answer unix_find(struct dict *d, const char *key, struct buf *value,
                                  struct why *why)
{
    const struct accounts *a = (const struct accounts *)d;
    const char *line = hash_find(a->entries, strz(key));

    if (line == NULL && a->hidden != NULL) {
        why_set(why, "4.3.0", "table %s: \"%s\" does not list its accounts", d->spec, a->hidden);
        return DICT_FAILED;
    }
    if (line == NULL)
        return DICT_NONE;
    buf_addz(value, line);
    return DICT_FOUND;
}

static void unix_close(struct dict *d)
{
    struct accounts *a = (struct accounts *)d;

    hash_free(&a->entries, free);
    free(a->hidden);
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
