/*
 * SEARCH. RFC 3501 6.4.4, 7.2.5.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "conf/conf.h"

#include "imap.h"
#include "imap_criteria.h"

static void put_result(struct imap *c, const struct uidset *numbers)
{
    size_t cursor = 0;
    uint32_t number = 0;

    stream_putz(c->client, "* SEARCH");
    while (uidset_next(numbers, &cursor, &number)) {
        stream_putc(c->client, ' ');
        imap_put_number(c, c->uid ? mailbox_msg(c->box, number)->uid : number);
    }
    stream_putz(c->client, "\r\n");
}

/* What a client hears of a long search, so that neither it nor a router between gives up. */
struct progress {
    struct imap *c;
    int64_t began, told;
};

static bool tell_progress(void *self, uint32_t done, uint32_t of)
{
    struct progress *p = self;
    int64_t now = clock_ms(), spent = now - p->began;

    if (now - p->told < conf.imap_search_notify_interval * 1000)
        return stream_state(p->c->client) == STREAM_OK;
    p->told = now;
    int64_t eta = (spent * (of - done) / done + 500) / 1000;
    stream_putf(p->c->client,
                "* OK Searched %u%% of the mailbox, ETA %" PRId64 ":%02" PRId64 "\r\n",
                (unsigned)((uint64_t)done * 100 / of), eta / 60, eta % 60);
    return stream_flush(p->c->client);
}

static void search(struct imap *c, const struct search_key *key)
{
    struct uidset numbers = UIDSET;
    struct why why = WHY;
    struct progress progress = {.c = c, .began = clock_ms(), .told = clock_ms()};
    struct search_watch watch = {.progress = tell_progress, .self = &progress};

    if (search_run(c->box, key, &watch, &numbers, &why) < 0) {
        imap_no_why(c, &why);
    } else {
        put_result(c, &numbers);
        imap_updates(c, c->uid);
        imap_ok(c, "%sSearch completed.", watch.expunged ? "[EXPUNGEISSUED] " : "");
    }
    uidset_free(&numbers);
    why_free(&why);
}

void cmd_search(struct imap *c)
{
    uint32_t count = mailbox_count(c->box);
    struct criteria_context context = {.star_number = count,
                                       .star_uid = count > 0 ? mailbox_msg(c->box, count)->uid : 0,
                                       .set_limit = (size_t)conf.imap_set_limit,
                                       .key_limit = (size_t)conf.imap_search_keys};
    struct search_key *key = NULL;
    const char *error = "Missing search key.";
    enum criteria result = CRITERIA_BAD;

    if (imap_take_space(&c->args))
        result = criteria_parse(&c->args, &context, &key, &error);
    if (result == CRITERIA_OK)
        search(c, key);
    else if (result == CRITERIA_BADCHARSET)
        imap_no(c, "[BADCHARSET (US-ASCII UTF-8)] %s.", error);
    else
        imap_bad(c, "Error in IMAP command SEARCH: %s", error);
    criteria_free(key);
}
