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
                return imap_take_space(&c->args) && imap_arg_flags(c, change);
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

/* "[COPYUID 38505 304,319:320 3956:3958] ", or "" if nothing was copied. RFC 4315 3 */
static const char *copyuid(struct imap *c, const struct copied *copied)
{
    enum { RANGE = 22 }; /* "4294967294:4294967295," */
    struct buf from = BUF(copied->from->n * RANGE), made = BUF(copied->made->n * RANGE);
    const char *code = "";

    uidset_format(copied->from, &from);
    uidset_format(copied->made, &made);
    if (!buf_ok(&from) || !buf_ok(&made)) /* never: there is room for each range */
        stream_fail(c->client, "a response cannot be made");
    else if (made.n > 0)
        code = arena_printf(c->mem, "[COPYUID %u %s %s] ", copied->uidvalidity, from.p, made.p);
    buf_free(&from);
    buf_free(&made);
    return code;
}

/* RFC 2180 4.4.1: COPY of a message that another session has expunged fails as a whole, and then
 * the client has to hear of the expunge. A UID that is not there is passed over: RFC 3501 6.4.8. */
static bool all_there(struct imap *c, const struct uidset *uids)
{
    struct why why = WHY;
    uint32_t cursor_uid = 0;
    size_t cursor = 0;
    bool there = true;

    if (c->uid || mailbox_check(c->box, &why) < 0) {
        why_free(&why);
        return true; /* if the folder is gone, copying says so */
    }
    while (there && uidset_next(uids, &cursor, &cursor_uid))
        there = !mailbox_is_expunged(c->box, mailbox_number(c->box, cursor_uid));
    if (!there) {
        imap_updates(c, true);
        imap_no(c, "[EXPUNGEISSUED] Some of the requested messages no longer exist.");
    }
    return there;
}

static void answer_copied(struct imap *c, const struct copied *copied, bool move)
{
    const char *code = copyuid(c, copied);

    if (!move) {
        imap_updates(c, c->uid);
        imap_ok(c, "%sCopy completed.", code);
        return;
    }
    if (*code != '\0') { /* RFC 6851 4.3: the code comes before the EXPUNGE responses */
        stream_putz(c->client, "* OK ");
        stream_putz(c->client, code);
        stream_putz(c->client, "Moved UIDs.\r\n");
    }
    imap_updates(c, true);
    imap_ok(c, "Move completed.");
}

static void copy(struct imap *c, bool move)
{
    struct uidset which = UIDSET, from = UIDSET, made = UIDSET;
    struct copied copied = {.from = &from, .made = &made};
    const char *folder;
    struct why why = WHY;

    if (imap_arg_set(c, &which) && imap_arg_folder(c, &folder) && imap_end(c) &&
        (!move || writable(c)) && all_there(c, &which)) {
        if (mailbox_copy(c->box, &which, folder, move, &copied, &why) == 0) {
            answer_copied(c, &copied, move);
        } else {
            if (strcmp(why.code, "5.2.0") == 0 && imap_may_create(folder))
                why_set(&why, "5.1.1", "Mailbox doesn't exist: %s", folder);
            imap_no_why(c, &why);
        }
    }
    uidset_free(&which);
    uidset_free(&from);
    uidset_free(&made);
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
