#include "pombal_check.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "conf/conf_master.h"
#include "conf/conf_param.h"
#include "service/conf_check.h"

/* Who must own it; "root" and the group only where root starts the suite. */
enum owner { ROOT, OWNER, OWNER_DROP };

static const struct {
    const char *name; /* below the queue directory */
    enum owner owner;
    mode_t mode;
    mode_t of_postfix; /* taken, too: master changes it. 0: none */
} queue_dirs[] = {
    {"active", OWNER, 0700},
    {"bounce", OWNER, 0700},
    {"corrupt", OWNER, 0700},
    {"defer", OWNER, 0700},
    {"deferred", OWNER, 0700},
    {"flush", OWNER, 0700},
    {"hold", OWNER, 0700},
    {"incoming", OWNER, 0700},
    {"maildrop", OWNER_DROP, 01730},
    {"private", OWNER, 0710, 0700},
    {"public", OWNER_DROP, 02711, 02710},
    {"saved", OWNER, 0700},
    {"trace", OWNER, 0700},
};

struct check {
    bool root; /* started by root: owners matter */
    uid_t uid; /* mail_owner */
    gid_t gid; /* setgid_group */
    bool fatal; /* something that the suite cannot start with */
};

static const char *user_name(uid_t uid)
{
    const struct passwd *pw = getpwuid(uid);
    return pw != NULL ? pw->pw_name : "?";
}

/* Nothing is wrong without the account: a hint, where somebody looks. */
static void check_network_owner(uid_t owner)
{
    const struct passwd *pw = getpwnam(conf.network_owner);
    uint32_t number;

    if (pw != NULL)
        number = pw->pw_uid;
    else if (!num_parse_u32(strz(conf.network_owner), 0, UINT32_MAX - 1, &number)) {
        msg_info("network_owner: there is no user %s, so master takes a free number: "
                 "useradd --system --user-group %s",
                 conf.network_owner, conf.network_owner);
        return;
    }
    if (number == 0)
        msg_error("network_owner: %s has uid 0; an account without rights is needed",
                  conf.network_owner);
    else if (number == owner)
        msg_warn("network_owner: %s is mail_owner, too: what speaks with strangers is kept apart "
                 "from the queue by its jail only",
                 conf.network_owner);
}

static bool find_accounts(struct check *c)
{
    c->root = geteuid() == 0;
    c->uid = geteuid();
    c->gid = getegid();
    if (!c->root)
        return true;
    const struct passwd *pw = getpwnam(conf.mail_owner);
    const struct group *gr = getgrnam(conf.setgid_group);
    if (pw == NULL)
        msg_error("mail_owner: there is no user %s: useradd --system %s", conf.mail_owner,
                  conf.mail_owner);
    else if (pw->pw_uid == 0)
        msg_error("mail_owner: %s has uid 0; an account without rights is needed", conf.mail_owner);
    if (gr == NULL)
        msg_error("setgid_group: there is no group %s: groupadd --system %s", conf.setgid_group,
                  conf.setgid_group);
    if (pw == NULL || pw->pw_uid == 0 || gr == NULL)
        return false;
    c->uid = pw->pw_uid;
    c->gid = gr->gr_gid;
    check_network_owner(c->uid);
    return true;
}

static bool make_dir(struct check *c, const char *path, enum owner owner, mode_t mode)
{
    struct why why = WHY;

    if (file_make_dirs(path, 0755, &why) < 0) {
        msg_error("%s", why_text(&why));
        why_free(&why);
        c->fatal = true;
        return false;
    }
    why_free(&why);
    /* After the owner: chown takes the set-gid bit away. */
    if (c->root &&
        chown(path, owner == ROOT ? 0 : c->uid, owner == OWNER_DROP ? c->gid : (gid_t)-1) < 0)
        msg_error("chown %s: %m", path);
    if (chmod(path, mode) < 0)
        msg_error("chmod %s: %m", path);
    return true;
}

