/*
 * Messages are removed from a folder: because somebody wants it, or because they could not be
 * stored safely.
 */
#include "base/hash.h"
#include "base/msg.h"
#include "base/str.h"
#include "store/folder.h"
#include "task/task.h"

enum { YIELD_EVERY = 64 };

static bool wanted(const struct slot *slot, bool any_flags)
{
    return !(slot->m.flags & SLOT_GONE) && (any_flags || slot->m.flags & MSG_DELETED);
}

/* Removes the files; done gets the uids of those that are gone now. False: some were not where they
 * should be. */
static bool unlink_all(struct folder *f, const struct uidset *which, bool any_flags,
                       struct uidset *done)
{
    const struct state *s = &f->state;
    size_t count = 0;
    bool found = true;

    for (size_t k = 0; k < which->n; k++)
        for (size_t i = state_find(s, which->at[k].low);
             i < s->n && s->slots[i].m.uid <= which->at[k].high; i++) {
            if (!wanted(&s->slots[i], any_flags) || uidset_has(done, s->slots[i].m.uid))
                continue;
            struct blob name = state_blob(s, &s->slots[i]);
            if (blob_remove(&f->blobs, &name) == 0)
                uidset_add(done, s->slots[i].m.uid, s->slots[i].m.uid);
            else
                found = false;
            if (++count % YIELD_EVERY == 0)
                task_yield();
        }
    return found;
}

int folder_record_expunged(struct folder *f, const struct uidset *done, struct why *why)
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
int folder_expunge(struct folder *f, const struct uidset *which, bool any_flags, struct why *why)
{
    struct uidset done = UIDSET;
    bool found = unlink_all(f, which, any_flags, &done);
    int result = folder_record_expunged(f, &done, why);

    if (result == 0 && !found) {
        /* Somebody renamed or removed them: look, and try once more. */
        uidset_clear(&done);
        result = maildir_merge(f, true, why);
        if (result == 0 && !unlink_all(f, which, any_flags, &done))
            result = why_set(why, "4.3.0", "cannot remove messages of folder %s", f->name);
        if (folder_record_expunged(f, &done, why) < 0)
            result = -1;
    }
    uidset_free(&done);
    return result;
}

/* Those of the messages that have one of the names. What others put behind a name is no matter. */
static void find_named(const struct state *s, const struct hash *names, struct uidset *out)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->slots[i].m.flags & SLOT_GONE)
            continue;
        struct str name = state_name(s, &s->slots[i]);
        ptrdiff_t colon = str_find(name, ':');
        if (hash_find(names, colon < 0 ? name : str_upto(name, (size_t)colon)) != NULL)
            uidset_add(out, s->slots[i].m.uid, s->slots[i].m.uid);
    }
}

static int remove_named(struct folder *f, const struct hash *names, struct why *why)
{
    uint64_t count = 0;
    bool good = true;
    int result = 0;

    for (int tries = 0; tries < 2 && result == 0 && count < hash_count(names); tries++) {
        struct uidset which = UIDSET, done = UIDSET;
        /* Somebody renamed or removed them, or the journal does not know them: look. */
        if (tries > 0 && maildir_merge(f, true, why) < 0)
            return -1;
        find_named(&f->state, names, &which);
        good = unlink_all(f, &which, true, &done);
        result = folder_record_expunged(f, &done, why);
        count += uidset_count(&done);
        uidset_free(&which);
        uidset_free(&done);
    }
    if (result == 0 && !good)
        result = why_set(why, "4.3.0", "cannot remove messages of folder %s", f->name);
    return result;
}

void folder_take_back(struct folder *f, const struct str *names, size_t n)
{
    struct hash *set = hash_new();
    struct why why = WHY;
    int result = folder_lock(f, &why);

    for (size_t i = 0; i < n; i++)
        hash_put(set, names[i], f);
    if (result == 0) {
        /* As whoever opens it next will see it: f itself may have failed meanwhile. */
        struct folder *now = folder_beside(f);
        result = folder_load(now, true, &why);
        if (result == 0)
            result = remove_named(now, set, &why);
        folder_close(now);
        folder_unlock(f);
    }
    if (result < 0)
        msg_warn("folder %s of %s: a message that could not be stored safely stays: %s", f->name,
                 f->store->path, why_text(&why));
    hash_free(&set, NULL);
    why_free(&why);
}
