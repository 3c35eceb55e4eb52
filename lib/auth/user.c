/*
 * From a login name to ids and directories.
 */
#include "auth/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"

enum { PATH_LIMIT = 4096, NAME_LIMIT = 320 };

static int load_id(const char *parameter, const char *value, bool group, uint32_t *id,
                   struct why *why)
{
    if (*value == '\0') {
        *id = USER_NOBODY;
        return 0;
    }
    if (num_parse_u32(strz(value), 0, UINT32_MAX - 1, id))
        return 0;
    if (group) {
        const struct group *g = getgrnam(value);
        if (g != NULL)
            *id = g->gr_gid;
        return g != NULL ? 0 : why_set(why, "4.3.5", "%s: unknown group %s", parameter, value);
    }
    const struct passwd *p = getpwnam(value);
    if (p != NULL)
        *id = p->pw_uid;
    return p != NULL ? 0 : why_set(why, "4.3.5", "%s: unknown user %s", parameter, value);
}

static int check_id(const char *what, uint32_t id, int64_t first, int64_t last, struct why *why)
{
    if (id == USER_NOBODY)
        return why_set(why, "5.7.0", "no %s in the user database, and mail_%s is not set", what,
                       what);
    if (id < first || (last > 0 && id > last))
        return why_set(why, "5.7.0", "%s %u is outside of first_valid_%s and last_valid_%s", what,
                       id, what, what);
    return 0;
}

/* With such a default no user has a session to whom it applies. */
static int check_default(const char *parameter, uint32_t id, int64_t first, int64_t last,
                         struct why *why)
{
    if (id == USER_NOBODY || geteuid() != 0)
        return 0;
    if (id == 0)
        why_set(why, "4.3.5", "root does not read mail");
    else if (check_id(parameter + strlen("mail_"), id, first, last, why) == 0)
        return 0;
    return conf_blame(parameter, why);
}

int user_rules_load(struct user_rules *r, struct why *why)
{
    uint32_t uid, gid;

    if (load_id("mail_uid", conf.mail_uid, false, &uid, why) < 0 ||
        load_id("mail_gid", conf.mail_gid, true, &gid, why) < 0 ||
        check_default("mail_uid", uid, conf.first_valid_uid, conf.last_valid_uid, why) < 0 ||
        check_default("mail_gid", gid, conf.first_valid_gid, conf.last_valid_gid, why) < 0)
        return -1;
    *r = (struct user_rules){.uid = uid, .gid = gid, .ignore_ids = geteuid() != 0};
    return 0;
}

/* The variables of a format: one letter each. */
static bool variable(char letter, struct str name, const char *home, struct str *value)
{
    ptrdiff_t at = str_rfind(name, '@');

    switch (letter) {
    case 'u':
        *value = name;
        return true;
    case 'n':
        *value = at < 0 ? name : str_upto(name, (size_t)at);
        return true;
    case 'd':
        *value = at < 0 ? STR("") : str_from(name, (size_t)at + 1);
        return true;
    case 'h':
        *value = strz(home);
        return home != NULL;
    default:
        return false;
    }
}

static void add_cased(struct buf *out, struct str value, char how)
{
    size_t start = out->n;

    buf_add(out, value);
    for (size_t i = start; i < out->n; i++) {
        if (how == 'L' && out->p[i] >= 'A' && out->p[i] <= 'Z')
            out->p[i] = (char)(out->p[i] + 32);
        else if (how == 'U' && out->p[i] >= 'a' && out->p[i] <= 'z')
            out->p[i] = (char)(out->p[i] - 32);
    }
}

int user_expand(const char *format, const char *name, const char *home, struct buf *out,
                struct why *why)
{
    for (const char *p = format; *p != '\0'; p++) {
        struct str value;
        char how = 0;

        if (*p != '%') {
            buf_addc(out, *p);
            continue;
        }
        if (*++p == '%') {
            buf_addc(out, '%');
            continue;
        }
        if (*p == 'L' || *p == 'U')
            how = *p++;
        if (*p == '\0' || !variable(*p, strz(name), home, &value))
            return why_set(why, "4.3.5", "unknown variable %%%c in \"%s\"", *p, format);
        add_cased(out, value, how);
    }
    if (!buf_ok(out))
        return why_set(why, "5.7.0", "\"%s\" becomes too long", format);
    return 0;
}

static bool is_allowed(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c <= ' ' || c == 127 || c == '/' || c == ':' || c == '%')
            return false;
        if (*conf.auth_username_chars != '\0' && strchr(conf.auth_username_chars, c) == NULL)
            return false;
    }
    return name.n > 0 && name.n <= NAME_LIMIT && name.p[0] != '@';
}

