/*
 * Views: how one user of a folder sees it. A view knows messages by the places of their slots; as
 * long as nothing was expunged, number n is slot n - 1 and there is no map.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/str.h"
#include "store/view.h"
#include "task/task.h"

/* ---- numbers ---- */

static size_t slot_at(const struct mailbox *b, uint32_t number)
{
    size_t i = number - 1;

    if (b->map == NULL)
        return i;
    return b->map[i < b->gap_at ? i : i + b->gap];
}

struct slot *view_slot(const struct mailbox *b, uint32_t number)
{
    return &b->f->state.slots[slot_at(b, number)];
}

uint32_t mailbox_number_from(const struct mailbox *b, uint32_t uid)
{
    uint32_t low = 1, high = b->count + 1;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (view_slot(b, mid)->m.uid < uid)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

uint32_t mailbox_number(const struct mailbox *b, uint32_t uid)
{
    uint32_t number = mailbox_number_from(b, uid);

    return number <= b->count && view_slot(b, number)->m.uid == uid ? number : 0;
}

static void make_map(struct mailbox *b)
{
    b->room = b->count + 16;
    b->map = mem_array(b->room, sizeof *b->map);
    for (uint32_t i = 0; i < b->count; i++)
        b->map[i] = i;
    b->gap_at = b->count;
    b->gap = 0;
}

void view_append(struct mailbox *b, size_t slot)
{
    if (b->map == NULL && slot == b->count) {
        b->count++;
        return;
    }
    if (b->map == NULL)
        make_map(b);
    if (b->count + b->gap == b->room) {
        b->room = b->room * 3 / 2 + 16;
        b->map = mem_resize(b->map, b->room * sizeof *b->map);
    }
    b->map[b->count + b->gap] = (uint32_t)slot;
    b->count++;
}

/* The gap moves to where the message was: a run of removals from the end down moves each entry
 * once. */
void view_drop(struct mailbox *b, uint32_t number)
{
    size_t i = number - 1;

    if (b->map == NULL)
        make_map(b);
    if (i + 1 < b->gap_at) {
        size_t n = b->gap_at - (i + 1);
        memmove(b->map + i + 1 + b->gap, b->map + i + 1, n * sizeof *b->map);
        b->gap_at = i + 1;
    } else if (i >= b->gap_at) {
        size_t n = i + 1 - b->gap_at;
        memmove(b->map + b->gap_at, b->map + b->gap_at + b->gap, n * sizeof *b->map);
        b->gap_at = i + 1;
    }
    b->gap_at--;
    b->gap++;
    b->count--;
}

void mailbox_marks(struct folder *f, bool *used)
{
    LIST_EACH (&f->views, l) {
        const struct mailbox *b = LIST_OF(l, struct mailbox, link);
        for (uint32_t n = 1; n <= b->count; n++)
            used[slot_at(b, n)] = true;
    }
}

void mailbox_slots_moved(struct folder *f, const uint32_t *to)
{
    LIST_EACH (&f->views, l) {
        struct mailbox *b = LIST_OF(l, struct mailbox, link);
        if (b->map == NULL)
            continue; /* all of its slots are used, from the first on: they stay */
        for (uint32_t n = 1; n <= b->count; n++) {
            size_t i = n - 1;
            uint32_t *entry = &b->map[i < b->gap_at ? i : i + b->gap];
            *entry = to[*entry];
        }
    }
}

/* ---- open and close ---- */

int view_merge(struct mailbox *b, bool force, struct why *why)
{
    struct folder *f = b->f;

    if (folder_lock(f, why) < 0)
        return -1;
    int result = folder_load(f, true, why); /* what was loaded may have been forgotten meanwhile */
    if (result == 0)
        result = maildir_merge(f, force, why);
    folder_unlock(f);
    return result;
}

static void record_recent(struct folder *f)
{
    struct journal_recent r = {f->state.recent, 0};
    folder_record(f, J_RECENT, (struct str){(const char *)&r, sizeof r}, 0);
}

static void take_all(struct mailbox *b)
{
    const struct state *s = &b->f->state;

    b->count = 0;
    if (s->gone == 0) {
        b->count = (uint32_t)s->n;
    } else {
        for (size_t i = 0; i < s->n; i++)
            if (!(s->slots[i].m.flags & SLOT_GONE))
                view_append(b, i);
    }
    view_begin_news(b);
}

struct mailbox *mailbox_open(struct store *s, const char *folder, bool read_only, struct why *why)
{
    struct folder *f = folder_open(s, folder, why);

    if (f == NULL)
        return NULL;
    struct mailbox *b = mem_new(sizeof *b);
    b->f = f;
    b->fd = b->lock_fd = -1;
    b->read_only = read_only;
    /* asked: by cache_make */
    b->text = BUF(8 << 20);
    /* fits: or something is left out whole, and found out anew next time */
    b->pending = BUF(JOURNAL_MAX);
    b->sizes = BUF(JOURNAL_MAX); /* fits: as pending */
    b->dates = BUF(JOURNAL_MAX); /* fits: as pending */
    list_init(&b->link);
    if (folder_load(f, false, why) < 0 ||
        (maildir_changed(f, true) && view_merge(b, false, why) < 0)) {
        mailbox_close(&b);
        return NULL;
    }
    b->read_only = read_only || folder_writable(f, NULL) < 0;
    list_add(&f->views, &b->link);
    take_all(b);
    return b;
}

static_assert(sizeof(struct journal_size) == sizeof(struct journal_date), "one way to count");

static void record_found(struct folder *f, enum journal_type type, struct buf *found)
{
    struct journal_ranges head = {.count = (uint32_t)(found->n / sizeof(struct journal_size))};
    struct buf out = BUF(JOURNAL_MAX);

    if (found->n == 0)
        return;
    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    buf_add(&out, buf_str(found));
    folder_record_buf(f, type, &out, 0);
    buf_free(&out);
    buf_clear(found);
}

static bool is_pending(const struct mailbox *b)
{
    return b->pending.n > 0 || b->sizes.n > 0 || b->dates.n > 0;
}

/* The texts, sizes and dates that were found while reading. Under the lock. */
static void store_pending(struct mailbox *b)
{
    if (b->pending.n > 0)
        cache_append(&b->f->cache, buf_str(&b->pending));
    record_found(b->f, J_SIZES, &b->sizes);
    record_found(b->f, J_DATES, &b->dates);
    b->date_told = false;
    buf_clear(&b->pending);
}

void view_flush(struct mailbox *b)
{
    struct why why = WHY;

    if (is_pending(b) && folder_lock(b->f, &why) == 0) {
        if (folder_refresh(b->f, true, &why) == 0) {
            store_pending(b);
            folder_commit(b->f, &why);
        }
        folder_unlock(b->f);
    }
    why_free(&why);
}

/* Closing a folder that has not changed must not cost a look at each message. */
static bool has_stale_names(struct state *s)
{
    if (s->clean_at == s->modseq)
        return false;
    for (size_t i = 0; i < s->n; i++)
        if (s->slots[i].m.flags & (SLOT_DIRTY | SLOT_NEW) && !(s->slots[i].m.flags & SLOT_GONE))
            return true;
    s->clean_at = s->modseq;
    return false;
}

static void leave(struct mailbox *b)
{
    struct folder *f = b->f;
    struct why why = WHY;
    bool names = !b->read_only && has_stale_names(&f->state);

    if (names || b->recent_claimed || is_pending(b)) {
        if (folder_lock(f, &why) == 0) {
            if (folder_refresh(f, true, &why) == 0) {
                store_pending(b);
                if (b->recent_claimed)
                    record_recent(f);
                folder_commit(f, &why);
                if (names)
                    maildir_rename(f, NULL, true, &why);
            }
            folder_unlock(f);
        }
    }
    why_free(&why);
}

void mailbox_close(struct mailbox **view)
{
    struct mailbox *b = *view;

    if (b == NULL)
        return;
    *view = NULL;
    if (!list_empty(&b->link) && !b->f->failed)
        leave(b);
    mailbox_watch(b, NULL);
    list_drop(&b->link);
    view_end_news(b);
    folder_tidy(b->f);
    folder_release(b->f);
    if (b->fd >= 0)
        close(b->fd);
    if (b->lock_fd >= 0)
        close(b->lock_fd);
    free(b->map);
    uidset_free(&b->recent);
    buf_free(&b->text);
    buf_free(&b->pending);
    buf_free(&b->sizes);
    buf_free(&b->dates);
    free(b);
}

/* ---- what it shows ---- */

bool mailbox_read_only(const struct mailbox *b)
{
    return b->read_only;
}

uint32_t mailbox_count(const struct mailbox *b)
{
    return b->count;
}

uint32_t mailbox_uidvalidity(const struct mailbox *b)
{
    return b->f->j.head.uidvalidity;
}

uint32_t mailbox_uidnext(const struct mailbox *b)
{
    return b->f->state.uidnext;
}

uint64_t mailbox_modseq(const struct mailbox *b)
{
    return b->f->state.modseq;
}

const struct msg *mailbox_msg(const struct mailbox *b, uint32_t number)
{
    return &view_slot(b, number)->m;
}

bool mailbox_recent(const struct mailbox *b, uint32_t number)
{
    return b->recent.n > 0 && uidset_has(&b->recent, view_slot(b, number)->m.uid);
}

bool mailbox_is_expunged(const struct mailbox *b, uint32_t number)
{
    return view_slot(b, number)->m.flags & SLOT_GONE;
}

uint32_t mailbox_recent_count(const struct mailbox *b)
{
    uint32_t count = 0;

    if (b->recent.n == 0)
        return 0;
    for (uint32_t n = mailbox_number_from(b, b->recent.at[0].low); n <= b->count; n++)
        count += mailbox_recent(b, n);
    return count;
}

uint32_t mailbox_first_unseen(const struct mailbox *b)
{
    for (uint32_t n = 1; n <= b->count; n++)
        if (!(view_slot(b, n)->m.flags & MSG_SEEN))
            return n;
    return 0;
}

uint32_t mailbox_keyword_count(const struct mailbox *b)
{
    return (uint32_t)b->f->state.keywords.n;
}

struct str mailbox_keyword(const struct mailbox *b, uint32_t i)
{
    return state_keyword_name(&b->f->state, i);
}

int mailbox_keyword_find(const struct mailbox *b, struct str name)
{
    return state_keyword(&b->f->state, name);
}

bool mailbox_has_keyword(const struct mailbox *b, uint32_t number, uint32_t i)
{
    return state_has_keyword(&b->f->state, view_slot(b, number), i);
}

bool mailbox_may_define(const struct mailbox *b)
{
    return folder_keyword_room(b->f) > 0;
}

struct str mailbox_guid(const struct mailbox *b, uint32_t number)
{
    struct str name = state_name(&b->f->state, view_slot(b, number));
    ptrdiff_t colon = str_find(name, ':');

    return colon < 0 ? name : str_upto(name, (size_t)colon);
}

int mailbox_lock_session(struct mailbox *b, struct why *why)
{
    if (b->lock_fd >= 0)
        return 0;
    b->lock_fd = blobs_lock(&b->f->blobs);
    if (b->lock_fd >= 0)
        return 0;
    if (errno == EAGAIN)
        return why_set(why, "4.2.0", "folder %s is used by another session", b->f->name);
    return why_errno(why, "4.3.0", "cannot lock folder %s", b->f->name);
}
