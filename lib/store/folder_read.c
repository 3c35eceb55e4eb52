/*
 * The journal of a folder is read: at first, from its end, and what others append. Whatever is read
 * is read into a struct fresh beside the folder; what others see of the folder changes in one step
 * (adopt), in which nothing waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/random.h"
#include "base/str.h"
#include "store/folder.h"

enum {
    TAIL_READ = 4096,
    UID_GAP = 1000,
    RESTORED_S = 1, /* a file that is appended to has the same time of writing and of change */
    SYNC_S = 60,
};

/* ---- reading ---- */

static int unreadable(const struct folder *f, struct why *why)
{
    return why_errno(why, "4.3.0", "cannot read the journal of folder %s", f->name);
}

static int read_at(int fd, struct buf *out, off_t at, size_t n)
{
    char *to = buf_room(out, n + 1);

    if (to == NULL) {
        errno = EFBIG;
        return -1;
    }
    while (n > 0) {
        ssize_t got = pread(fd, to, n, at);
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        buf_grown(out, (size_t)got);
        to += got;
        at += got;
        n -= (size_t)got;
    }
    return 0;
}

/* Applies what is good in bytes, which stand at j->end. */
static void replay(struct journal_file *j, struct str bytes, struct state *state,
                   struct events *events)
{
    const struct journal_rec *rec;
    struct str payload;

    while ((rec = journal_parse(&j->head, bytes, j->end, &payload)) != NULL) {
        if (!state_apply(state, rec, payload, events))
            break;
        if (rec->type == J_CHECK)
            j->checkpoint = (off_t)rec->size;
        j->tip = j->end;
        j->tip_sum = rec->sum;
        j->end += (off_t)rec->size;
        bytes = str_from(bytes, rec->size);
    }
}

void folder_apply(struct folder *f, struct str bytes)
{
    replay(&f->j, bytes, &f->state, &f->events);
    mailbox_take_events(f);
}

/* ---- a journal is read aside: nobody else sees it before it is adopted ---- */

enum ends { ENDS_WHOLE, ENDS_TORN, ENDS_DAMAGED };

struct fresh {
    int fd;
    bool frozen; /* it may only be read */
    bool restored; /* see is_copy */
    off_t size;
    int64_t written; /* seconds */
    struct journal_file j;
    struct state state;
    enum ends ends;
};

static void fresh_drop(struct fresh *fresh)
{
    if (fresh->fd >= 0)
        close(fresh->fd);
    fresh->fd = -1;
    state_free(&fresh->state);
}

/*
 * Is the file not the one that was written, but a copy: restored from a backup, or brought from
 * another disk? The head tells the number of its own file. A file that was restored in place has
 * its old time of writing and a new time of change; a fresh file has so too, for as long as it took
 * to sync it before it got its name.
 */
static bool is_copy(int fd, const struct journal_head *head, const struct stat *st)
{
    int64_t apart = st->st_ctim.tv_sec - st->st_mtim.tv_sec;
    struct journal_rec rec;

    if (head->uidvalidity == 0)
        return false;
    if (head->ino != 0 && head->ino != st->st_ino)
        return true;
    if (apart <= RESTORED_S)
        return false;
    off_t made = (off_t)head->made;
    if (made == 0 && pread(fd, &rec, sizeof rec, sizeof *head) == sizeof rec)
        made = (off_t)(sizeof *head + rec.size);
    return made < st->st_size || apart > SYNC_S;
}

/* 1: open, 0: there is none, -1: error. A head that is not good is all zero. */
static int fresh_open(const struct folder *f, struct fresh *fresh, struct why *why)
{
    *fresh = (struct fresh){.fd = -1};
    state_init(&fresh->state);
    fresh->j.end = sizeof fresh->j.head;
    fresh->fd = file_open_plain(f->dirfd, FOLDER_JOURNAL, O_RDWR, 0);
    fresh->frozen = fresh->fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM);
    if (fresh->frozen)
        fresh->fd = file_open_plain(f->dirfd, FOLDER_JOURNAL, O_RDONLY, 0);
    if (fresh->fd < 0)
        return errno == ENOENT ? 0 : unreadable(f, why);
    struct journal_head *head = &fresh->j.head;
    struct stat st;
    if (fstat(fresh->fd, &st) < 0) {
        unreadable(f, why);
        fresh_drop(fresh);
        return -1;
    }
    if (pread(fresh->fd, head, sizeof *head, 0) != sizeof *head || !journal_head_ok(head))
        memset(head, 0, sizeof *head);
    fresh->size = st.st_size;
    fresh->written = st.st_mtim.tv_sec;
    fresh->restored = is_copy(fresh->fd, head, &st);
    fresh->j.ino = st.st_ino;
    return 1;
}

