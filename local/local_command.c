/*
 * A command that gets the message, run with the rights of who named it.
 */
#include "base/clock.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/path.h"

#include "command.h"
#include "content.h"
#include "local.h"

enum { PREPEND_LIMIT = 1024 * 1024 };

static void put_environment(struct local *l, const struct address *a, const struct rights *r,
                            struct command_env *e)
{
    const char *filter = conf.command_expansion_filter;
    const struct delivery *d = &l->job->d;
    const struct {
        const char *name, *value;
    } outside[] = {
        {"RECIPIENT", a->address},
        {"ORIGINAL_RECIPIENT", *l->rcpt->original != 0 ? l->rcpt->original : l->rcpt->address},
        {"LOCAL", a->local},
        {"EXTENSION", a->ext},
        {"DOMAIN", a->domain},
        {"CLIENT_ADDRESS", d->client_addr},
        {"CLIENT_HELO", d->client_helo},
        {"CLIENT_HOSTNAME", d->client_name},
        {"CLIENT_PROTOCOL", d->client_proto},
        {"SASL_METHOD", d->sasl_method},
        {"SASL_SENDER", d->sasl_sender},
        {"SASL_USERNAME", d->sasl_username},
    };

    command_env_put(e, "PATH", "/usr/bin:/bin", NULL);
    command_env_export(e);
    if (*r->home != 0)
        command_env_put(e, "HOME", r->home, NULL);
    bool known = a->rights.uid != 0; /* else default_privs act for the alias */
    command_env_put(e, "USER", known ? r->user : a->user, known ? NULL : filter);
    command_env_put(e, "LOGNAME", known ? r->user : a->user, known ? NULL : filter);
    if (known)
        command_env_put(e, "SHELL", r->shell, NULL);
    command_env_put(e, "SENDER", a->sender, filter); /* empty for the null sender, as Postfix's */
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        if (*outside[i].value != 0)
            command_env_put(e, outside[i].name, outside[i].value, filter);
}

static int local_command_run(struct local *l, const struct address *a, const struct rights *r,
                             const char *command, struct why *why)
{
    struct command_env env = {.mem = l->mem};
    struct buf prepend = BUF(PREPEND_LIMIT), dir = BUF(8192);
    int status;

    content_from_line(&prepend, a->sender, clock_wall());
    content_prepend(&prepend, a->sender, l->rcpt->original,
                    str_listed(conf.prepend_delivered_header, "command") ? a->delivered : "");
    put_environment(l, a, r, &env);
    local_expand(l, a, conf.command_execution_directory, conf.execution_directory_expansion_filter,
                 &dir);
    struct command c = {
        .argv = command_argv(l->mem, command, conf.local_command_shell),
        .shown = command,
        .uid = r->uid,
        .gid = r->gid,
        .dir = dir.n > 0 ? dir.p : ".", /* the queue directory, local(8) of Postfix */
        .env = env.at,
        .time_limit_s = conf.command_time_limit,
        .prepend = prepend.p,
        .eol = "\n",
    };
    if (buf_ok(&prepend) && buf_ok(&dir))
        status = command_run(l->job, &c, why);
    else
        status = why_set(why, "5.3.0", "an address or a directory is too long");
    buf_free(&prepend);
    buf_free(&dir);
    return status;
}

void local_command(struct local *l, const struct address *a, const char *command)
{
    struct rights rights = a->rights;
    struct buf text = BUF_TEXT(8192);
    struct why why = WHY;

    if (rights.uid == 0 && local_default_rights(&rights, &why) < 0)
        local_failed(l, a, &why);
    else if (!local_seen(l, "command %s:%ld %s", rights.home, (long)rights.uid, command)) {
        bool trace = local_trace_only(l);
        if (!trace && local_command_run(l, a, &rights, command, &why) < 0)
            local_failed(l, a, &why);
        else {
            buf_addf(&text, "%s to command: %s", trace ? "delivers" : "delivered", command);
            local_sent(l, a, "2.0.0", text.p);
        }
    }
    buf_free(&text);
    why_free(&why);
}
