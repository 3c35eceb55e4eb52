/*
 * Changing a folder through a view: flags, keywords, expunges.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "store/view.h"
#include "task/task.h"

enum { YIELD_EVERY = 64 };

/* A change with its keywords found: bits of the message, and places of the others. */
struct change {
    enum flag_op op;
    uint32_t flags;
    uint64_t bits;
    VEC(uint32_t) places;
};

static int refuse_keyword(const struct folder *f, struct str name, struct why *why)
{
    if (!state_keyword_ok(name))
        return why_set(why, "5.5.4", "not a keyword");
    return why_set(why, "5.2.2", "folder %s has %zu keywords already", f->name,
                   f->store->set.keywords);
}

/* Nothing is defined unless all of them can be. */
static int may_define(const struct folder *f, const struct flag_change *c, struct why *why)
{
    size_t room = folder_keyword_room(f);

    for (size_t i = 0; i < c->nkeywords && c->op != FLAGS_DROP; i++) {
        if (state_keyword(&f->state, c->keywords[i]) >= 0)
            continue;
        if (room-- == 0 || !state_keyword_ok(c->keywords[i]))
            return refuse_keyword(f, c->keywords[i], why);
    }
    return 0;
}

static int find_keywords(struct folder *f, const struct flag_change *c, struct change *out,
                         struct why *why)
{
    *out = (struct change){.op = c->op, .flags = c->flags & MSG_FLAGS};
    if (may_define(f, c, why) < 0)
        return -1;
    for (size_t i = 0; i < c->nkeywords; i++) {
        int place = state_keyword(&f->state, c->keywords[i]);
        if (place < 0 && c->op != FLAGS_DROP &&
            (place = folder_define_keyword(f, c->keywords[i], why)) < 0)
            return -1;
        if (place >= MSG_KEYWORDS)
            *VEC_ADD(&out->places) = (uint32_t)place;
        else if (place >= 0)
            out->bits |= (uint64_t)1 << place;
    }
    return 0;
}

static bool would_change(const struct slot *slot, const struct change *c)
{
    uint32_t flags = slot->m.flags & MSG_FLAGS;

    if (c->op == FLAGS_SET)
        return flags != c->flags || slot->m.keywords != c->bits;
    if (c->op == FLAGS_ADD)
        return (flags & c->flags) != c->flags || (slot->m.keywords & c->bits) != c->bits;
    return (flags & c->flags) != 0 || (slot->m.keywords & c->bits) != 0;
}

enum { FEW = 64 };

/*
 * Those of which that are there and would change, as few ranges: messages between that would not
 * change do no harm. Of many, one that changes is enough to know: all are recorded.
 */
static void find_changes(const struct state *s, const struct uidset *which, const struct change *c,
                         struct uidset *out)
{
    for (size_t k = 0; k < which->n; k++) {
        uint32_t low = 0, high = 0;
        for (size_t i = state_find(s, which->at[k].low);
             i < s->n && s->slots[i].m.uid <= which->at[k].high; i++) {
            if (s->slots[i].m.flags & SLOT_GONE || !would_change(&s->slots[i], c))
                continue;
            low = low == 0 ? s->slots[i].m.uid : low;
            high = s->slots[i].m.uid;
            if (which->at[k].high - low > FEW) {
                high = which->at[k].high < s->uidnext ? which->at[k].high : s->uidnext - 1;
                break;
            }
        }
        if (low != 0)
            uidset_add(out, low, high);
    }
}

static void record_flags(struct folder *f, const struct uidset *which, const struct change *c)
{
    struct journal_flags head = {.op = (uint32_t)c->op,
                                 .flags = c->flags,
                                 .keywords = c->bits,
                                 .ranges = (uint32_t)which->n};
    struct buf out = BUF(JOURNAL_MAX);

    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    folder_ranges(which, &out);
    if (which->n > 0)
        folder_record_buf(f, J_FLAGS, &out, 0);
    buf_free(&out);
}

/* Of which, those that do not have the keyword yet, or have it still. */
static void record_place(struct folder *f, const struct uidset *which, enum flag_op op,
                         uint32_t place)
{
    const struct state *s = &f->state;
    struct uidset changes = UIDSET;

    for (size_t k = 0; k < which->n; k++)
        for (size_t i = state_find(s, which->at[k].low);
             i < s->n && s->slots[i].m.uid <= which->at[k].high; i++)
            if (!(s->slots[i].m.flags & SLOT_GONE) &&
                state_has_keyword(s, &s->slots[i], place) != (op == FLAGS_ADD))
                uidset_add(&changes, s->slots[i].m.uid, s->slots[i].m.uid);
    folder_record_keyword(f, op, place, &changes);
    uidset_free(&changes);
}

static bool is_among(const struct change *c, uint32_t place)
{
    for (size_t i = 0; i < c->places.n; i++)
        if (c->places.at[i] == place)
            return true;
    return false;
}