/* Is what does not check only the torn end of the file, and not damage in it? */
static bool is_torn(const struct journal_file *j, struct str rest)
{
    return j->end > (off_t)sizeof j->head && !journal_any(&j->head, str_from(rest, 8), j->end + 8);
}

/* All records. */
static int fresh_read(const struct folder *f, struct fresh *fresh, struct why *why)
{
    /* asked: by read_at */
    struct buf bytes = BUF(JOURNAL_MAX);
    off_t start = sizeof fresh->j.head;
    int result = 0;

    fresh->j.end = start;
    fresh->j.tip = 0;
    state_free(&fresh->state);
    state_init(&fresh->state);
    if (fresh->size > start)
        result = read_at(fresh->fd, &bytes, start, (size_t)(fresh->size - start));
    if (result < 0) {
        unreadable(f, why);
    } else {
        if (fresh->j.head.uidvalidity != 0)
            replay(&fresh->j, buf_str(&bytes), &fresh->state, NULL);
        struct str rest = str_from(buf_str(&bytes), (size_t)(fresh->j.end - start));
        if (rest.n > 0 || fresh->j.end == start)
            fresh->ends = is_torn(&fresh->j, rest) ? ENDS_TORN : ENDS_DAMAGED;
    }
    buf_free(&bytes);
    return result;
}

/* Only the last record: the next uid and the modseq. False: it is not good, or somebody is just
 * writing. */
static bool fresh_read_last(struct fresh *fresh)
{
    /* asked: by read_at */
    struct buf bytes = BUF(JOURNAL_MAX);
    off_t size = fresh->size, first = sizeof fresh->j.head;
    off_t at = size > TAIL_READ + first ? size - TAIL_READ : first;
    const struct journal_rec *rec = NULL;
    struct str payload;

    if (fresh->j.head.uidvalidity == 0 || size % 8 != 0 || size <= first)
        return false;
    uint32_t n = 0;
    if (read_at(fresh->fd, &bytes, at, (size_t)(size - at)) == 0)
        n = journal_last(buf_str(&bytes));
    if (n > bytes.n && n <= size - first) {
        buf_clear(&bytes);
        if (read_at(fresh->fd, &bytes, size - n, n) < 0)
            n = 0;
    }
    if (n > 0 && n <= bytes.n)
        rec = journal_parse(&fresh->j.head, str_from(buf_str(&bytes), bytes.n - n), size - n,
                            &payload);
    if (rec != NULL) {
        fresh->j.end = size;
        fresh->j.tip = size - (off_t)rec->size;
        fresh->j.tip_sum = rec->sum;
        fresh->state.uidnext = rec->uidnext;
        fresh->state.modseq = rec->modseq;
        if (rec->type == J_LIST && payload.n == sizeof fresh->state.list)
            memcpy(&fresh->state.list, payload.p, payload.n);
    }
    buf_free(&bytes);
    return rec != NULL;
}

/* ---- and adopted, without a wait ---- */

static void told(struct folder *f, enum event_kind kind, uint32_t low, uint32_t high)
{
    *VEC_ADD(&f->events.list) = (struct event){kind, low, high, NULL};
}

/* Of a state that no view shows. */
static void drop_gone(struct state *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        if (!(s->slots[i].m.flags & SLOT_GONE))
            s->slots[n++] = s->slots[i];
    s->n = n;
    s->gone = 0;
}

/* Takes over what differs. Slots keep their places, because views know messages by them. */
static void take_differences(struct folder *f, struct state *fresh)
{
    struct state *s = &f->state;
    size_t k = 0;

    for (size_t i = 0; i < s->n; i++) {
        struct slot *old = &s->slots[i];
        while (k < fresh->n && fresh->slots[k].m.uid < old->m.uid)
            k++;
        if (old->m.flags & SLOT_GONE)
            continue;
        if (k == fresh->n || fresh->slots[k].m.uid != old->m.uid) {
            old->m.flags |= SLOT_GONE;
            s->gone++;
            told(f, EVENT_EXPUNGED, old->m.uid, old->m.uid);
        } else if (memcmp(&fresh->slots[k].m, &old->m, sizeof old->m) != 0) {
            bool flags = (fresh->slots[k].m.flags & MSG_FLAGS) != (old->m.flags & MSG_FLAGS) ||
                         fresh->slots[k].m.keywords != old->m.keywords;
            struct msg before = old->m;
            old->m = fresh->slots[k].m;
            if (old->m.received == 0) /* found here, not recorded yet */
                old->m.received = before.received;
            if (flags)
                told(f, EVENT_FLAGS, old->m.uid, old->m.uid);
        }
    }
}

