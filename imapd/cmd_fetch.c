/*
 * FETCH. RFC 3501 6.4.5, 7.4.2.
 */
#include "base/clock.h"
#include "base/msg.h"
#include "mail/date.h"
#include "mail/imap_text.h"
#include "store/uidset.h"

#include "imap.h"
#include "imap_fetch.h"

enum { BATCH = 256 }; /* messages that are made \Seen with one record */

/* ---- items: each finds what it needs first, and only then begins its text ---- */

void fetch_label(struct imap *c, struct fetching *m, const char *label)
{
    if (m->begun)
        stream_putc(c->client, ' ');
    m->begun = true;
    stream_putz(c->client, label);
}

static bool put_date(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    struct buf text = BUF_TEXT(64);
    struct tm tm;
    int64_t received;
    int offset;

    (void)item;
    if (mailbox_received(c->box, m->number, &received, m->why) < 0)
        return false;
    clock_local(received, &tm, &offset);
    date_imap_format(received, offset, &text);
    fetch_label(c, m, "INTERNALDATE ");
    stream_putf(c->client, "\"%s\"", text.p);
    buf_free(&text);
    return true;
}

static bool cached(struct imap *c, struct fetching *m, enum cached what, struct str *text)
{
    enum { LABEL = 100 };

    if (mailbox_cached(c->box, m->number, what, text, m->why) < 0)
        return false;
    if (!stream_fits(c->client, text->n + LABEL))
        *text = arena_str(c->mem, *text); /* putting waits */
    return true;
}

static bool put_envelope(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    struct str text;

    (void)item;
    if (!cached(c, m, CACHED_ENVELOPE, &text))
        return false;
    fetch_label(c, m, "ENVELOPE ");
    stream_put(c->client, text);
    return true;
}

static bool put_structure(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    struct str text;

    (void)item;
    if (!cached(c, m, CACHED_STRUCTURE, &text))
        return false;
    fetch_label(c, m, "BODYSTRUCTURE ");
    stream_put(c->client, text);
    return true;
}

/* BODY is BODYSTRUCTURE without the extension data, so never longer. */
static bool put_body(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    struct str text;

    (void)item;
    if (!cached(c, m, CACHED_STRUCTURE, &text))
        return false;
    struct buf body = BUF(text.n);
    bool good = imap_text_body(text, &body) && buf_ok(&body);
    if (good) {
        fetch_label(c, m, "BODY ");
        stream_put(c->client, buf_str(&body));
    } else {
        why_set(m->why, "5.3.4", "the structure of a message is too large");
    }
    buf_free(&body);
    return good;
}

static bool put_size(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    uint64_t size;

    (void)item;
    if (mailbox_size(c->box, m->number, &size, m->why) < 0)
        return false;
    fetch_label(c, m, "RFC822.SIZE ");
    imap_put_number(c, size);
    return true;
}

static bool put_flags(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    (void)item;
    fetch_label(c, m, "FLAGS ");
    imap_put_flags(c, m->number);
    return true;
}

static bool put_uid(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    (void)item;
    fetch_label(c, m, "UID ");
    imap_put_number(c, m->uid);
    return true;
}

/*
 * What stands for an item of a message that another session has expunged (RFC 2180 4.1.3): clients
 * know these from Dovecot. Null: the item is always known, or is a section, which is NIL.
 */
