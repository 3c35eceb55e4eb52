/*
 * CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS. RFC 3501 6.3.3 to 6.3.7, 6.3.10.
 */
#include "base/str.h"
#include "mail/utf7.h"

#include "imap.h"
#include "imap_list.h"

static void done(struct imap *c, int result, struct why *why, const char *what)
{
    if (result < 0)
        imap_no_why(c, why);
    else
        imap_ok(c, "%s completed.", what);
    why_free(why);
}

/* They make names that nobody can type, and break lists that are kept in lines. */
static bool has_controls(struct str utf8)
{
    for (size_t i = 0; i < utf8.n; i++)
        if ((unsigned char)utf8.p[i] < ' ')
            return true;
    return false;
}

/* RFC 3501 5.1.3 */
bool imap_may_create(const char *folder)
{
    struct buf utf8 = BUF(16384);
    bool good = utf7_to_utf8(strz(folder), &utf8) && buf_ok(&utf8) && !has_controls(buf_str(&utf8));

    buf_free(&utf8);
    return good;
}

/* False: the client was told. */
static bool is_new_name(struct imap *c, const char *folder)
{
    bool good = imap_may_create(folder);

    if (!good)
        imap_no(c, "[CANNOT] Invalid mailbox name: not modified UTF-7, or control characters.");
    return good;
}

void cmd_create(struct imap *c)
{
    const char *folder;
    struct why why = WHY;

    if (imap_arg_folder(c, &folder) && imap_end(c) && is_new_name(c, folder))
        done(c, store_create(c->store, folder, &why), &why, "Create");
}

void cmd_delete(struct imap *c)
{
    const char *folder;
    struct why why = WHY;

    if (!imap_arg_folder(c, &folder) || !imap_end(c))
        return;
    if (str_ieqz(STR("INBOX"), folder))
        imap_no(c, "[CANNOT] INBOX can't be deleted.");
    else
        done(c, store_remove(c->store, folder, &why), &why, "Delete");
}

void cmd_rename(struct imap *c)
{
    const char *from, *to;
    struct why why = WHY;

    if (imap_arg_folder(c, &from) && imap_arg_folder(c, &to) && imap_end(c) && is_new_name(c, to))
        done(c, store_rename(c->store, from, to, &why), &why, "Rename");
}

static void subscribe(struct imap *c, bool on)
{
    const char *folder;
    struct why why = WHY;

    if (!imap_arg_folder(c, &folder) || !imap_end(c))
        return;
    int has = on ? store_has(c->store, folder, &why) : 1;
    if (has == 0)
        why_set(&why, "5.2.0", "Mailbox doesn't exist: %s", folder);
    if (has <= 0)
        done(c, -1, &why, "Subscribe");
    else
        done(c, store_subscribe(c->store, folder, on, &why), &why,
             on ? "Subscribe" : "Unsubscribe");
}

void cmd_subscribe(struct imap *c)
{
    subscribe(c, true);
}

void cmd_unsubscribe(struct imap *c)
{
    subscribe(c, false);
}

int imap_put_status(struct imap *c, struct str folder, unsigned items, struct why *why)
{
    struct folder_status st;
    const char *gap = "";

    if (store_status(c->store, arena_strz(c->mem, folder), &st, why) < 0)
        return -1;
    const uint32_t values[] = {st.messages, st.recent, st.uidnext, st.uidvalidity, st.unseen};
    stream_putz(c->client, "* STATUS ");
    imap_put_folder(c, folder);
    stream_putz(c->client, " (");
    for (size_t i = 0; imap_status_names[i] != NULL; i++) {
        if (items >> i & 1) {
            stream_putf(c->client, "%s%s %u", gap, imap_status_names[i], values[i]);
            gap = " ";
        }
    }
    stream_putz(c->client, ")\r\n");
    return 0;
}

void cmd_status(struct imap *c)
{
    const char *folder;
    struct why why = WHY;

    if (!imap_arg_folder(c, &folder))
        return;
    unsigned items = imap_take_space(&c->args) ? imap_take_status_items(&c->args) : 0;
    if (items == 0) {
        imap_bad(c, "Error in IMAP command STATUS: Invalid status items.");
        return;
    }
    if (!imap_end(c))
        return;
    if (imap_put_status(c, strz(folder), items, &why) < 0) {
        imap_no_why(c, &why);
    } else {
        imap_updates(c, true);
        imap_ok(c, "Status completed.");
    }
    why_free(&why);
}
