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

static bool put_date(struct imap *c, struct fetching *m)
{
    struct buf text = BUF(64);
    struct tm tm;
    int64_t received;
    int offset;

    if (mailbox_received(c->box, m->number, &received, m->why) < 0)
        return false;
    clock_local(received, &tm, &offset);
    date_imap_format(received, offset, &text);
    stream_putf(c->client, "INTERNALDATE \"%s\"", text.p);
    buf_free(&text);
    return true;
}

static bool put_cached(struct imap *c, struct fetching *m, enum fetch_what what)
{
    struct str text;
    struct buf body = BUF(1 << 24);
    bool good = mailbox_cached(c->box, m->number,
                               what == FETCH_ENVELOPE ? CACHED_ENVELOPE : CACHED_STRUCTURE, &text,
                               m->why) == 0;

    if (good && what == FETCH_BODY) {
        good = imap_text_body(text, &body);
        text = buf_str(&body);
    } else if (good) {
        text = arena_str(c->mem, text); /* putting waits */
    }
    if (good) {
        stream_putz(c->client, what == FETCH_ENVELOPE ? "ENVELOPE "
                               : what == FETCH_BODY   ? "BODY "
                                                      : "BODYSTRUCTURE ");
        stream_put(c->client, text);
    }
    buf_free(&body);
    return good;
}

static bool put_size(struct imap *c, struct fetching *m)
{
    uint64_t size;

    if (mailbox_size(c->box, m->number, &size, m->why) < 0)
        return false;
    stream_putz(c->client, "RFC822.SIZE ");
    imap_put_number(c, size);
    return true;
}

static void put_flags(struct imap *c, uint32_t number)
{
    struct msg m = *mailbox_msg(c->box, number); /* putting waits */

    stream_putz(c->client, "FLAGS ");
    imap_put_flags(c, m.flags, m.keywords, mailbox_recent(c->box, number));
}

static void put_uid(struct imap *c, uint32_t number)
{
    stream_putz(c->client, "UID ");
    imap_put_number(c, mailbox_msg(c->box, number)->uid);
}

static bool put_item(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    switch (item->what) {
    case FETCH_BODY:
    case FETCH_BODYSTRUCTURE:
    case FETCH_ENVELOPE:
        return put_cached(c, m, item->what);
    case FETCH_FLAGS:
        put_flags(c, m->number);
        return true;
    case FETCH_INTERNALDATE:
        return put_date(c, m);
    case FETCH_SIZE:
        return put_size(c, m);
    case FETCH_UID:
        put_uid(c, m->number);
        return true;
    case FETCH_SECTION:
        return fetch_put_section(c, m, item);
    }
    return false;
}

static bool is_gone(const struct why *why)
{
    return strcmp(why->code, "5.2.0") == 0;
}

/* An item that cannot be had (the message was expunged meanwhile, RFC 2180 4.1.2, or cannot be
 * read) is left out; the uid in its place keeps the response well formed. What is to be told in the
 * end is that a message cannot be read, if there is one. */
static bool put_message(struct imap *c, struct fetching *m, const struct fetch_items *items,
                        bool made_seen, struct why *why)
{
    struct why missing = WHY;
    bool whole = true, gap = false;

    m->why = &missing;
    stream_putz(c->client, "* ");
    imap_put_number(c, m->number);
    stream_putz(c->client, " FETCH (");
    if (c->uid && !items->uid) {
        put_uid(c, m->number);
        gap = true;
    }
    if (made_seen && !items->flags) {
        stream_putz(c->client, gap ? " " : "");
        put_flags(c, m->number);
        gap = true;
    }
    for (const struct fetch_item *item = items->first; item != NULL; item = item->next) {
        if (gap)
            stream_putc(c->client, ' ');
        gap = true;
        if (!put_item(c, m, item)) {
            put_uid(c, m->number);
            whole = false;
            if (why->code[0] == '\0' || is_gone(why))
                why_copy(why, &missing);
        }
        fetch_breathe(m);
    }
    stream_putz(c->client, ")\r\n");
    why_free(&missing);
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
    bool whole = true;

    if (items->sets_seen && !mailbox_read_only(c->box))
        make_seen(c, uids, n, &made);
    for (size_t i = 0; i < n && stream_state(c->client) == STREAM_OK; i++) {
        struct arena *command = c->mem;
        m.number = mailbox_number(c->box, uids[i]);
        m.tree = NULL;
        if (m.number == 0)
            continue;
        c->mem = arena_new(command);
        if (!put_message(c, &m, items, uidset_has(&made, uids[i]), why))
            whole = false;
        arena_free(&c->mem);
        c->mem = command;
    }
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
            else if (is_gone(&why)) /* RFC 5530 */
                imap_no(c, "[EXPUNGEISSUED] Some messages are no longer there.");
            else
                imap_no_why(c, &why);
        }
    }
    uidset_free(&which);
    why_free(&why);
}
