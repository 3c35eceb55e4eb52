/*
 * Names in the configuration that nothing stands behind: misspelt parameters, transports that
 * master.cf does not have, a login socket that nobody makes. Postfix runs with all of them, so
 * these are warnings.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_master.h"
#include "conf/conf_missing.h"
#include "conf/conf_param.h"
#include "dict/dict.h"

#include "pombal_check.h"

enum { OUTPUT_LIMIT = 1 << 20 };

static void __attribute__((noreturn)) become_postconf(int errors)
{
    struct buf path = BUF(4096);
    int null = open("/dev/null", O_RDWR);

    buf_addf(&path, "%s/postconf", conf.command_directory);
    const char *argv[] = {path.p, "-c", conf_dir(), "-n", NULL};
    if (buf_ok(&path) && null >= 0 && dup2(null, 0) >= 0 && dup2(null, 1) >= 0 &&
        dup2(errors, 2) >= 0)
        execv(path.p, (char *const *)(uintptr_t)argv);
    _exit(1);
}

/* What postconf says of the configuration; nothing if it cannot be run. */
static void ask_postconf(struct buf *said)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    msg_flush();
    pid_t pid = fork();
    if (pid == 0)
        become_postconf(ends[1]);
    close(ends[1]);
    if (file_read_fd(ends[0], said) < 0)
        buf_clear(said);
    close(ends[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* postconf knows which names services, restriction classes and tables bring with them. */
static void check_parameters(void)
{
    struct buf said = BUF_TEXT(OUTPUT_LIMIT);
    struct str rest, line;

    ask_postconf(&said);
    rest = buf_str(&said);
    while (str_split(&rest, '\n', &line)) {
        ptrdiff_t at = str_search(line, STR("warning: "));
        struct str text = str_from(line, at < 0 ? line.n : (size_t)at + strlen("warning: "));
        if (str_search(text, STR(": unused parameter: ")) > 0)
            msg_warn("%.*s: nothing uses this name; is it spelt correctly?", (int)text.n, text.p);
        else if (str_search(text, STR(": undefined parameter: ")) > 0)
            msg_warn("%.*s: it counts as empty", (int)text.n, text.p);
    }
    buf_free(&said);
}

static bool is_offered(const struct conf_master *cf, struct str name)
{
    for (size_t i = 0; i < cf->n; i++)
        if (cf->at[i].type == SERVICE_UNIX && str_eqz(name, cf->at[i].name) &&
            !conf_master_disabled(&cf->at[i]))
            return true;
    return false;
}

static bool runs(const struct conf_master *cf, const char *program)
{
    for (size_t i = 0; i < cf->n; i++)
        if (strcmp(cf->at[i].command, program) == 0 && !conf_master_disabled(&cf->at[i]))
            return true;
    return false;
}

/* What a client is handed on to. */
static void check_login_services(const struct conf_master *cf)
{
    const char *needs[][4] = {
        {"imapd", conf.auth_service_name, conf.mailbox_service_name, "imap"},
        {"pop3d", conf.auth_service_name, conf.mailbox_service_name, "pop3"},
    };

    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        for (size_t j = 1; j < 4 && runs(cf, needs[i][0]); j++)
            if (!is_offered(cf, strz(needs[i][j])))
                msg_warn("%s/master.cf has no service \"%s\" of type unix, which %s needs: nobody "
                         "can log in",
                         conf_dir(), needs[i][j], needs[i][0]);
}

/* "lmtp:unix:path": what listens there may be started later. */
static void check_lmtp_socket(const char *name, struct str destination)
{
    struct buf path = BUF(4096);
    struct why why = WHY;
    struct stat st;

    if (str_starts(destination, STR("unix:"))) {
        destination = str_from(destination, strlen("unix:"));
        if (destination.n > 0 && destination.p[0] != '/')
            buf_addf(&path, "%s/", conf.queue_directory);
        buf_add(&path, destination);
        if (buf_ok(&path) && stat(path.p, &st) < 0) {
            why_set(&why, "4.3.5", "%.*s: %m: mail for it waits until somebody listens there",
                    (int)destination.n, destination.p);
            conf_blame(name, &why);
            msg_warn("%s", why_text(&why));
        }
    }
    buf_free(&path);
    why_free(&why);
}

/* Nobody opens it but postdrop, for each message; what is built check_tables() has looked at. */
static void check_senders(void)
{
    struct str rest = strz(conf.local_login_sender_maps), word;
    struct buf spec = BUF(strlen(conf.local_login_sender_maps)); /* fits: a part of it */
    struct why why = WHY;

    while (str_word_braces(&rest, ", \t\r\n", &word)) {
        bool is_built = str_starts(word, STR("hash:")) || str_starts(word, STR("btree:"));
        buf_set(&spec, word);
        struct dict *d = is_built ? NULL : dict_open(spec.p, DICT_READ, 0, &why);
        if (d != NULL) {
            dict_close(&d);
        } else if (!is_built) {
            conf_blame("local_login_sender_maps", &why);
            msg_warn("%s: local programs cannot hand in mail", why_text(&why));
        }
        why_clear(&why);
    }
    buf_free(&spec);
    why_free(&why);
}

/* As local(8) would run it: the shell looks for a name without directory. */
static void check_mailbox_command(void)
{
    struct str rest = strz(conf.mailbox_command), word;
    struct buf path = BUF(4096);
    struct why why = WHY;

    if (conf.mailbox_transport[0] == 0 && str_word(&rest, " \t", &word) && word.p[0] == '/') {
        buf_add(&path, word);
        if (buf_ok(&path) && strpbrk(path.p, "$`'\"\\|;&<>()") == NULL &&
            access(path.p, X_OK) < 0) {
            why_set(&why, "4.3.5", "%s: %m: mail for local users bounces", path.p);
            conf_blame("mailbox_command", &why);
            msg_warn("%s", why_text(&why));
        }
    }
    buf_free(&path);
    why_free(&why);
}

/* "transport:nexthop" of a parameter that is set; the part before the colon is a service. */
static void check_transports(const struct conf_master *cf)
{
    static const char *const names[] = {
        "content_filter",    "default_transport", "fallback_transport", "local_transport",
        "mailbox_transport", "relay_transport",   "virtual_transport"};

    struct why why = WHY;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct str rest = strz(conf_is_set(names[i]) ? conf_find(names[i]) : NULL), name;
        if (!str_split(&rest, ':', &name) || name.n == 0)
            continue;
        if (is_offered(cf, name)) {
            check_lmtp_socket(names[i], rest);
            continue;
        }
        why_set(&why, "4.3.5", "master.cf has no service \"%.*s\" of type unix: mail for it waits",
                (int)name.n, name.p);
        conf_blame(names[i], &why);
        msg_warn("%s", why_text(&why));
        why_clear(&why);
    }
    why_free(&why);
}

static bool asks_for_logins(const struct conf_master *cf)
{
    bool asks = conf.smtpd_sasl_auth_enable;

    if (strcmp(conf.smtpd_sasl_type, "dovecot") != 0)
        return false; /* smtpd refuses the others */
    for (size_t i = 0; i < cf->n; i++)
        for (size_t j = 0; !conf_master_disabled(&cf->at[i]) && j < cf->at[i].noptions; j++)
            asks = asks || (strcmp(cf->at[i].options[j].name, "smtpd_sasl_auth_enable") == 0 &&
                            str_ieqz(strz(cf->at[i].options[j].value), "yes"));
    return asks;
}

bool pombal_sasl_socket(struct buf *path)
{
    struct str socket = strz(conf.smtpd_sasl_path);

    if (str_starts(socket, STR("unix:")))
        socket = str_from(socket, 5);
    if (!str_starts(socket, STR("/")))
        buf_addf(path, "%s/", conf.queue_directory);
    buf_add(path, socket);
    return !str_starts(socket, STR("inet:"));
}

/* Of authd, which a line of master.cf starts, or of Dovecot, which may be started later. */
static void check_login_socket(const struct conf_master *cf)
{
    struct buf path = BUF(4096);
    struct str socket = strz(conf.smtpd_sasl_path), name = socket;
    bool is_socket = pombal_sasl_socket(&path);
    struct stat st;

    if (str_starts(name, STR("private/")))
        name = str_from(name, strlen("private/"));
    if (asks_for_logins(cf) && is_socket && buf_ok(&path) && !is_offered(cf, name) &&
        stat(path.p, &st) < 0)
        msg_warn(
            "smtpd_sasl_path = %.*s: %s: %m, and master.cf has no service that makes it: nobody "
            "can log in until Dovecot does. For authd, set smtpd_sasl_path = private/auth and "
            "add \"auth unix - - n - 1 authd\"",
            (int)socket.n, socket.p, path.p);
    buf_free(&path);
}

void pombal_check_names(void)
{
    struct conf_master cf = {0};
    struct why why = WHY;

    check_parameters();
    if (conf_master_load(&cf, &why) == 0) { /* else conf_check has said why */
        check_transports(&cf);
        check_login_socket(&cf);
        check_login_services(&cf);
    }
    check_mailbox_command();
    check_senders();
    conf_master_free(&cf);
    why_free(&why);
}