/* The names of the fresh state, for the old slots. Those that are gone have no file. */
static void take_names(struct state *s, struct state *fresh)
{
    size_t i = 0;

    for (size_t k = 0; k < s->n; k++)
        if (s->slots[k].m.flags & SLOT_GONE)
            s->slots[k].name = 0;
    for (size_t k = 0; k < fresh->n; k++) {
        while (i < s->n && s->slots[i].m.uid < fresh->slots[k].m.uid)
            i++;
        if (i < s->n && s->slots[i].m.uid == fresh->slots[k].m.uid) {
            s->slots[i].name = fresh->slots[k].name;
            s->slots[i].letters = fresh->slots[k].letters;
        }
    }
    free(s->names);
    s->names = fresh->names;
    s->names_n = fresh->names_n;
    s->names_room = fresh->names_room;
    fresh->names = NULL;
}

/* The messages that are new in the fresh state, behind the old slots; their names are there. */
static void take_new(struct folder *f, const struct state *fresh)
{
    struct state *s = &f->state;
    uint32_t last = s->n > 0 ? s->slots[s->n - 1].m.uid : 0;
    size_t first = last < UINT32_MAX ? state_find(fresh, last + 1) : fresh->n;
    size_t more = fresh->n - first;

    if (more == 0)
        return;
    s->room = s->n + more;
    s->slots = mem_resize(s->slots, s->room * sizeof *s->slots);
    memcpy(s->slots + s->n, fresh->slots + first, more * sizeof *s->slots);
    told(f, EVENT_ADDED, s->slots[s->n].m.uid, fresh->slots[fresh->n - 1].m.uid);
    s->n += more;
}

/* Which messages have the keyword; those that had it or not before are told. */
static void take_having(struct folder *f, struct uidset *old, struct uidset *now)
{
    const struct state *s = &f->state;
    bool same = old->n == now->n &&
                (old->n == 0 || memcmp(old->at, now->at, old->n * sizeof *old->at) == 0);

    for (size_t i = 0; i < s->n && !same; i++) {
        uint32_t uid = s->slots[i].m.uid;
        if (uidset_has(old, uid) != uidset_has(now, uid))
            told(f, EVENT_FLAGS, uid, uid);
    }
    struct uidset swap = *old;
    *old = *now;
    *now = swap;
}

static void take_keywords(struct folder *f, struct state *fresh)
{
    struct state *s = &f->state;

    for (size_t i = 0; i < fresh->keywords.n; i++) {
        state_name_keyword(s, i, state_keyword_name(fresh, i));
        take_having(f, &s->keywords.at[i].uids, &fresh->keywords.at[i].uids);
    }
}

static void take_state(struct folder *f, struct state *fresh)
{
    struct state *s = &f->state;

    drop_gone(fresh); /* expunged since the checkpoint */
    take_differences(f, fresh);
    take_names(s, fresh);
    take_new(f, fresh);
    take_keywords(f, fresh);
    s->uidnext = fresh->uidnext;
    s->modseq = fresh->modseq;
    s->recent = fresh->recent;
    s->seen_new = fresh->seen_new;
    s->seen_cur = fresh->seen_cur;
    s->sure_at = fresh->sure_at;
    s->list = fresh->list;
    s->clean_at = 0;
}

void folder_adopt_state(struct folder *f, struct state *fresh)
{
    if (f->loaded) {
        take_state(f, fresh);
        mailbox_take_events(f);
    } else {
        state_free(&f->state);
        f->state = *fresh;
        state_init(fresh);
        f->loaded = true;
    }
}

static void adopt_file(struct folder *f, struct fresh *fresh)
{
    folder_use_journal(f, fresh->fd);
    fresh->fd = -1;
    f->frozen = fresh->frozen;
    f->j = fresh->j;
    cache_close(&f->cache); /* it was replaced together with the journal */
    cache_init(&f->cache, f->dirfd, f->j.head.uidvalidity);
}

/* Nothing waits in here: no other task sees the folder between two states. */
static void folder_adopt(struct folder *f, struct fresh *fresh)
{
    adopt_file(f, fresh);
    folder_adopt_state(f, &fresh->state);
}

static int lost(struct folder *f, const char *text, struct why *why)
{
    f->failed = true;
    return why_set(why, "4.2.0", "folder %s %s", f->name, text);
}

/* ---- a journal that is not good, or not the one that should be there; under the lock ---- */

