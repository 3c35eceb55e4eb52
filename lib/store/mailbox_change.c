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

int mailbox_keyword_add(struct mailbox *b, struct str name, uint64_t *bit, struct why *why)
{
    struct folder *f = b->f;
    int i = state_keyword(&f->state, name), result = 0;

    if (i < 0) {
        if (name.n == 0 || name.n > 255 || memchr(name.p, '\0', name.n) != NULL)
            return why_set(why, "5.5.4", "not a keyword");
        if (folder_lock(f, why) < 0)
            return -1;
        result = folder_refresh(f, true, why);
        i = state_keyword(&f->state, name);
        if (result == 0 && i < 0) {
            result = folder_define_keyword(f, name, why);
            i = (int)f->state.nkeywords - 1;
        }
        folder_unlock(f);
    }
    if (result == 0)
        *bit = (uint64_t)1 << i;
    return result;
}

static bool would_change(const struct slot *slot, const struct flag_change *c)
{
    uint32_t flags = slot->m.flags & MSG_FLAGS, with = c->flags & MSG_FLAGS;

    if (c->op == FLAGS_SET)
        return flags != with || slot->m.keywords != c->keywords;
    if (c->op == FLAGS_ADD)
        return (flags & with) != with || (slot->m.keywords & c->keywords) != c->keywords;
    return (flags & with) != 0 || (slot->m.keywords & c->keywords) != 0;
}

enum { FEW = 64 };

/*
 * Those of which that are there and would change, as few ranges: messages between that would not
 * change do no harm. Of many, one that changes is enough to know: all are recorded.
 */
static void find_changes(const struct state *s, const struct uidset *which,
                         const struct flag_change *c, struct uidset *out)
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

static int record_flags(struct mailbox *b, const struct uidset *which, const struct flag_change *c,
                        struct why *why)
{
    struct journal_flags head = {.op = (uint32_t)c->op,
                                 .flags = c->flags & MSG_FLAGS,
                                 .keywords = c->keywords,
                                 .ranges = (uint32_t)which->n};
    struct buf out = BUF(JOURNAL_MAX);

    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    folder_ranges(which, &out);
    folder_record(b->f, J_FLAGS, buf_str(&out), 0);
    buf_free(&out);
    b->f->events.silent = c->silent ? b : NULL;
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
    int result;

    if (b->read_only)
        return no_writing(b, why);
    if (folder_lock(f, why) < 0)
        return -1;
    result = folder_refresh(f, true, why);
    if (result == 0) {
        find_changes(&f->state, which, change, &changes);
        if (changes.n > 0)
            result = record_flags(b, &changes, change, why);
        if (result == 0 && changes.n > 0 && f->store->set.flags_sync)
            result = maildir_rename(f, &changes, false, why);
    }
    folder_unlock(f);
    uidset_free(&changes);
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
    folder_record(f, J_EXPUNGE, buf_str(&out), 0);
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
