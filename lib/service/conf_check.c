#include "service/conf_check.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/why.h"
#include "conf/conf.h"
#include "conf/conf_master.h"
#include "mail/domain.h"
#include "service/check_missing.h"
#include "service/check_names.h"
#include "service/check_start.h"
#include "service/conf_values.h"
#include "service/interfaces.h"

static int check_name(const char *text, struct why *why)
{
    struct str name = strz(text);

    if (domain_valid(name) && !str_ends(name, STR(".")))
        return 0;
    return why_set(why, "4.3.5",
                   "\"%s\" is not a host name: letters, digits and -, with dots between them",
                   text);
}

/* The domain of mail that is posted here; it may stand in a file, as on Debian. */
static int check_origin(struct why *why)
{
    if (check_name(conf.myorigin, why) < 0)
        return conf_blame("myorigin", why);
    return 0;
}

/* Other kinds of mailboxes, and the options of Dovecot behind the path, would be taken for
 * something else: mail would be looked for in the wrong place. */
static int check_mail_location(struct why *why)
{
    struct str rest = strz(conf.mail_location), part, path;

    if (!str_split(&rest, ':', &part) || !str_eqz(part, "maildir") ||
        !str_split(&rest, ':', &path) || path.n == 0)
        why_set(why, "4.3.5", "mail is kept in maildir:PATH only");
    else if (strchr("/~%", path.p[0]) == NULL)
        why_set(why, "4.3.5", "maildir:%.*s is no whole path: it begins with /, ~/ or %%h",
                (int)path.n, path.p);
    else if (str_split(&rest, ':', &part))
        why_set(why, "4.3.5", "there is no option \"%.*s\"; write maildir:%.*s", (int)part.n,
                part.p, (int)path.n, path.p);
    else
        return 0;
    return conf_blame("mail_location", why);
}

static int check_names(struct why *why)
{
    bool domain_first = !conf_is_set("myhostname"); /* each gives the other its default */

    if (domain_first && check_name(conf.mydomain, why) < 0)
        return conf_blame("mydomain", why);
    if (check_name(conf.myhostname, why) < 0)
        return conf_blame("myhostname", why);
    if (check_name(conf.mydomain, why) < 0)
        return conf_blame("mydomain", why);
    return check_origin(why);
}

/* What was found so far, and where we look. */
struct findings {
    const struct conf_master *master; /* null until it was read */
    const struct conf_service *service; /* whose -o are loaded; null: main.cf alone */
    struct hash *told; /* a fault of main.cf is seen again with each service */
    struct hash *blamed; /* names of parameters that have a wrong value */
    bool good;
};

static int in_service(const struct conf_service *s, struct why *why)
{
    return why_in(why, "%s/master.cf, line %u: service %s", conf_dir(), s->first_line, s->name);
}

/* A conf_values_fn. */
static void found(void *arg, struct why *why)
{
    struct findings *f = arg;

    struct buf name = BUF(PARAMETER_MAX); /* asked: by check_start_parameter */

    f->good = false;
    if (check_start_parameter(&name, strz(why_text(why))))
        hash_put(f->blamed, buf_str(&name), f);
    buf_free(&name);
    if (hash_put(f->told, strz(why_text(why)), f) != NULL)
        return;
    if (f->service != NULL)
        in_service(f->service, why);
    msg_error("%s", why_text(why));
}

/* What conf_load does not know of values. */
static void check_values(struct findings *f)
{
    static int (*const checks[])(struct why * why) = {conf_check_pop3, check_names,
                                                      check_mail_location};
    struct why why = WHY;

    conf_check_values(found, f);
    if (f->master != NULL)
        check_service_names(f->master, found, f);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (checks[i](&why) < 0)
            found(f, &why);
        why_clear(&why);
    }
    why_free(&why);
}

