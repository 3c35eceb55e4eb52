/*
 * Which messages match. What the state tells is asked first; then header fields that the cache
 * keeps; a message is opened last, and once for all keys.
 */
#include "store/search.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"
#include "mail/charset.h"
#include "mail/date.h"
#include "store/search_text.h"
#include "store/view.h"
#include "task/task.h"

enum { DAY = 86400, TURN_MS = 20, SHORT = 256 * 1024 };
/* A step is about a key that the state answers, or so many bytes of text. Others run after
 * YIELD_AFTER of them; if a message had to be opened, the clock may say so after LOOK_AFTER. */
enum { STEP_BYTES = 16, LOOK_AFTER = 256, YIELD_AFTER = 1000 };

/* One message while it is looked at. */
struct candidate {
    struct mailbox *b;
    uint32_t number;
    struct search_message text;
    struct why *why;
    bool failed; /* it could not be read: it does not match */
    int64_t turn; /* when it began: clock_ms */
    bool turned; /* others have had theirs */
    uint64_t steps, turn_steps, look_steps; /* in all; when the turn began, when the clock said */
};

static bool is_due(struct candidate *c)
{
    if (c->steps - c->turn_steps >= YIELD_AFTER)
        return true;
    if (c->steps - c->look_steps < LOOK_AFTER || !(c->text.is_read || c->text.has_header))
        return false;
    c->look_steps = c->steps;
    return clock_ms() - c->turn > TURN_MS;
}

/* (waits) if the turn has taken long. Called in the middle of a message: nothing borrowed may be
 * held. */
static void spend(struct candidate *c, size_t steps)
{
    c->steps += steps;
    if (!is_due(c))
        return;
    task_yield();
    c->turned = true;
    c->turn = clock_ms();
    c->turn_steps = c->steps;
}

static int64_t local_day(int64_t wall)
{
    struct tm tm;
    int offset;

    clock_local(wall, &tm, &offset);
    wall += offset * 60;
    return wall >= 0 ? wall / DAY : -((-wall + DAY - 1) / DAY);
}

static bool compare_day(enum search_what what, int64_t day, int64_t with)
{
    if (what == SEARCH_BEFORE || what == SEARCH_SENTBEFORE)
        return day < with;
    if (what == SEARCH_ON || what == SEARCH_SENTON)
        return day == with;
    return day >= with;
}

static bool read_whole(struct candidate *c)
{
    if (!c->text.is_read && !c->failed) {
        c->text.has_header = false; /* they share their bytes */
        c->failed = view_read(c->b, c->number, &c->text.bytes, c->why) < 0;
        c->text.is_read = !c->failed;
    }
    return c->text.is_read;
}

/* At least the header: a field that the cache does not keep costs no reading of bodies. */
static bool read_header(struct candidate *c)
{
    if (!c->text.is_read && !c->text.has_header && !c->failed) {
        c->failed = view_read_header(c->b, c->number, &c->text.bytes, c->why) < 0;
        c->text.has_header = !c->failed;
    }
    return c->text.is_read || c->text.has_header;
}

/* The header fields that the cache keeps, as our copy: the folder's moves when anything waits.
 * False: it cannot keep them, or the message is gone. */
static bool kept_fields(struct candidate *c, struct str *fields)
{
    if (c->failed)
        return false;
    if (mailbox_cached(c->b, c->number, CACHED_FIELDS, fields, c->why) == 0) {
        buf_set(&c->text.decoded, *fields);
        *fields = buf_str(&c->text.decoded);
        return true;
    }
    c->failed = view_slot(c->b, c->number)->m.flags & SLOT_GONE;
    return false;
}

/* Where a field of that name stands if it does: in the cache, else in the message. */
static bool fields_for(struct candidate *c, struct str name, struct str *fields)
{
    if (cache_keeps_field(name) && kept_fields(c, fields))
        return true;
    if (!read_header(c))
        return false;
    *fields = search_header(&c->text);
    return true;
}