static void record_places(struct folder *f, const struct uidset *which, const struct change *c)
{
    if (c->op == FLAGS_SET) {
        for (uint32_t i = MSG_KEYWORDS; i < f->state.keywords.n; i++)
            if (is_among(c, i) || f->state.keywords.at[i].uids.n > 0)
                record_place(f, which, is_among(c, i) ? FLAGS_ADD : FLAGS_DROP, i);
        return;
    }
    for (size_t i = 0; i < c->places.n; i++)
        record_place(f, which, c->op, c->places.at[i]);
}

static int record_change(struct mailbox *b, const struct uidset *which,
                         const struct uidset *changes, const struct change *c, bool silent,
                         struct why *why)
{
    record_flags(b->f, changes, c);
    record_places(b->f, which, c);
    if (b->f->out.n == 0)
        return 0;
    b->f->events.silent = silent ? b : NULL;
    int result = folder_commit(b->f, why);
    b->f->events.silent = NULL;
    return result;
}

static int no_writing(const struct mailbox *b, struct why *why)
{
    return why_set(why, "5.7.1", "folder %s is open read-only", b->f->name);
}

int mailbox_flag(struct mailbox *b, const struct uidset *which, const struct flag_change *change,
                 struct why *why)
{
    struct folder *f = b->f;
    struct uidset changes = UIDSET;
    struct change c = {.op = change->op};
    int result;

    if (b->read_only)
        return no_writing(b, why);
    if (folder_lock(f, why) < 0)
        return -1;
    result = folder_refresh(f, true, why);
    if (result == 0)
        result = find_keywords(f, change, &c, why);
    if (result == 0) {
        find_changes(&f->state, which, &c, &changes);
        result = record_change(b, which, &changes, &c, change->silent, why);
        if (result == 0 && changes.n > 0 && f->store->set.flags_sync)
            result = maildir_rename(f, &changes, false, why);
    }
    folder_unlock(f);
    uidset_free(&changes);
    VEC_FREE(&c.places);
    return result;
}

static bool wanted(const struct slot *slot, bool any_flags)
{
    return !(slot->m.flags & SLOT_GONE) && (any_flags || slot->m.flags & MSG_DELETED);
}

/* Removes the files; done gets the uids of those that are gone now. False: some were not where they
 * should be. */
static bool unlink_all(struct folder *f, const struct uidset *which, bool any_flags,
                       struct uidset *done)
{
    /* fits: a directory and a name of the file system */
    struct buf path = BUF(600);
    const struct state *s = &f->state;
    size_t count = 0;
    bool found = true;

    for (size_t k = 0; k < which->n; k++)
        for (size_t i = state_find(s, which->at[k].low);
             i < s->n && s->slots[i].m.uid <= which->at[k].high; i++) {
            if (!wanted(&s->slots[i], any_flags) || uidset_has(done, s->slots[i].m.uid))
                continue;
            buf_clear(&path);
            state_file(s, &s->slots[i], &path);
            if (unlinkat(f->dirfd, path.p, 0) == 0)
                uidset_add(done, s->slots[i].m.uid, s->slots[i].m.uid);
            else
                found = false;
            if (++count % YIELD_EVERY == 0)
                task_yield();
        }
    buf_free(&path);
    return found;
}

static int record_expunged(struct folder *f, const struct uidset *done, struct why *why)
{
    struct journal_ranges head = {.count = (uint32_t)done->n};
    struct buf out = BUF(JOURNAL_MAX);

    if (done->n == 0)
        return 0;
    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    folder_ranges(done, &out);
    folder_record_buf(f, J_EXPUNGE, &out, 0);
    buf_free(&out);
    return folder_commit(f, why);
}

/*
 * The files go first: a file that is left over without its record would come back as a new message,
 * a record that is missing is found out by the next merge.
 */
int mailbox_expunge(struct mailbox *b, const struct uidset *which, bool any_flags, struct why *why)
{
    struct folder *f = b->f;
    struct uidset done = UIDSET;
    int result;

    if (b->read_only)
        return no_writing(b, why);
    if (folder_lock(f, why) < 0)
        return -1;
    result = folder_refresh(f, true, why);
    if (result == 0) {
        bool found = unlink_all(f, which, any_flags, &done);
        result = record_expunged(f, &done, why);
        if (result == 0 && !found) {
            /* Somebody renamed or removed them: look, and try once more. */
            uidset_clear(&done);
            result = maildir_merge(f, true, why);
            if (result == 0 && !unlink_all(f, which, any_flags, &done))
                result = why_set(why, "4.3.0", "cannot remove messages of folder %s", f->name);
            if (record_expunged(f, &done, why) < 0)
                result = -1;
        }
    }
    folder_unlock(f);
    uidset_free(&done);
    return result;
}
