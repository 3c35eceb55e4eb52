/*
 * NAME
 *
 * local - mail for users with accounts, their aliases and .forward files
 *
 * DESCRIPTION
 *
 * A recipient is looked up in alias_maps, with and without its address extension; what an alias
 * lists (addresses, "|command", /file/name, /directory/, :include:/file/name) gets the mail. Else
 * the user's forward_path files are looked for, then mailbox_transport, then his mailbox:
 * mailbox_command, home_mailbox, or a file in mail_spool_directory. An unknown user goes to
 * fallback_transport or luser_relay, or the mail comes back.
 *
 * Addresses that are not delivered here, and those of mailing lists (owner-NAME), go back into the
 * queue as a new message. Nothing is delivered twice to the same place (duplicate_filter_limit).
 * Mail that has been here already is known by its Delivered-To header.
 *
 * SECURITY
 *
 * Stays root only to become the recipient: files are opened and written with the rights of the
 * recipient, of who owns the alias table or :include: file, or of default_privs. Commands are run
 * by a helper process that refuses root. No network.
 *
 * STANDARDS
 *
 * RFC 5321 4.4 (Return-Path), RFC 9228 (Delivered-To), RFC 3462 (sysexits as status codes)
 *
 * FILES
 *
 * /etc/aliases.db, $HOME/.forward, $HOME/Maildir, /var/mail
 *
 * SEE ALSO
 *
 * qmgr(8), virtual(8), newaliases(1), aliases(5), postconf(5)
 */
#include "local.h"

#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "route/resolve.h"
#include "service/jail.h"
#include "service/service.h"
#include "task/task.h"

#include "deliver_mailbox.h"

enum { STACK = 1024 * 1024 };

struct local_tables local_tables;

/*
 * Nobody got it, and nobody is told so far. A list may be empty: an :include: file without an entry
 * or one that includes itself is no failure, as it is none for Postfix, but it is logged. Anything
 * else is a fault, of the configuration or ours, and must not cost mail.
 */
static void nobody_got_it(struct local *l, const struct address *a)
{
    struct why why = WHY;

    msg_warn("%s: no recipient in what <%s> expands to", l->job->d.queue_id, a->address);
    if (l->included)
        local_sent(l, a, "2.0.0", "discarded: no recipient in the expansion");
    else {
        why_set(&why, "4.3.0", "no recipient in the expansion of %s", a->address);
        local_failed(l, a, &why);
    }
    why_free(&why);
}

static void deliver_to(struct job *job, size_t i)
{
    struct local l = {
        .job = job,
        .rcpt = &job->d.rcpts[i],
        .mem = arena_new(job->mem),
        .seen = hash_new(),
        .visited = hash_new(),
        .status = RCPT_DELIVERED,
    };
    struct address a = {
        .address = job->d.rcpts[i].address,
        .unmatched = "",
        .owner = "",
        .sender = job->d.sender,
        .delivered = "",
        .expanded = "",
        .rights = {.user = "", .home = "", .shell = ""},
    };

    l.resend = resend_new(&l);
    local_recipient(&l, &a);
    resend_end(&l.resend, l.status == RCPT_DEFERRED); /* all of it comes again then */
    if (!l.said)
        nobody_got_it(&l, &a);
    outcome_finish(&job->outcome, i, l.status);
    hash_free(&l.seen, NULL);
    hash_free(&l.visited, NULL);
    hash_free(&l.delivered_to, NULL);
    arena_free(&l.mem);
}

static void local_deliver(struct job *job)
{
    for (size_t i = 0; i < job->d.nrcpts; i++)
        deliver_to(job, i);
}

static void local_request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    agent_serve(ask, answer, mem, service_name(), local_deliver);
}

static struct maps *open_maps(const char *parameter, const char *specs)
{
    /* What strangers send must not become part of a command by $1. */
    return *specs == 0 ? NULL : maps_open(parameter, specs, DICT_FOLD | DICT_NO_GROUPS);
}

/* See is_safe() of local_mailbox.c: such mail has nowhere to go. */
static void warn_of_root(void)
{
    struct str spool = strz(conf.mail_spool_directory);
    struct buf value = BUF(DICT_VALUE_LIMIT); /* fits: or the lookup fails, which is told */
    struct why why = WHY;
    bool elsewhere = conf.mailbox_command[0] != 0 || conf.mailbox_transport[0] != 0 ||
                     conf.mailbox_command_maps[0] != 0 || conf.mailbox_transport_maps[0] != 0;

    if (!elsewhere && (conf.home_mailbox[0] != 0 || str_ends(spool, STR("/"))) &&
        (local_tables.aliases == NULL ||
         maps_find(local_tables.aliases, "root", &value, &why) == DICT_NONE))
        msg_warn("alias_maps: there is no alias for root: mail for root waits, because nothing is "
                 "delivered with root's rights");
    buf_free(&value);
    why_free(&why);
}

static void open_tables(void)
{
    task_setup(&(struct task_settings){.stack_size = STACK}); /* aliases nest */
    resolve_open();
    local_tables.aliases = open_maps("alias_maps", conf.alias_maps);
    local_tables.mailbox_commands = open_maps("mailbox_command_maps", conf.mailbox_command_maps);
    local_tables.mailbox_transports =
        open_maps("mailbox_transport_maps", conf.mailbox_transport_maps);
    local_tables.fallback_transports =
        open_maps("fallback_transport_maps", conf.fallback_transport_maps);
    local_user_open();
    deliver_mailbox_open();
    if (service_trying() && geteuid() == 0)
        warn_of_root();
}

/* Homes and files can be anywhere; what may be touched there, the rights of their owners say. */
static void local_paths(void)
{
    jail_write("/");
}

int main(int argc, char **argv)
{
    static const struct service local = {
        .name = "local",
        .rights = RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC | RIGHT_SETUID | RIGHT_ROOT,
        .open = open_tables,
        .paths = local_paths,
        .request = local_request,
        .request_limit = DELIVERY_MAX,
    };
    return service_main(&local, argc, argv);
}
