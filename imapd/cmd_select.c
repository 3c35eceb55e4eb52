/*
 * SELECT, EXAMINE, CLOSE, UNSELECT (RFC 3691). RFC 3501 6.3.1, 6.3.2, 6.4.2.
 */
#include "base/str.h"
#include "store/uidset.h"

#include "imap.h"

static void describe(struct imap *c)
{
    uint32_t unseen = mailbox_first_unseen(c->box);

    imap_tell(c, IMAP_FLAGS, 0);
    imap_tell(c, IMAP_EXISTS, mailbox_count(c->box));
    imap_tell(c, IMAP_RECENT, mailbox_recent_count(c->box));
    if (unseen > 0)
        stream_putf(c->client, "* OK [UNSEEN %u] First unseen.\r\n", unseen);
    stream_putf(c->client, "* OK [UIDVALIDITY %u] UIDs valid\r\n", mailbox_uidvalidity(c->box));
    stream_putf(c->client, "* OK [UIDNEXT %u] Predicted next UID\r\n", mailbox_uidnext(c->box));
}

void imap_close_folder(struct imap *c)
{
    fetch_forget(c);
    mailbox_close(&c->box);
}

static void open_folder(struct imap *c, bool read_only)
{
    const char *folder;
    struct why why = WHY;

    if (!imap_arg_folder(c, &folder) || !imap_end(c))
        return;
    if (c->box != NULL) /* RFC 7162 3.2.11 */
        stream_putz(c->client, "* OK [CLOSED] Previous mailbox closed.\r\n");
    imap_close_folder(c); /* also when the new one cannot be opened: RFC 3501 6.3.1 */
    c->box = mailbox_open(c->store, folder, read_only, &why);
    if (c->box == NULL) {
        imap_no_why(c, &why);
    } else {
        describe(c);
        imap_ok(c, "[READ-%s] %s completed.", mailbox_read_only(c->box) ? "ONLY" : "WRITE",
                read_only ? "Examine" : "Select");
    }
    why_free(&why);
}

void cmd_select(struct imap *c)
{
    open_folder(c, false);
}

void cmd_examine(struct imap *c)
{
    open_folder(c, true);
}

void cmd_unselect(struct imap *c)
{
    if (!imap_end(c))
        return;
    imap_close_folder(c);
    imap_ok(c, "Unselect completed.");
}

void cmd_close(struct imap *c)
{
    struct uidset all = UIDSET;
    struct why why = WHY;

    if (!imap_end(c))
        return;
    uidset_add(&all, 1, UINT32_MAX);
    if (!mailbox_read_only(c->box) && mailbox_expunge(c->box, &all, false, &why) < 0) {
        imap_no_why(c, &why);
    } else {
        imap_close_folder(c);
        imap_ok(c, "Close completed.");
    }
    uidset_free(&all);
    why_free(&why);
}