static void check_dir(struct check *c, const char *path, enum owner owner, mode_t mode, mode_t also)
{
    struct stat st;
    uid_t uid = owner == ROOT && c->root ? 0 : c->uid;

    if (path[0] != '/')
        return; /* conf_check says that it must be absolute */
    if (stat(path, &st) < 0) {
        if (errno == ENOENT && make_dir(c, path, owner, mode))
            return;
        msg_error("%s: %m", path);
        c->fatal = true;
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        msg_error("%s is not a directory", path);
        c->fatal = true;
        return;
    }
    if (st.st_uid != uid)
        msg_warn("not owned by %s: %s: chown %s %s", user_name(uid), path, user_name(uid), path);
    if (c->root && owner == OWNER_DROP && st.st_gid != c->gid)
        msg_warn("not owned by group %s: %s: chgrp %s %s", conf.setgid_group, path,
                 conf.setgid_group, path);
    if ((st.st_mode & 07777) != mode && (also == 0 || (st.st_mode & 07777) != also))
        msg_warn("mode %04o, should be %04o: %s: chmod %o %s", st.st_mode & 07777, mode, path, mode,
                 path);
}

static void check_queue(struct check *c)
{
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(4096);

    check_dir(c, conf.queue_directory, ROOT, 0755, 0);
    for (size_t i = 0; !c->fatal && i < sizeof queue_dirs / sizeof *queue_dirs; i++) {
        buf_clear(&path);
        buf_addf(&path, "%s/%s", conf.queue_directory, queue_dirs[i].name);
        check_dir(c, path.p, queue_dirs[i].owner, queue_dirs[i].mode, queue_dirs[i].of_postfix);
    }
    buf_clear(&path);
    buf_addf(&path, conf.process_id_directory[0] == '/' ? "%s%s" : "%s/%s",
             conf.process_id_directory[0] == '/' ? "" : conf.queue_directory,
             conf.process_id_directory);
    check_dir(c, path.p, ROOT, 0755, 0);
    check_dir(c, conf.data_directory, OWNER, 0700, 0);
    buf_free(&path);
}

/* The log file is opened by root: it must not be just anywhere. */
static void check_maillog(struct check *c)
{
    struct str rest = strz(conf.maillog_file_prefixes), word, file = strz(conf.maillog_file);
    struct buf dir = BUF(file.n); /* fits: a part of it */

    if (file.n == 0)
        return;
    bool allowed = false;
    while (str_word(&rest, ", \t\r\n", &word))
        allowed = allowed || str_starts(file, word);
    if (!allowed) {
        msg_error("maillog_file: %s is not below one of maillog_file_prefixes (%s)",
                  conf.maillog_file, conf.maillog_file_prefixes);
        c->fatal = true;
    }
    buf_add(&dir, str_upto(file, (size_t)(str_rfind(file, '/') > 0 ? str_rfind(file, '/') : 0)));
    if (dir.n > 0 && access(dir.p, F_OK) < 0) {
        msg_error("maillog_file: directory %s: %m: mkdir -p %s", dir.p, dir.p);
        c->fatal = true;
    }
    buf_free(&dir);
}

static bool is_program(const char *dir, const char *name)
{
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(4096);

    buf_addf(&path, "%s/%s", dir, name);
    bool good = access(path.p, X_OK) == 0;
    buf_free(&path);
    return good;
}

static void check_programs(struct check *c)
{
    if (!is_program(conf.daemon_directory, "master")) {
        msg_error("daemon_directory: no program %s/master", conf.daemon_directory);
        c->fatal = true;
    }
}

/* Whoever may write the configuration can become root through it. */
static void check_conf_file(const struct check *c, const char *name)
{
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(4096);
    struct stat st;

    buf_addf(&path, "%s/%s", conf_dir(), name);
    if (c->root && stat(path.p, &st) == 0) {
        if (st.st_uid != 0)
            msg_warn("not owned by root: %s: chown root %s", path.p, path.p);
        if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
            msg_warn("group or other writable: %s: chmod go-w %s", path.p, path.p);
    }
    buf_free(&path);
}

/* Is it of aliases, as local(8) reads them? Then postalias builds it, not postmap. */
static bool is_alias_file(struct str spec)
{
    const char *lists[] = {conf.alias_maps, conf.alias_database};
    struct str word;

    for (size_t i = 0; i < 2; i++)
        for (struct str rest = strz(lists[i]); str_word(&rest, ", \t\r\n{}", &word);)
            if (str_eq(word, spec))
                return true;
    return false;
}

