/*
 * COPY and MOVE: hard links or renames, and one record in the journal of the folder they go to.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/ident.h"
#include "base/msg.h"
#include "base/str.h"
#include "store/uidlist.h"
#include "store/view.h"
#include "task/task.h"

enum { YIELD_EVERY = 64, RECORD_YIELD = 1024, UNASKED = -2 };

struct item {
    uint32_t uid;
    struct slot slot; /* as it will be there */
    char *name; /* there */
    bool moved; /* the old name is gone */
    VEC(uint32_t) places; /* of the keywords there that are no bits of the message */
};

struct copying {
    struct mailbox *from;
    struct folder *to;
    bool move;
    bool recorded; /* items are in the other folder's journal */
    VEC(struct item) items;
    VEC(int) there; /* the place of each keyword there; -1: it cannot be kept; UNASKED */
    VEC(struct uidset) having; /* new uids, by place there */
    struct buf cache; /* records for the other folder's cache */
};

/*
 * (waits) Both locks, in the order of the directories' numbers, so that two copies cannot wait for
 * each other. A folder that has failed may be in the directory of the other one: then there is only
 * one lock.
 */
static int lock_both(struct folder *a, struct folder *b, struct why *why)
{
    if (a->on == b->on)
        return folder_lock(a, why);
    if (a->on->ino > b->on->ino || (a->on->ino == b->on->ino && a->on->dev > b->on->dev)) {
        struct folder *swap = a;
        a = b;
        b = swap;
    }
    if (folder_lock(a, why) < 0)
        return -1;
    if (folder_lock(b, why) == 0)
        return 0;
    folder_unlock(a);
    return -1;
}

static void unlock_both(struct folder *a, struct folder *b)
{
    folder_unlock(a);
    if (a->on != b->on)
        folder_unlock(b);
}

/* Where the keyword is in the other folder, defined if need be. */
static int place_there(struct copying *c, size_t i)
{
    while (c->there.n <= i)
        *VEC_ADD(&c->there) = UNASKED;
    if (c->there.at[i] == UNASKED) {
        char *name = mem_dupz(c->from->f->state.keywords.at[i].name);
        c->there.at[i] = folder_define_keyword(c->to, strz(name), NULL);
        free(name);
    }
    return c->there.at[i];
}

/* A keyword that cannot be kept there is left out: the message is worth more. */
static void map_keywords(struct copying *c, uint32_t uid, struct item *item)
{
    struct folder *from = c->from->f;

    item->slot.m.keywords = 0;
    for (size_t i = 0; i < from->state.keywords.n; i++) {
        const struct slot *old = state_slot(&from->state, uid); /* defining may move slots */
        int place = state_has_keyword(&from->state, old, i) ? place_there(c, i) : -1;
        if (place >= MSG_KEYWORDS)
            *VEC_ADD(&item->places) = (uint32_t)place;
        else if (place >= 0)
            item->slot.m.keywords |= (uint64_t)1 << place;
    }
}

static void note_keywords(struct copying *c, const struct item *item, uint32_t uid)
{
    for (size_t i = 0; i < item->places.n; i++) {
        while (c->having.n <= item->places.at[i])
            *VEC_ADD(&c->having) = UIDSET;
        uidset_add(&c->having.at[item->places.at[i]], uid, uid);
    }
}

static void free_item(struct item *item)
{
    free(item->name);
    VEC_FREE(&item->places);
}

static struct blob new_blob(const struct item *item)
{
    return (struct blob){.base = strz(item->name), .letters = item->slot.letters};
}

/* (waits) The file under its new name. */
static int place(struct copying *c, struct item *item, const struct blob *old)
{
    struct folder *from = c->from->f, *to = c->to;
    struct blob name = new_blob(item);

    if (c->move && from != to) {
        item->moved = blob_rename(&from->blobs, old, &to->blobs, &name) == 0;
        if (item->moved)
            return 0;
        if (errno != EXDEV)
            return -1;
    }
    return blob_copy(&from->blobs, old, &to->blobs, &name);
}

/* The old name's sizes go with the new one. */
static void new_name(const struct folder *to, struct str old, struct buf *out)
{
    uint64_t size = maildir_name_size(old), vsize = maildir_name_vsize(old);

    ident_maildir(out, to->store->set.hostname);
    if (size > 0)
        buf_addf(out, ",S=%llu", (unsigned long long)size);
    if (vsize > 0)
        buf_addf(out, ",W=%llu", (unsigned long long)vsize);
}