/* A record that was not written whole is cut off, and the folder adopted. */
static int mend_torn(struct folder *f, struct fresh *fresh, struct why *why)
{
    if (!fresh->frozen) {
        msg_warn("folder %s of %s: the journal's torn end is cut off", f->name, f->store->path);
        if (ftruncate(fresh->fd, fresh->j.end) < 0)
            return why_errno(why, "4.3.0", "cannot mend the journal of folder %s", f->name);
    }
    folder_adopt(f, fresh);
    return fresh->frozen ? 0 : folder_leap(f, UID_GAP, why);
}

/*
 * What can be read is kept, under another uidvalidity. Views that show what was before cannot go
 * on: their folder has failed, and whoever opens the directory next reads the new journal.
 */
static int make_anew(struct folder *f, struct fresh *fresh, const char *reason, struct why *why)
{
    msg_warn("folder %s of %s: the journal %s and is made again", f->name, f->store->path, reason);
    fresh->state.seen_new = fresh->state.seen_cur = 0;
    if (!f->loaded && list_empty(&f->views))
        return folder_make(f, &fresh->state, 0, false, why);
    f->failed = true;
    if (folder_make(f, &fresh->state, 0, false, why) < 0)
        return -1;
    return lost(f, "was numbered anew", why);
}

/* Does the record stand in the file that was the last one when it was read? */
static bool has_tip(int fd, const struct journal_file *j)
{
    struct journal_rec rec;

    return j->tip == 0 || (pread(fd, &rec, sizeof rec, j->tip) == sizeof rec &&
                           rec.sum == j->tip_sum && rec.size == j->end - j->tip);
}

/*
 * Does the journal tell all that this process knows? One that was restored from a copy may not:
 * its next numbers were given before. A checkpoint is another file, whose numbers are as high or
 * higher; a file of the same generation holds the last record that was read.
 */
static bool goes_on(const struct folder *f, const struct fresh *fresh)
{
    if (f->j.head.generation == 0)
        return true; /* nothing was read yet */
    if (fresh->j.head.generation == f->j.head.generation)
        return fresh->j.end >= f->j.end && has_tip(fresh->fd, &f->j);
    return fresh->state.uidnext >= f->state.uidnext && fresh->state.modseq >= f->state.modseq;
}

/*
 * A restored journal may have lost numbers that nobody here knows of: the next ones leap by more
 * than can have been given since it was written last, at one message a second. What the
 * directories hold may be of another time too. The new file then is what it seems to be.
 */
static int leap_numbers(struct folder *f, int64_t written, struct why *why)
{
    int64_t now = clock_wall(), leap = UID_GAP + (now > written ? now - written : 0);
    uint16_t more; /* so that a second restoration of the same copy gives other numbers */

    random_bytes(&more, sizeof more);
    leap += more * 16;

    msg_warn(
        "folder %s of %s: the journal is a copy or was restored: the next number leaps by %lld",
        f->name, f->store->path, (long long)leap);
    f->state.seen_new = f->state.seen_cur = 0;
    if (folder_leap(f, leap, why) < 0 || folder_checkpoint(f, why) < 0)
        msg_warn("%s", why_text(why));
    why_clear(why);
    return 0;
}

static bool is_renumbered(const struct folder *f, const struct fresh *fresh)
{
    return f->j.head.uidvalidity != 0 && f->j.head.uidvalidity != fresh->j.head.uidvalidity;
}

static bool is_shown(const struct folder *f)
{
    return f->loaded || !list_empty(&f->views);
}

/* Nothing needs to be mended, so the lock is not needed. */
static bool is_fine(const struct folder *f, const struct fresh *fresh)
{
    if (fresh->ends != ENDS_WHOLE || (!fresh->frozen && fresh->restored))
        return false;
    return is_renumbered(f, fresh) ? !is_shown(f) : goes_on(f, fresh);
}

static int mend(struct folder *f, struct fresh *fresh, struct why *why)
{
    int64_t written = fresh->written;

    if (fresh->j.head.uidvalidity == 0 && fresh->frozen)
        return why_set(why, "4.3.0", "the journal of folder %s is damaged", f->name);
    if (fresh->ends == ENDS_DAMAGED && !fresh->frozen)
        return make_anew(f, fresh, "is damaged", why);
    if (is_renumbered(f, fresh) && is_shown(f))
        return lost(f, "was numbered anew", why);
    if (!is_renumbered(f, fresh) && !goes_on(f, fresh))
        return fresh->frozen ? lost(f, "is older than it was", why)
                             : make_anew(f, fresh, "is older than it was", why);
    if (fresh->ends == ENDS_TORN)
        return mend_torn(f, fresh, why);
    bool restored = fresh->restored && !fresh->frozen;
    folder_adopt(f, fresh);
    return restored ? leap_numbers(f, written, why) : 0;
}