static bool sent_day(struct candidate *c, int64_t *day)
{
    struct str fields = STR(""), value, date = STR("Date");
    size_t at = 0;
    int64_t wall;
    int offset;
    bool known = fields_for(c, date, &fields) && search_field(fields, date, &at, &value) &&
                 date_parse(value, &wall, &offset);

    spend(c, at / STEP_BYTES);
    if (!known)
        return false;
    wall += offset * 60; /* the day as it is written there */
    *day = wall >= 0 ? wall / DAY : -((-wall + DAY - 1) / DAY);
    return true;
}

static bool header_has(struct candidate *c, const struct search_key *k)
{
    struct str fields = STR("");
    bool found = fields_for(c, k->name, &fields) && search_in_fields(fields, k);

    spend(c, fields.n / STEP_BYTES);
    return found;
}

/* If nothing is encoded and the needle is ASCII, the bytes as they stand decide against it. In a
 * long message it is cheaper to find its parts: most of it will be no text. */
static bool raw_bytes_rule_out(struct candidate *c, const struct search_key *k)
{
    struct cache_entry e;
    uint32_t uid = view_slot(c->b, c->number)->m.uid;

    return c->text.bytes.n <= SHORT && search_is_ascii(search_needle(k)) &&
           cache_find(&c->b->f->cache, uid, &e) && !search_is_encoded(e.structure) &&
           !search_raw(buf_str(&c->text.bytes), search_needle(k));
}

static bool text_has(struct candidate *c, const struct search_key *k)
{
    if (!read_whole(c))
        return false;
    spend(c, c->text.bytes.n / STEP_BYTES / STEP_BYTES); /* memchr is fast */
    if (raw_bytes_rule_out(c, k))
        return false;
    if (k->what == SEARCH_TEXT && search_in_header(search_header(&c->text), search_needle(k)))
        return true;
    return search_in_body(&c->text, search_needle(k));
}

static bool matches(struct candidate *c, const struct search_key *k);

static bool match_children(struct candidate *c, const struct search_key *k)
{
    bool all = k->what == SEARCH_AND;

    for (const struct search_key *child = k->child; child != NULL; child = child->next)
        if (matches(c, child) != all)
            return !all;
    return all;
}

/* (waits) Where the keywords are in the folder: once, and not for each message. */
static void find_keywords(struct candidate *c, struct search_key *k)
{
    for (; k != NULL; k = k->next) {
        if (k->what == SEARCH_KEYWORD) {
            k->keyword = mailbox_keyword_find(c->b, k->text);
            spend(c, mailbox_keyword_count(c->b));
        }
        find_keywords(c, k->child);
    }
}

/* In the meantime its place may have been given to another one. One that is new is not searched. */
static bool has_keyword(const struct candidate *c, const struct search_key *k)
{
    return k->keyword >= 0 && mailbox_has_keyword(c->b, c->number, (uint32_t)k->keyword) &&
           str_ieq(mailbox_keyword(c->b, (uint32_t)k->keyword), k->text);
}

static bool compare_size(struct candidate *c, const struct search_key *k)
{
    uint64_t size;

    if (mailbox_size(c->b, c->number, &size, c->why) < 0) {
        c->failed = true;
        return false;
    }
    return k->what == SEARCH_LARGER ? size > k->number : size < k->number;
}

static bool compare_received(struct candidate *c, const struct search_key *k)
{
    int64_t received;

    if (mailbox_received(c->b, c->number, &received, c->why) < 0) {
        c->failed = true;
        return false;
    }
    if (k->what == SEARCH_OLDER)
        return received <= clock_wall() - (int64_t)k->number;
    if (k->what == SEARCH_YOUNGER)
        return received >= clock_wall() - (int64_t)k->number;
    return compare_day(k->what, local_day(received), k->day);
}