static int copy_one(struct copying *c, uint32_t uid, struct why *why)
{
    struct folder *from = c->from->f;
    struct slot *old = state_slot(&from->state, uid);
    struct buf name = BUF(250);
    struct item item = {.uid = uid, .slot = *old};
    int result = 0;

    map_keywords(c, uid, &item);
    old = state_slot(&from->state, uid);
    item.slot.m.flags = old->m.flags & MSG_FLAGS;
    item.slot.letters = maildir_letters(item.slot.m.flags, item.slot.m.keywords);
    new_name(c->to, state_name(&from->state, old), &name);
    struct blob old_blob = state_blob(&from->state, old);
    if (!buf_ok(&name))
        result =
            why_set(why, "4.3.0", "the name of a message in folder %s is too long", c->to->name);
    item.name = buf_take(&name);
    if (result < 0) {
        free_item(&item);
    } else if (place(c, &item, &old_blob) == 0) {
        *VEC_ADD(&c->items) = item;
    } else {
        result = errno == ENOENT
                     ? 1
                     : why_errno(why, "4.3.0", "cannot copy a message to folder %s", c->to->name);
        free_item(&item);
    }
    return result;
}

/* The file of one message. False: it could not be taken back and stays where it is now. */
static bool undo_file(struct copying *c, const struct item *item)
{
    struct folder *from = c->from->f;
    struct blob name = new_blob(item);

    if (!item->moved)
        return blob_remove(&c->to->blobs, &name) == 0 || errno == ENOENT;
    const struct slot *old = state_slot(&from->state, item->uid);
    if (old == NULL)
        return false;
    struct blob old_blob = state_blob(&from->state, old);
    return blob_rename(&c->to->blobs, &name, &from->blobs, &old_blob) == 0;
}

/* Takes back what was done; under the locks. */
static void undo(struct copying *c)
{
    struct uidset back = UIDSET;
    struct why why = WHY;

    VEC_EACH (&c->items, item) {
        if (undo_file(c, item) && c->recorded)
            uidset_add(&back, item->slot.m.uid, item->slot.m.uid);
        free_item(item);
    }
    VEC_FREE(&c->items);
    /* If it cannot be recorded, the next merge finds it out. */
    if (folder_record_expunged(c->to, &back, &why) < 0)
        msg_warn("%s", why_text(&why));
    c->recorded = false;
    uidset_free(&back);
    why_free(&why);
}

static int record_added(struct copying *c, int64_t before, struct copied *out, struct why *why)
{
    struct folder *to = c->to;
    struct journal_add head = {.count = (uint32_t)c->items.n, .in_cur = 1, .before = before};
    struct buf payload = BUF(JOURNAL_MAX);
    struct buf text = BUF(8 << 20); /* fits: a record of the cache; RECORD_MAX */
    uint32_t first = folder_out_uidnext(to), uid = first;

    if (first > UINT32_MAX - c->items.n - 1)
        return why_set(why, "4.2.0", "folder %s has no numbers left", to->name);
    head.after = blobs_time(&to->blobs, BLOBS_CUR);
    buf_add(&payload, (struct str){(const char *)&head, sizeof head});
    VEC_EACH (&c->items, item) {
        item->slot.m.uid = uid;
        state_entry(&item->slot, strz(item->name), &payload);
        note_keywords(c, item, uid);
        struct str record = cache_record(&c->from->f->cache, item->uid);
        buf_set(&text, record);
        cache_set_uid(&text, uid++);
        buf_add(&c->cache, buf_str(&text));
        if (uid % RECORD_YIELD == 0)
            task_yield();
    }
    folder_record_buf(to, J_ADD, &payload, uid);
    for (size_t i = 0; i < c->having.n; i++)
        folder_record_keyword(to, FLAGS_ADD, (uint32_t)i, &c->having.at[i]);
    int result = folder_commit(to, why);
    buf_free(&payload);
    buf_free(&text);
    if (result < 0)
        return -1;
    c->recorded = true;
    cache_append(&to->cache, buf_str(&c->cache));
    out->uidvalidity = to->j.head.uidvalidity;
    VEC_EACH (&c->items, item)
        uidset_add(out->from, item->uid, item->uid);
    if (uid > first)
        uidset_add(out->made, first, uid - 1);
    return 0;
}

/* (waits) The file of a message that was copied to another file system. Another program may have
 * renamed it meanwhile, to set a flag. */
static int remove_copied(struct folder *from, uint32_t uid, struct why *why)
{
    for (int tries = 0; tries < 2; tries++) {
        const struct slot *old = state_slot(&from->state, uid);
        if (old == NULL)
            return 0;
        struct blob name = state_blob(&from->state, old);
        if (blob_remove(&from->blobs, &name) == 0)
            return 0;
        if (errno != ENOENT)
            return why_errno(why, "4.3.0", "cannot move a message from folder %s", from->name);
        if (tries == 0 && maildir_merge(from, true, why) < 0)
            return -1;
    }
    return 0;
}