int user_normalise(struct str given, struct buf *name, struct why *why)
{
    struct buf whole = BUF(2 * NAME_LIMIT);
    int result = 0;

    if (!is_allowed(given))
        return why_set(why, "5.7.8", "name has characters that auth_username_chars does not list");
    buf_add(&whole, given);
    if (*conf.auth_default_realm != '\0' && str_find(given, '@') < 0)
        buf_addf(&whole, "@%s", conf.auth_default_realm);
    buf_clear(name);
    if (!buf_ok(&whole))
        result = why_set(why, "5.7.8", "the name is too long");
    else if (*conf.auth_username_format == '\0')
        buf_add(name, buf_str(&whole));
    else
        result = user_expand(conf.auth_username_format, whole.p, NULL, name, why);
    buf_free(&whole);
    if (result == 0 && (name->n == 0 || !buf_ok(name)))
        result = why_set(why, "5.7.8", "no name is left by auth_username_format");
    return result;
}

/* An absolute path without tricks. */
static bool is_clean_path(struct str path)
{
    if (path.n == 0 || path.n > PATH_LIMIT || path.p[0] != '/')
        return false;
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] < ' ' || path.p[i] == 127)
            return false;
    for (struct str rest = path, part; str_split(&rest, '/', &part);)
        if (str_eqz(part, "..") || str_eqz(part, "."))
            return false;
    return true;
}

static int expand_path(const char **path, const struct user *u, struct arena *mem, struct why *why)
{
    struct buf out = BUF(PATH_LIMIT);
    const char *format = *path;
    struct str tail = strz(format);

    /* "maildir:~/Maildir" and "~/x": the home is what ~ stands for. */
    ptrdiff_t tilde = str_search(tail, STR("~/"));
    bool leads = tilde >= 0 && (tilde == 0 || format[tilde - 1] == ':');
    if (leads) {
        buf_add(&out, str_upto(tail, (size_t)tilde));
        buf_addz(&out, u->home);
        format += tilde + 1;
    }
    int result = leads && *u->home == '\0'
                     ? why_set(why, "5.7.0", "no home directory, which \"%s\" needs", *path)
                     : user_expand(format, u->name, u->home, &out, why);
    if (result == 0)
        *path = arena_strz(mem, buf_str(&out));
    buf_free(&out);
    return result;
}

static int check_ids(const struct user *u, struct why *why)
{
    if (check_id("uid", u->uid, conf.first_valid_uid, conf.last_valid_uid, why) < 0 ||
        check_id("gid", u->gid, conf.first_valid_gid, conf.last_valid_gid, why) < 0)
        return -1;
    if (u->uid == 0 || u->gid == 0)
        return why_set(why, "5.7.0", "root does not read mail");
    return 0;
}

static int complete_ids(struct user *u, const struct user_rules *rules, struct why *why)
{
    if (rules->ignore_ids) {
        u->uid = geteuid();
        u->gid = getegid();
        return 0;
    }
    if (u->uid == USER_NOBODY)
        u->uid = rules->uid;
    if (u->gid == USER_NOBODY)
        u->gid = rules->gid;
    return check_ids(u, why);
}

static int check_home(const struct user *u, struct why *why)
{
    if (*u->home == '\0' || is_clean_path(strz(u->home)))
        return 0;
    return why_set(why, "5.7.0", "bad home directory \"%s\"", u->home);
}

static int check_mail(const struct user *u, struct why *why)
{
    if (str_starts(strz(u->mail), STR("maildir:")) && is_clean_path(user_maildir(u)))
        return 0;
    return why_set(why, "5.7.0", "mail location \"%s\" is not maildir:/PATH", u->mail);
}

int user_complete(struct user *u, const struct user_rules *rules, struct arena *mem,
                  struct why *why)
{
    if (complete_ids(u, rules, why) < 0 || check_home(u, why) < 0)
        return -1;
    if (*u->mail == '\0')
        u->mail = conf.mail_location;
    if (expand_path(&u->mail, u, mem, why) < 0)
        return -1;
    return check_mail(u, why);
}

int user_check(const struct user *u, bool ignore_ids, struct why *why)
{
    if (!ignore_ids && check_ids(u, why) < 0)
        return -1;
    if (ignore_ids && u->uid != geteuid())
        return why_set(why, "5.7.0", "uid %u is not ours, and we are not root", u->uid);
    if (check_home(u, why) < 0)
        return -1;
    return check_mail(u, why);
}

struct str user_maildir(const struct user *u)
{
    struct str path = strz(u->mail);
    ptrdiff_t colon = str_find(path, ':');

    path = str_from(path, (size_t)(colon + 1));
    colon = str_find(path, ':');
    path = colon < 0 ? path : str_upto(path, (size_t)colon);
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}