static const char *limit_of(const char *command, int64_t *limit)
{
    bool is_local = strcmp(command, "local") == 0;

    *limit = is_local ? conf.mailbox_size_limit : conf.virtual_mailbox_limit;
    if (!is_local && strcmp(command, "virtual") != 0)
        *limit = 0;
    return is_local ? "mailbox_size_limit" : "virtual_mailbox_limit";
}

/* With a message limit above that of its mailboxes an agent delivers nothing: a bounce of each mail
 * is not what a typing error should do. */
static int check_limits(const char *command, struct why *why)
{
    int64_t limit, message = conf.message_size_limit;
    const char *name = limit_of(command, &limit);

    if (limit == 0 || (message > 0 && limit >= message))
        return 0;
    if (message == 0)
        why_set(why, "4.3.5", "limited, but message_size_limit is not; 0 is no limit");
    else
        why_set(why, "4.3.5", "smaller than message_size_limit = %lld; 0 is no limit",
                (long long)message);
    return conf_blame(name, why);
}

/* default_privs: what is run for aliases and the like has these rights. */
static int check_privs(struct why *why)
{
    const struct passwd *pw = getpwnam(conf.default_privs);

    if (pw == NULL)
        return why_set(why, "4.3.5", "there is no such user");
    if (pw->pw_uid == 0 || pw->pw_gid == 0)
        return why_set(why, "4.3.5", "a user without rights is needed, not one with %s 0",
                       pw->pw_uid == 0 ? "uid" : "gid");
    uid_t uid = pw->pw_uid;
    pw = getpwnam(conf.mail_owner);
    if (pw != NULL && pw->pw_uid == uid)
        return why_set(why, "4.3.5", "must not be the same user as mail_owner");
    return 0;
}

/* An address that this machine does not have. */
static int check_address(const struct interfaces *list, struct addr a, struct why *why)
{
    char text[ADDR_TEXT];
    struct sockaddr_storage sa;
    int result = 0;

    a.port = 0;
    socklen_t len = addr_to_sockaddr(&a, &sa);
    int fd = socket(a.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) < 0 && errno == EADDRNOTAVAIL &&
        !interfaces_may_miss(list, &a, errno))
        result = why_set(why, "4.3.5", "no interface of this machine has the address %s",
                         addr_text(&a, text));
    if (fd >= 0)
        close(fd);
    return result;
}

static int check_inet(const struct conf_service *s, struct why *why)
{
    struct interfaces list = {0};
    int result = interfaces_of(s->name, &list, why);

    VEC_EACH (&list.at, a)
        if (result == 0)
            result = check_address(&list, *a, why);
    interfaces_free(&list);
    return result;
}

/* Limits that nobody has set do no harm where the agent has nothing to deliver, as often with
 * LMTP. */
static int check_agent(const struct conf_service *s, struct why *why)
{
    int64_t limit;

    if (check_limits(s->command, why) == 0)
        return 0;
    if (conf_is_set(limit_of(s->command, &limit)))
        return -1;
    in_service(s, why);
    msg_warn("%s: it will deliver no mail", why_text(why));
    why_clear(why);
    return 0;
}

/* The -o of a service, as "name=value" up to a null. */
static const char **overrides_of(const struct conf_service *s)
{
    const char **overrides = mem_array(s->noptions + 1, sizeof *overrides);
    struct buf text = BUF(1 << 20);

    for (size_t i = 0; i < s->noptions; i++) {
        buf_clear(&text);
        buf_addf(&text, "%s=%s", s->options[i].name, s->options[i].value);
        if (!buf_ok(&text))
            msg_fatal("master.cf: service %s: -o %s: the value is too long", s->name,
                      s->options[i].name);
        overrides[i] = mem_dupz(text.p);
    }
    buf_free(&text);
    return overrides;
}

static void free_overrides(const char **overrides)
{
    for (const char **o = overrides; *o != NULL; o++)
        free((char *)(uintptr_t)*o);
    free(overrides);
}

