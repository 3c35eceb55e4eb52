/*
 * The user's own mailbox: mailbox_command, home_mailbox, or a file in mail_spool_directory.
 */
#include "base/str.h"
#include "conf/conf.h"

#include "deliver_mailbox.h"
#include "local.h"

enum { PATH_LIMIT = 8192 };

/* Which of them; false: a command had it. */
static bool find_path(const struct address *a, struct buf *path, bool *in_spool)
{
    *in_spool = *conf.home_mailbox == 0;
    if (!*in_spool) {
        buf_addf(path, "%s/%s", a->rights.home, conf.home_mailbox);
        return true;
    }
    struct str dir = strz(conf.mail_spool_directory);
    bool maildir = dir.n > 0 && dir.p[dir.n - 1] == '/';
    buf_add(path, dir);
    buf_addf(path, "%s%s%s", maildir ? "" : "/", a->rights.user, maildir ? "/" : "");
    return true;
}

static bool to_command(struct local *l, const struct address *a, struct why *why, int *status)
{
    struct buf command = BUF(DICT_VALUE_LIMIT);
    enum dict_answer answer = maps_find(local_tables.mailbox_commands, a->user, &command, why);

    if (answer == DICT_NONE)
        buf_setz(&command, conf.mailbox_command);
    bool has = answer != DICT_FAILED && command.n > 0;
    *status = answer == DICT_FAILED ? -1 : 0;
    if (has)
        local_command(l, a, command.p);
    buf_free(&command);
    return has;
}

/*
 * Mail for root goes into his file of the spool, as with Postfix, or to mailbox_command with the
 * rights of default_privs. It is not written anywhere below a directory that others may own: what
 * root may do is not for what strangers send.
 */
static bool is_safe(const struct address *a, bool in_spool, bool maildir)
{
    return (a->rights.uid != 0 && a->rights.gid != 0) || (in_spool && !maildir);
}

/* In Postfix's words. */
static void tell_where(struct why *why, const char *path, const char *user)
{
    struct why was = WHY;

    why_copy(&was, why);
    why_set(why, was.code, "cannot update mailbox %s for user %s. %s", path, user, why_text(&was));
    why_free(&was);
}

static int to_mailbox(struct local *l, const struct address *a, const char **text, struct why *why)
{
    struct buf path = BUF(PATH_LIMIT);
    struct mailbox_target t = {
        .uid = a->rights.uid,
        .gid = a->rights.gid,
        .original = l->rcpt->original,
        .delivered = conf.frozen_delivered_to ? a->delivered : a->address,
        .size_limit = conf.mailbox_size_limit,
        .locks = conf.mailbox_delivery_lock,
        .check_owner = conf.strict_mailbox_ownership,
        .give_back = true,
    };
    int status = 0;

    find_path(a, &path, &t.in_spool);
    t.path = path.p;
    bool maildir = path.n > 0 && path.p[path.n - 1] == '/';
    if (!buf_ok(&path))
        status = why_set(why, "5.2.0", "the path of the mailbox is too long");
    else if (!is_safe(a, t.in_spool, maildir))
        status =
            why_set(why, "4.3.5", "mail for a privileged user: an alias for %s is needed", a->user);
    else if (local_trace_only(l))
        *text = maildir ? "delivers to maildir" : "delivers to mailbox";
    else {
        *text = maildir ? "delivered to maildir" : "delivered to mailbox";
        status = maildir ? deliver_maildir(l->job, &t, why) : deliver_mbox(l->job, &t, why);
        if (status < 0 && !maildir)
            tell_where(why, t.path, a->user);
    }
    buf_free(&path);
    return status;
}

bool local_mailbox(struct local *l, const struct address *from)
{
    struct address a = *from;
    struct why why = WHY;
    const char *text = "";
    int status;

    int found = local_user(l->mem, a.user, &a.rights, &why);
    if (found == 0)
        return false;
    if (found < 0)
        local_failed(l, &a, &why);
    else if (!to_command(l, &a, &why, &status)) {
        if (status == 0)
            status = to_mailbox(l, &a, &text, &why);
        if (status < 0)
            local_failed(l, &a, &why);
        else
            local_sent(l, &a, "2.0.0", text);
    }
    why_free(&why);
    return true;
}
