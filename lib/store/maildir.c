/*
 * The directories of a folder: whether they changed, and file names that follow the flags.
 */
#include "base/clock.h"
#include "base/str.h"
#include "store/uidlist.h"
#include "task/task.h"

enum { YIELD_EVERY = 64 };

bool maildir_changed(const struct folder *f, bool strict)
{
    if (f->frozen)
        return false;
    if (strict && (f->state.sure_at + MAILDIR_STALE < clock_wall() || uidlist_changed(f)))
        return true;
    int64_t seen_new = blobs_time(&f->blobs, BLOBS_NEW);
    int64_t seen_cur = blobs_time(&f->blobs, BLOBS_CUR);
    if (!strict && task_now() < f->again_at && seen_new == f->looked_new &&
        seen_cur == f->looked_cur)
        return false;
    return seen_new != f->state.seen_new || seen_cur != f->state.seen_cur;
}

/* ---- names follow flags ---- */

struct renaming {
    struct folder *f;
    struct uidset done;
    size_t count;
    bool missing;
};

static void rename_one(struct renaming *r, const struct slot *slot)
{
    uint32_t kept = 1u << LETTER_PASSED | state_unnamed(&r->f->state);
    uint32_t letters = maildir_letters(slot->m.flags, slot->m.keywords) | (slot->letters & kept);

    struct blob from = state_blob(&r->f->state, slot);
    struct blob to = {.base = from.base, .letters = letters};
    if (blob_rename(&r->f->blobs, &from, &r->f->blobs, &to) == 0)
        uidset_add(&r->done, slot->m.uid, slot->m.uid);
    else
        r->missing = true;
    r->count++;
}

static void record_renamed(struct folder *f, const struct uidset *done, int64_t before,
                           int64_t began)
{
    struct buf out = BUF(JOURNAL_MAX);
    /* In a long time somebody else may have changed the directory too. */
    bool quick = clock_ms() - began < 50;
    struct journal_ranges head = {.count = (uint32_t)done->n,
                                  .before = quick ? before : 0,
                                  .after = quick ? blobs_time(&f->blobs, BLOBS_CUR) : 0};

    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    folder_ranges(done, &out);
    folder_record_buf(f, J_NAMES, &out, 0);
    buf_free(&out);
}

int maildir_rename(struct folder *f, const struct uidset *which, bool take_new, struct why *why)
{
    struct renaming r = {.f = f};
    int64_t before = blobs_time(&f->blobs, BLOBS_CUR), began = clock_ms();
    int result = 0;

    for (size_t i = 0; i < f->state.n; i++) {
        const struct slot *slot = &f->state.slots[i];
        bool wanted = slot->m.flags & SLOT_DIRTY || (take_new && slot->m.flags & SLOT_NEW);
        if (!wanted || slot->m.flags & (SLOT_GONE | SLOT_ODD) ||
            (which != NULL && !uidset_has(which, slot->m.uid)))
            continue;
        rename_one(&r, slot);
        if (r.count % YIELD_EVERY == 0)
            task_yield();
    }
    if (r.done.n > 0) {
        record_renamed(f, &r.done, before, began);
        result = folder_commit(f, why);
    }
    if (result == 0 && r.missing)
        result = maildir_merge(f, true, why);
    uidset_free(&r.done);
    return result;
}
