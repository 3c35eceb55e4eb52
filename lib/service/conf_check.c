#include "service/conf_check.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/auth_settings.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "base/why.h"
#include "conf/conf.h"
#include "conf/conf_master.h"
#include "mail/domain.h"
#include "service/check_missing.h"
#include "service/check_start.h"
#include "service/interfaces.h"

static int check_protocols(struct why *why)
{
    struct str rest = strz(conf.inet_protocols), word;

    while (str_word(&rest, ", \t\r\n", &word))
        if (!str_eqz(word, "all") && !str_eqz(word, "ipv4") && !str_eqz(word, "ipv6"))
            return why_set(why, "4.3.5", "\"%.*s\" is none of all, ipv4 and ipv6", (int)word.n,
                           word.p);
    return 0;
}

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
    else if (str_split(&rest, ':', &part))
        why_set(why, "4.3.5", "there is no option \"%.*s\"; write maildir:%.*s", (int)part.n,
                part.p, (int)path.n, path.p);
    else
        return 0;
    return conf_blame("mail_location", why);
}

/* What conf_load does not know of values. */
static int check_values(struct why *why)
{
    if (check_protocols(why) < 0)
        return conf_blame("inet_protocols", why);
    if (conf_check_pop3(why) < 0)
        return -1;
    bool domain_first = !conf_is_set("myhostname"); /* each gives the other its default */
    if (domain_first && check_name(conf.mydomain, why) < 0)
        return conf_blame("mydomain", why);
    if (check_name(conf.myhostname, why) < 0)
        return conf_blame("myhostname", why);
    if (check_name(conf.mydomain, why) < 0)
        return conf_blame("mydomain", why);
    return check_origin(why) < 0 ? -1 : check_mail_location(why);
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

static int in_service(const struct conf_service *s, struct why *why)
{
    return why_in(why, "%s/master.cf, line %u: service %s", conf_dir(), s->first_line, s->name);
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

/* As the service's processes will load it. */
static int check_options(const char *dir, const struct conf_service *s, struct why *why)
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
    int result = conf_load(dir, s->name, overrides, why);
    if (result == 0)
        result = check_values(why);
    if (result == 0)
        result = check_agent(s, why);
    if (result == 0 && strcmp(s->command, "authd") == 0)
        result = auth_check_settings(why);
    for (size_t i = 0; i < s->noptions; i++)
        free((char *)(uintptr_t)overrides[i]);
    free(overrides);
    buf_free(&text);
    return result;
}

/* Says what is wrong, if something is, and forgets it. */
static bool good(int result, struct why *why)
{
    if (result < 0)
        msg_error("%s", why_text(why));
    why_clear(why);
    return result == 0;
}

static bool check_services(const struct conf_master *cf, struct why *why)
{
    char *dir = mem_dupz(conf_dir());
    bool all_good = true;

    for (size_t i = 0; i < cf->n; i++) {
        const struct conf_service *s = &cf->at[i];
        if (conf_master_disabled(s))
            continue;
        if (conf_master_again(cf, s))
            msg_warn("%s/master.cf, line %u: duplicate entry for service %s (%s) -- using the "
                     "last entry",
                     conf_dir(), s->first_line, s->name, conf_service_type_name(s->type));
        else if (s->type == SERVICE_INET && check_inet(s, why) < 0)
            all_good = good(in_service(s, why), why);
    }
    for (size_t i = 0; i < cf->n; i++) {
        const struct conf_service *s = &cf->at[i];
        if (conf_master_disabled(s) || conf_master_again(cf, s))
            continue;
        if (check_options(dir, s, why) < 0)
            all_good = good(in_service(s, why), why);
        else if (!check_missing_service(s))
            all_good = false;
    }
    free(dir);
    return all_good;
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

static bool check_all(const char *dir)
{
    struct why why = WHY;
    struct conf_master cf = {0};

    if (!good(conf_load(dir, "master", NULL, &why), &why) || !good(check_values(&why), &why) ||
        !good(conf_master_load(&cf, &why), &why))
        return false;
    if (str_trim(strz(conf.inet_protocols)).n == 0)
        msg_warn("%s/main.cf: inet_protocols is empty: no service of type inet listens",
                 conf_dir());
    bool privs = true;
    if (geteuid() == 0 && check_privs(&why) < 0)
        privs = good(conf_blame("default_privs", &why), &why);
    bool all_good = good(check_log(&cf, &why), &why);
    all_good = check_missing_main() && all_good;
    all_good = check_services(&cf, &why) && all_good && privs;
    conf_master_free(&cf);
    why_free(&why);
    return all_good;
}

static bool try_all(const char *dir)
{
    struct why why = WHY;
    struct conf_master cf = {0};

    bool all_good = good(conf_load(dir, "master", NULL, &why), &why) &&
                    good(conf_master_load(&cf, &why), &why) && check_starts(&cf);
    conf_master_free(&cf);
    why_free(&why);
    return all_good;
}

static bool apart(bool (*check)(const char *dir), const char *dir)
{
    int status;

    msg_flush();
    pid_t pid = fork();
    if (pid == 0) {
        bool all_good = check(dir);
        msg_flush();
        _exit(all_good ? 0 : 1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

bool conf_check(const char *dir)
{
    return apart(check_all, dir);
}

bool conf_check_starts(const char *dir)
{
    return apart(try_all, dir);
}