static const struct {
    bool (*put)(struct imap *c, struct fetching *m, const struct fetch_item *item);
    const char *gone;
} kinds[] = {
    [FETCH_BODY] = {put_body, "BODY (\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)"},
    [FETCH_BODYSTRUCTURE] =
        {put_structure,
         "BODYSTRUCTURE (\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)"},
    [FETCH_ENVELOPE] = {put_envelope, "ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
    [FETCH_FLAGS] = {put_flags, NULL},
    [FETCH_INTERNALDATE] = {put_date, "INTERNALDATE \"01-Jan-1970 00:00:00 +0000\""},
    [FETCH_SIZE] = {put_size, "RFC822.SIZE 0"},
    [FETCH_UID] = {put_uid, NULL},
    [FETCH_SECTION] = {fetch_put_section, NULL},
};

static void put_gone(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    if (kinds[item->what].gone != NULL)
        fetch_label(c, m, kinds[item->what].gone);
    else
        fetch_put_nil(c, m, item);
}

/* ---- messages ---- */

static bool is_gone(const struct why *why)
{
    return strcmp(why->code, "5.2.0") == 0;
}

/* False: the item could not be had. Of a message that is gone something stands in its place; of one
 * that cannot be read it is left out, and the whole command fails for that. */
static bool put_item(struct imap *c, struct fetching *m, const struct fetch_item *item,
                     struct why *why)
{
    struct why missing = WHY;

    m->why = &missing;
    bool good = kinds[item->what].put(c, m, item);
    if (!good && is_gone(&missing))
        put_gone(c, m, item);
    if (!good && (why->code[0] == '\0' || is_gone(why)))
        why_copy(why, &missing);
    why_free(&missing);
    if (item->what == FETCH_SECTION) /* the others are had at once, or yield while they are made */
        fetch_yield(m);
    return good;
}

static bool put_message(struct imap *c, struct fetching *m, const struct fetch_items *items,
                        bool made_seen, struct why *why)
{
    bool whole = true;

    stream_putz(c->client, "* ");
    imap_put_number(c, m->number);
    stream_putz(c->client, " FETCH (");
    if (c->uid && !items->uid)
        put_uid(c, m, NULL);
    if (made_seen && !items->flags)
        put_flags(c, m, NULL);
    for (const struct fetch_item *item = items->first; item != NULL; item = item->next)
        whole = put_item(c, m, item, why) && whole;
    fetch_yield(m);
    if (!m->begun) /* an empty list would be no response */
        put_uid(c, m, NULL);
    stream_putz(c->client, ")\r\n");
    return whole;
}

/* BODY[...] without PEEK sets \Seen: for a batch at once, before the bodies are sent. On a disk
 * that is full or read-only mail can still be read. */
static void make_seen(struct imap *c, const uint32_t *uids, size_t n, struct uidset *made)
{
    struct why why = WHY;

    for (size_t i = 0; i < n; i++) {
        uint32_t number = mailbox_number(c->box, uids[i]);
        if (number > 0 && !(mailbox_msg(c->box, number)->flags & MSG_SEEN))
            uidset_add(made, uids[i], uids[i]);
    }
    struct flag_change change = {.op = FLAGS_ADD, .flags = MSG_SEEN, .silent = true};
    if (made->n > 0 && mailbox_flag(c->box, made, &change, &why) < 0) {
        msg_warn("%s: %s", session_user()->name, why_text(&why));
        uidset_clear(made);
    }
    why_free(&why);
}

static bool fetch_batch(struct imap *c, const uint32_t *uids, size_t n,
                        const struct fetch_items *items, struct why *why)
{
    struct uidset made = UIDSET;
    struct fetching m = {.turn = clock_ms()};
    struct arena *command = c->mem;
    bool whole = true;

    c->mem = arena_new(command); /* of one message after the other */
    if (items->sets_seen && !mailbox_read_only(c->box))
        make_seen(c, uids, n, &made);
    for (size_t i = 0; i < n && stream_state(c->client) == STREAM_OK; i++) {
        m.number = mailbox_number(c->box, uids[i]);
        m.uid = uids[i];
        m.begun = false;
        if (m.number == 0)
            continue;
        if (!put_message(c, &m, items, uidset_has(&made, uids[i]), why))
            whole = false;
        arena_reset(c->mem);
    }
    arena_free(&c->mem);
    c->mem = command;
    uidset_free(&made);
    return whole;
}

static bool fetch_all(struct imap *c, const struct uidset *which, const struct fetch_items *items,
                      struct why *why)
{
    uint32_t batch[BATCH], count = mailbox_count(c->box);
    size_t n = 0;
    bool whole = true;

    for (size_t i = 0; i < which->n; i++) {
        uint32_t number = mailbox_number_from(c->box, which->at[i].low);
        for (; number <= count; number++) {
            uint32_t uid = mailbox_msg(c->box, number)->uid;
            if (uid > which->at[i].high)
                break;
            batch[n++] = uid;
            if (n == BATCH) {
                whole = fetch_batch(c, batch, n, items, why) && whole;
                n = 0;
                task_yield();
            }
        }
    }
    return fetch_batch(c, batch, n, items, why) && whole;
}

void cmd_fetch(struct imap *c)
{
    struct uidset which = UIDSET;
    struct fetch_items items;
    struct why why = WHY;

    if (imap_arg_set(c, &which)) {
        if (!imap_take_space(&c->args) || !fetch_parse(&c->args, &items))
            imap_bad(c, "Error in IMAP command FETCH: Invalid arguments.");
        else if (imap_end(c)) {
            bool whole = fetch_all(c, &which, &items, &why);
            imap_updates(c, c->uid);
            if (whole)
                imap_ok(c, "Fetch completed.");
            else if (is_gone(&why)) /* RFC 5530 3 */
                imap_ok(c, "[EXPUNGEISSUED] Some messages were already expunged.");
            else
                imap_no_why(c, &why);
        }
    }
    uidset_free(&which);
    why_free(&why);
}