static bool match_state(struct candidate *c, const struct search_key *k)
{
    spend(c, 1);
    const struct msg *m = mailbox_msg(c->b, c->number);

    switch (k->what) {
    case SEARCH_ALL:
        return true;
    case SEARCH_NUMBERS:
        return uidset_has(&k->set, c->number);
    case SEARCH_UIDS:
        return uidset_has(&k->set, m->uid);
    case SEARCH_FLAGS:
        return (m->flags & k->flags) == k->flags;
    case SEARCH_KEYWORD:
        return has_keyword(c, k);
    case SEARCH_RECENT:
        return mailbox_recent(c->b, c->number);
    case SEARCH_MODSEQ:
        return m->modseq >= k->number;
    case SEARCH_OLDER:
    case SEARCH_YOUNGER:
    case SEARCH_BEFORE:
    case SEARCH_ON:
    case SEARCH_SINCE:
        return compare_received(c, k);
    default:
        return false;
    }
}

static bool matches(struct candidate *c, const struct search_key *k)
{
    int64_t day;

    switch (k->what) {
    case SEARCH_AND:
    case SEARCH_OR:
        return match_children(c, k);
    case SEARCH_NOT:
        return k->child == NULL || !matches(c, k->child);
    case SEARCH_LARGER:
    case SEARCH_SMALLER:
        return compare_size(c, k);
    case SEARCH_SENTBEFORE:
    case SEARCH_SENTON:
    case SEARCH_SENTSINCE:
        return sent_day(c, &day) && compare_day(k->what, day, k->day);
    case SEARCH_HEADER:
        return header_has(c, k);
    case SEARCH_BODY:
    case SEARCH_TEXT:
        return text_has(c, k);
    default:
        return match_state(c, k);
    }
}

static bool needs_text(enum search_what what)
{
    return what == SEARCH_LARGER || what == SEARCH_SMALLER ||
           (what >= SEARCH_SENTBEFORE && what <= SEARCH_SENTSINCE) || what >= SEARCH_HEADER;
}

/* The date of a file that another program put there has to be asked for. */
static bool needs_file(const struct candidate *c, enum search_what what)
{
    return mailbox_msg(c->b, c->number)->received == 0 &&
           (what == SEARCH_OLDER || what == SEARCH_YOUNGER || what == SEARCH_BEFORE ||
            what == SEARCH_ON || what == SEARCH_SINCE);
}

/* False: the state alone says that the tree cannot match. Children of AND in any order. */
static bool may_match(struct candidate *c, const struct search_key *k)
{
    if (k->what == SEARCH_AND) {
        for (const struct search_key *child = k->child; child != NULL; child = child->next)
            if (!may_match(c, child))
                return false;
        return true;
    }
    if (k->what == SEARCH_OR) {
        for (const struct search_key *child = k->child; child != NULL; child = child->next)
            if (may_match(c, child))
                return true;
        return false;
    }
    return k->what == SEARCH_NOT || needs_text(k->what) || needs_file(c, k->what) ||
           match_state(c, k);
}

static bool is_match(struct candidate *c, uint32_t number, const struct search_key *key)
{
    c->number = number;
    c->failed = false;
    return may_match(c, key) && matches(c, key) && !c->failed;
}

int search_run(struct mailbox *b, const struct search_key *key, struct search_watch *watch,
               struct uidset *numbers, struct why *why)
{
    struct search_needles needles;
    struct search_key *folded = search_fold(key, &needles);
    struct candidate c = {.b = b, .why = why, .turn = clock_ms()};
    bool wanted = true;

    search_message_init(&c.text);
    c.text.limits = folder_mime_limits(b->f);
    find_keywords(&c, folded);
    for (uint32_t number = 1; wanted && number <= mailbox_count(b); number++) {
        if (is_match(&c, number, folded))
            uidset_add(numbers, number, number);
        if (watch != NULL && c.failed && mailbox_is_expunged(b, number))
            watch->expunged = true;
        spend(&c, c.text.is_read || c.text.has_header ? LOOK_AFTER : 1);
        search_message_clear(&c.text);
        if (c.turned && watch != NULL && watch->progress != NULL)
            wanted = watch->progress(watch->self, number, mailbox_count(b));
        c.turned = false;
    }
    if (watch != NULL)
        watch->steps = c.steps;
    search_message_free(&c.text);
    search_needles_free(&needles);
    why_clear(why);
    return 0;
}

bool search_charset(struct str charset, struct str text, struct buf *utf8)
{
    return charset_to_utf8_strict(charset, text, utf8);
}