/* As the service's processes will load it. */
static void check_options(const char *dir, const struct conf_service *s, struct findings *f)
{
    const char **overrides = overrides_of(s);
    struct why why = WHY;

    f->service = s;
    if (conf_load_telling(dir, s->name, overrides, found, f) == 0) {
        check_values(f);
        if (check_agent(s, &why) < 0)
            found(f, &why);
        f->good = check_missing_service(s) && f->good;
    }
    free_overrides(overrides);
    why_free(&why);
}

static void check_listening(const struct conf_master *cf, const struct conf_service *s,
                            struct findings *f)
{
    struct why why = WHY;

    f->service = s;
    if (conf_master_again(cf, s))
        msg_warn("%s/master.cf, line %u: duplicate entry for service %s (%s) -- using the last "
                 "entry",
                 conf_dir(), s->first_line, s->name, conf_service_type_name(s->type));
    else if (s->type == SERVICE_INET && check_inet(s, &why) < 0)
        found(f, &why);
    why_free(&why);
}

static void check_services(const struct conf_master *cf, struct findings *f)
{
    char *dir = mem_dupz(conf_dir());

    for (size_t i = 0; i < cf->n; i++)
        if (!conf_master_disabled(&cf->at[i]))
            check_listening(cf, &cf->at[i], f);
    for (size_t i = 0; i < cf->n; i++)
        if (!conf_master_disabled(&cf->at[i]) && !conf_master_again(cf, &cf->at[i]))
            check_options(dir, &cf->at[i], f);
    free(dir);
}

/* Where the log is a file, one process writes it for all. */
static int check_log(const struct conf_master *cf, struct why *why)
{
    if (conf.maillog_file[0] == 0 || strcmp(conf.maillog_file, "/dev/stdout") == 0)
        return 0;
    for (size_t i = 0; i < cf->n; i++)
        if (cf->at[i].type == SERVICE_UNIX_DGRAM && !conf_master_disabled(&cf->at[i]) &&
            strcmp(cf->at[i].name, conf.postlog_service_name) == 0)
            return 0;
    return why_set(
        why, "4.3.5",
        "maillog_file needs a service that writes it: add the line \"%s unix-dgram n - n "
        "- 1 postlogd\" to %s/master.cf",
        conf.postlog_service_name, conf_dir());
}

static void check_loaded(const struct conf_master *cf, struct findings *f)
{
    struct why why = WHY;

    f->master = cf;
    if (str_trim(strz(conf.inet_protocols)).n == 0)
        msg_warn("%s/main.cf: inet_protocols is empty: no service of type inet listens",
                 conf_dir());
    check_values(f);
    if (geteuid() == 0 && check_privs(&why) < 0) {
        conf_blame("default_privs", &why);
        found(f, &why);
    }
    why_clear(&why);
    if (check_log(cf, &why) < 0)
        found(f, &why);
    f->good = check_missing_main() && f->good;
    check_services(cf, f);
    why_free(&why);
}

static bool check_all(const char *in, bool with_starts)
{
    char *dir = in == NULL ? NULL : mem_dupz(in); /* it may be conf_dir(), which a load frees */
    struct findings f = {.told = hash_new(), .blamed = hash_new(), .good = true};
    struct conf_master cf = {0};
    struct why why = WHY;

    bool loaded = conf_load_telling(dir, "master", NULL, found, &f) == 0;
    if (loaded && conf_master_load(&cf, &why) < 0) {
        found(&f, &why);
        loaded = false;
    }
    if (loaded)
        check_loaded(&cf, &f);
    /* -o of the last service are loaded now */
    if (loaded && with_starts && conf_load(dir, "master", NULL, &why) == 0)
        f.good = check_starts(&cf, f.blamed) && f.good;
    conf_master_free(&cf);
    hash_free(&f.told, NULL);
    hash_free(&f.blamed, NULL);
    why_free(&why);
    free(dir);
    return f.good;
}

bool conf_check(const char *dir, bool with_starts)
{
    int status;

    msg_flush();
    pid_t pid = fork();
    if (pid == 0) {
        bool good = check_all(dir, with_starts);
        msg_flush();
        _exit(good ? 0 : 1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}
