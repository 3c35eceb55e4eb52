/*
 * STORE, EXPUNGE, COPY, MOVE (RFC 6851), with UIDPLUS (RFC 4315). RFC 3501 6.4.3, 6.4.6, 6.4.7.
 */
#include "base/str.h"
#include "store/uidset.h"

#include "imap.h"

static bool writable(struct imap *c)
{
    if (mailbox_read_only(c->box))
        imap_no(c, "[READ-ONLY] Mailbox is read-only.");
    return !mailbox_read_only(c->box);
}

static bool take_change(struct imap *c, struct flag_change *change)
{
    static const struct {
        const char *name;
        enum flag_op op;
        bool silent;
    } items[] = {{"FLAGS", FLAGS_SET, false},   {"FLAGS.SILENT", FLAGS_SET, true},
                 {"+FLAGS", FLAGS_ADD, false},  {"+FLAGS.SILENT", FLAGS_ADD, true},
                 {"-FLAGS", FLAGS_DROP, false}, {"-FLAGS.SILENT", FLAGS_DROP, true}};

    if (imap_take_space(&c->args)) {
        for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
            if (imap_take_word(&c->args, items[i].name)) {
                *change = (struct flag_change){.op = items[i].op, .silent = items[i].silent};
                return imap_take_space(&c->args) &&
                       imap_arg_flags(c, &change->flags, &change->keywords);
            }
        }
    }
    imap_bad(c, "Error in IMAP command STORE: Invalid arguments.");
    return false;
}

void cmd_store(struct imap *c)
{
    struct uidset which = UIDSET;
    struct flag_change change;
    struct why why = WHY;

    if (imap_arg_set(c, &which) && take_change(c, &change) && imap_end(c) && writable(c)) {
        if (mailbox_flag(c->box, &which, &change, &why) < 0) {
            imap_no_why(c, &why);
        } else {
            imap_updates(c, c->uid);
            imap_ok(c, "Store completed.");
        }
    }
    uidset_free(&which);
    why_free(&why);
}

void cmd_expunge(struct imap *c)
{
    struct uidset which = UIDSET;
    struct why why = WHY;

    if (!c->uid)
        uidset_add(&which, 1, UINT32_MAX);
    else if (!imap_arg_set(c, &which))
        return;
    if (imap_end(c) && writable(c)) {
        if (mailbox_expunge(c->box, &which, false, &why) < 0) {
            imap_no_why(c, &why);
        } else {
            imap_updates(c, true);
            imap_ok(c, "Expunge completed.");
        }
    }
    uidset_free(&which);
    why_free(&why);
}

static void copy(struct imap *c, bool move)
{
    struct uidset which = UIDSET, from = UIDSET, made = UIDSET;
    struct copied copied = {.from = &from, .made = &made};
    struct buf from_text = BUF(1 << 20), made_text = BUF(1 << 20);
    const char *folder;
    struct why why = WHY;

    if (imap_arg_set(c, &which) && imap_arg_folder(c, &folder) && imap_end(c) &&
        (!move || writable(c))) {
        bool failed = mailbox_copy(c->box, &which, folder, move, &copied, &why) < 0;
        if (failed && strcmp(why.code, "5.2.0") == 0)
            why_set(&why, "5.1.1", "Mailbox doesn't exist: %s", folder);
        const char *code = "";
        uidset_format(&from, &from_text);
        uidset_format(&made, &made_text);
        if (!failed && made.n > 0)
            code = arena_printf(c->mem, "[COPYUID %u %s %s] ", copied.uidvalidity, from_text.p,
                                made_text.p);
        if (failed) {
            imap_no_why(c, &why);
        } else if (move) { /* RFC 6851 4.3: the code comes before the EXPUNGE responses */
            if (made.n > 0)
                stream_putf(c->client, "* OK %sMoved UIDs.\r\n", code);
            imap_updates(c, true);
            imap_ok(c, "Move completed.");
        } else {
            imap_updates(c, c->uid);
            imap_ok(c, "%sCopy completed.", code);
        }
    }
    uidset_free(&which);
    uidset_free(&from);
    uidset_free(&made);
    buf_free(&from_text);
    buf_free(&made_text);
    why_free(&why);
}

void cmd_copy(struct imap *c)
{
    copy(c, false);
}

void cmd_move(struct imap *c)
{
    copy(c, true);
}