/* ---- the journal that is there now ---- */

enum taken { TAKE_NONE = 1, TAKE_NEEDS_LOCK };

/* 0: done, or enum taken. Unless all is true, the last record will do. */
static int try_take(struct folder *f, bool locked, bool all, struct why *why)
{
    struct fresh fresh;
    int result = fresh_open(f, &fresh, why);

    if (result <= 0)
        return result == 0 ? TAKE_NONE : -1;
    if (!all && !fresh.restored && fresh_read_last(&fresh) && is_fine(f, &fresh)) {
        adopt_file(f, &fresh);
        f->state.uidnext = fresh.state.uidnext;
        f->state.modseq = fresh.state.modseq;
        f->state.list = fresh.state.list;
        result = 0;
    } else if (fresh_read(f, &fresh, why) < 0) {
        result = -1;
    } else if (locked) {
        result = mend(f, &fresh, why);
    } else if (is_fine(f, &fresh)) {
        folder_adopt(f, &fresh);
        result = 0;
    } else {
        result = TAKE_NEEDS_LOCK;
    }
    fresh_drop(&fresh);
    return result;
}

/* (waits if the lock is needed) */
static int folder_read_take(struct folder *f, bool locked, bool all, struct why *why)
{
    int result = try_take(f, locked, all, why);

    if (result != TAKE_NEEDS_LOCK)
        return result;
    if (folder_lock(f, why) < 0)
        return -1;
    result = f->failed ? lost(f, "is no longer available", why) : try_take(f, true, all, why);
    folder_unlock(f);
    return result;
}

int folder_open_journal(struct folder *f, bool locked, struct why *why)
{
    int result = folder_read_take(f, locked, false, why);

    return result == TAKE_NONE ? 0 : result < 0 ? -1 : 1;
}

int folder_load(struct folder *f, bool locked, struct why *why)
{
    if (f->loaded || f->failed)
        return folder_refresh(f, locked, why);
    int result = folder_read_take(f, locked, true, why);
    if (result == TAKE_NONE)
        return why_set(why, "5.2.0", "folder %s does not exist", f->name);
    return result;
}

/* What others appended. */
static int read_more(struct folder *f, off_t size, bool locked, struct why *why)
{
    /* asked: by read_at */
    struct buf bytes = BUF(JOURNAL_MAX);
    off_t start = f->j.end;
    int result = read_at(f->jfd, &bytes, start, (size_t)(size - start));

    if (result < 0)
        unreadable(f, why);
    else
        folder_apply(f, buf_str(&bytes));
    /* Under the lock nobody else writes: what does not check will not get better. */
    if (result == 0 && f->j.end < start + (off_t)bytes.n && locked)
        result = folder_read_take(f, true, true, why);
    buf_free(&bytes);
    return result;
}

enum look { LOOK_SAME, LOOK_GREW, LOOK_OTHER };

/* Is the file by that name the one that was read, with all that was read of it? */
static enum look look(struct folder *f, const struct stat *st)
{
    if (st->st_ino != f->j.ino || st->st_size < f->j.end)
        return LOOK_OTHER;
    if (st->st_size == f->j.end && clock_ns(&st->st_ctim) == f->j.changed)
        return LOOK_SAME;
    if (!has_tip(f->jfd, &f->j) || (!f->frozen && is_copy(f->jfd, &f->j.head, st)))
        return LOOK_OTHER;
    f->j.changed = clock_ns(&st->st_ctim);
    return st->st_size == f->j.end ? LOOK_SAME : LOOK_GREW;
}

int folder_refresh(struct folder *f, bool locked, struct why *why)
{
    struct stat st;
    enum look what = LOOK_OTHER;

    if (f->failed)
        return lost(f, "is no longer available", why);
    if (f->in_memory)
        return 0;
    if (fstatat(f->dirfd, FOLDER_JOURNAL, &st, AT_SYMLINK_NOFOLLOW) == 0)
        what = look(f, &st);
    else if (errno != ENOENT)
        return unreadable(f, why);
    if (what == LOOK_SAME)
        return 0;
    if (what == LOOK_GREW && f->loaded)
        return read_more(f, st.st_size, locked, why);
    int result = folder_read_take(f, locked, f->loaded, why);
    return result == TAKE_NONE ? lost(f, "was removed", why) : result;
}