/* In the folder they came from: the files of a move are gone, or go now. One that does not go would
 * come back as a new message. */
static int record_moved(struct copying *c, struct why *why)
{
    struct folder *from = c->from->f;
    struct uidset gone = UIDSET;
    int result = 0;

    for (size_t i = 0; i < c->items.n && result == 0; i++) {
        struct item *item = &c->items.at[i];
        if (!item->moved)
            result = remove_copied(from, item->uid, why);
        if (result == 0) {
            item->moved = true;
            uidset_add(&gone, item->uid, item->uid);
        }
    }
    if (folder_record_expunged(from, &gone, result == 0 ? why : NULL) < 0)
        result = -1;
    uidset_free(&gone);
    return result;
}

/* A message that moves is safe where it goes to before the place it comes from forgets it. */
static int record_all(struct copying *c, int64_t before, struct copied *out, struct why *why)
{
    if (record_added(c, before, out, why) < 0)
        return -1;
    if (!c->move)
        return 0;
    return folder_sync(c->to, SYNC_CUR, why) < 0 ? -1 : record_moved(c, why);
}

static int copy_all(struct copying *c, const struct uidset *which, struct copied *out,
                    struct why *why)
{
    struct folder *from = c->from->f;
    int64_t before;
    size_t cursor = 0;
    int result = 0;

    VEC_FREE(&c->there); /* places may be others' since the last try */
    if (folder_refresh(from, true, why) < 0 || folder_load(c->to, true, why) < 0 ||
        (uidlist_changed(c->to) && maildir_merge(c->to, true, why) < 0))
        return -1;
    before = blobs_time(&c->to->blobs, BLOBS_CUR);
    for (size_t k = 0; k < which->n && result == 0; k++) {
        uint32_t uid = which->at[k].low;
        for (size_t i; result == 0 && (i = state_find(&from->state, uid)) < from->state.n &&
                       from->state.slots[i].m.uid <= which->at[k].high;) {
            uid = from->state.slots[i].m.uid;
            if (!(from->state.slots[i].m.flags & SLOT_GONE))
                result = copy_one(c, uid, why);
            if (++cursor % YIELD_EVERY == 0)
                task_yield();
            if (uid++ == UINT32_MAX)
                break;
        }
    }
    if (result == 0 && c->items.n > 0)
        result = record_all(c, before, out, why);
    if (result != 0)
        undo(c);
    return result;
}

/* A copy that is not safe does not stay. */
static int sync_copied(struct copying *c, struct why *why)
{
    VEC(struct str) names = {0};

    if (c->move || c->items.n == 0 || folder_sync(c->to, SYNC_CUR, why) == 0)
        return 0;
    VEC_EACH (&c->items, item)
        *VEC_ADD(&names) = strz(item->name);
    folder_take_back(c->to, names.at, names.n);
    VEC_FREE(&names);
    return -1;
}

int mailbox_copy(struct mailbox *b, const struct uidset *which, const char *to, bool move,
                 struct copied *out, struct why *why)
{
    struct folder *target;
    /* fits: or a record is left out whole, and made again when it is asked for */
    struct copying c = {.from = b, .move = move, .cache = BUF(1 << 30)};
    int result = 0;

    if (move && b->read_only)
        return why_set(why, "5.7.1", "folder %s is open read-only", b->f->name);
    target = folder_open(b->f->store, to, why);
    if (target == NULL)
        return -1;
    if (folder_writable(target, why) < 0) {
        folder_release(target);
        return -1;
    }
    c.to = target;
    for (int tries = 0; tries < 2; tries++) {
        if (lock_both(b->f, target, why) < 0) {
            result = -1;
            break;
        }
        result = copy_all(&c, which, out, why);
        /* A file was not where it should be: somebody renamed it. */
        if (result > 0 && maildir_merge(b->f, true, why) < 0)
            result = -1;
        unlock_both(b->f, target);
        if (result <= 0)
            break;
    }
    if (result > 0)
        result = why_set(why, "4.2.0", "a message is no longer available in folder %s", b->f->name);
    if (result == 0)
        result = sync_copied(&c, why);
    VEC_EACH (&c.items, item)
        free_item(item);
    VEC_FREE(&c.items);
    VEC_EACH (&c.having, set)
        uidset_free(set);
    VEC_FREE(&c.having);
    VEC_FREE(&c.there);
    buf_free(&c.cache);
    folder_release(target);
    return result;
}
