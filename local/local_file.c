/*
 * A file that an alias or .forward names: /file is an mbox, /directory/ a Maildir.
 */
#include "base/str.h"
#include "conf/conf.h"

#include "deliver_mailbox.h"
#include "local.h"

static int local_file_deliver(struct local *l, const struct address *a, const struct rights *rights,
                              const char *path, struct why *why)
{
    struct mailbox_target t = {
        .path = path,
        .uid = rights->uid,
        .gid = rights->gid,
        .original = l->rcpt->original,
        .delivered = str_listed(conf.prepend_delivered_header, "file") ? a->delivered : "",
        .size_limit = conf.mailbox_size_limit,
        .locks = conf.mailbox_delivery_lock,
        .any_file = true,
        .give_back = true,
    };

    if (path[strlen(path) - 1] == '/')
        return deliver_maildir(l->job, &t, why);
    int status = deliver_mbox(l->job, &t, why);
    if (status < 0)
        why_in(why, "cannot append message to file %s", path);
    return status;
}

void local_file(struct local *l, const struct address *a, const char *path)
{
    struct rights rights = a->rights;
    struct buf text = BUF_TEXT(8192);
    struct why why = WHY;

    if (rights.uid == 0 && local_default_rights(&rights, &why) < 0)
        local_failed(l, a, &why);
    else if (!local_seen(l, "file %ld %s", (long)rights.uid, path)) {
        bool trace = local_trace_only(l);
        if (!trace && local_file_deliver(l, a, &rights, path, &why) < 0)
            local_failed(l, a, &why);
        else {
            buf_addf(&text, "%s to ", trace ? "delivers" : "delivered");
            if (path[strlen(path) - 1] == '/')
                buf_addz(&text, "maildir");
            else
                buf_addf(&text, "file: %s", path);
            local_sent(l, a, "2.0.0", text.p);
        }
    }
    buf_free(&text);
    why_free(&why);
}