/* A built table that is missing, or older than its source. */
static void check_table(const char *parameter, struct str spec)
{
    struct str path = str_from(spec, (size_t)str_find(spec, ':') + 1);
    const char *tool = is_alias_file(spec) ? "postalias" : "postmap";
    struct buf source = BUF(path.n), built = BUF(path.n + 3); /* fits: path, and with .db */
    struct stat s, b;

    buf_add(&source, path);
    buf_addf(&built, "%s.db", source.p);
    if (stat(built.p, &b) < 0)
        msg_warn("%s: %s: %m: %s %.*s", parameter, built.p, tool, (int)spec.n, spec.p);
    else if (access(built.p, R_OK) < 0)
        msg_warn("%s: %s: %m", parameter, built.p);
    else if (stat(source.p, &s) == 0 && s.st_mtime > b.st_mtime)
        msg_warn("%s: %s is older than %s: %s %.*s", parameter, built.p, source.p, tool,
                 (int)spec.n, spec.p);
    buf_free(&source);
    buf_free(&built);
}

struct told {
    VEC(struct str) tables;
};

/* Is it a table that postmap or postalias builds, and not one that *told has already? */
static bool is_next_table(struct told *told, struct str spec)
{
    if (!str_starts(spec, STR("hash:/")) && !str_starts(spec, STR("btree:/")))
        return false;
    VEC_EACH (&told->tables, t)
        if (str_eq(*t, spec))
            return false;
    return true;
}

static void check_tables_of(struct told *told, const char *name, const char *value)
{
    struct str rest = strz(value), word;

    while (str_word(&rest, ", \t\r\n{}", &word)) {
        if (str_starts(word, STR("proxy:")))
            word = str_from(word, strlen("proxy:"));
        if (!is_next_table(told, word))
            continue;
        check_table(name, word);
        *VEC_ADD(&told->tables) = word;
    }
}

/* Those of the -o of services. */
static void check_tables_of_services(struct told *told, const struct conf_master *cf)
{
    for (size_t i = 0; i < cf->n; i++)
        for (size_t j = 0; !conf_master_disabled(&cf->at[i]) && j < cf->at[i].noptions; j++)
            check_tables_of(told, cf->at[i].options[j].name, cf->at[i].options[j].value);
}

/* Parameters without effect name caches (Debian's smtp_tls_session_cache_database), which nobody
 * has to build. */
static void check_tables(void)
{
    struct conf_master cf = {0};
    struct told told = {0};
    struct why why = WHY;

    for (size_t i = 0; i < conf_nparams; i++)
        if (conf_params[i].reason == CONF_EFFECTIVE && conf_is_set(conf_params[i].name))
            check_tables_of(&told, conf_params[i].name, conf_find(conf_params[i].name));
    if (conf_master_load(&cf, &why) == 0) /* else conf_check has said it */
        check_tables_of_services(&told, &cf);
    VEC_FREE(&told.tables);
    conf_master_free(&cf);
    why_free(&why);
}

/* Of another program, as a rule Dovecot: what smtpd could open when it was the mail owner. */
static void check_sasl_socket(const struct check *c)
{
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(4096);
    struct stat st;
    bool is_path = pombal_sasl_socket(&path) && strchr(conf.smtpd_sasl_path, '/') != NULL;

    if (c->root && is_path && buf_ok(&path) && stat(path.p, &st) == 0 && S_ISSOCK(st.st_mode) &&
        (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
        msg_warn("smtpd_sasl_path: %s is open for one user alone (mode %04o), and smtpd runs as "
                 "network_owner: it needs mode 0660 and the group of %s",
                 path.p, st.st_mode & 07777, conf.mail_owner);
    buf_free(&path);
}

bool pombal_check(void)
{
    struct check c = {0};

    if (!find_accounts(&c))
        return false;
    check_queue(&c); /* before the services try their start in it */
    check_maillog(&c);
    check_conf_file(&c, "main.cf");
    check_conf_file(&c, "master.cf");
    check_programs(&c);
    bool good = conf_check(conf_dir(), !c.fatal);
    check_tables();
    check_sasl_socket(&c);
    pombal_check_names();
    conf_warn_ignored();
    return good && !c.fatal;
}
