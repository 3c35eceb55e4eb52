/*
 * The journal of a folder is read: at first, from its end, and what others append.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "store/folder.h"

enum { TAIL_READ = 4096, UID_GAP = 1000 };

/* ---- reading ---- */

static int unreadable(struct folder *f, struct why *why)
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

void folder_apply(struct folder *f, struct state *state, struct str bytes, struct events *events)
{
    const struct journal_rec *rec;
    struct str payload;

    while ((rec = journal_parse(&f->head, bytes, f->end, &payload)) != NULL) {
        if (!state_apply(state, rec, payload, events))
            break;
        if (rec->type == J_CHECK)
            f->checkpoint = (off_t)rec->size;
        f->end += (off_t)rec->size;
        bytes = str_from(bytes, rec->size);
    }
    if (events != NULL)
        mailbox_take_events(f);
}

bool folder_read_last(struct folder *f, off_t size)
{
    struct buf bytes = BUF(JOURNAL_MAX);
    off_t at = size > TAIL_READ + (off_t)sizeof f->head ? size - TAIL_READ : (off_t)sizeof f->head;
    const struct journal_rec *rec = NULL;
    struct str payload;

    if (size % 8 == 0 && read_at(f->jfd, &bytes, at, (size_t)(size - at)) == 0) {
        uint32_t n = journal_last(buf_str(&bytes));
        if (n > bytes.n && n <= size - (off_t)sizeof f->head) {
            at = size - n;
            buf_clear(&bytes);
            if (read_at(f->jfd, &bytes, at, n) < 0)
                n = 0;
        }
        if (n > 0 && n <= bytes.n)
            rec =
                journal_parse(&f->head, str_from(buf_str(&bytes), bytes.n - n), size - n, &payload);
    }
    if (rec != NULL) {
        f->end = size;
        f->state.uidnext = rec->uidnext;
        f->state.modseq = rec->modseq;
    }
    buf_free(&bytes);
    return rec != NULL;
}

int folder_open_file(struct folder *f, struct why *why)
{
    int fd = openat(f->dirfd, FOLDER_JOURNAL, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    bool frozen = fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM);

    if (frozen)
        fd = openat(f->dirfd, FOLDER_JOURNAL, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : unreadable(f, why);
    if (f->jfd >= 0)
        close(f->jfd);
    f->jfd = fd;
    f->frozen = frozen;
    f->end = sizeof f->head;
    f->checkpoint = 0;
    if (pread(fd, &f->head, sizeof f->head, 0) != sizeof f->head || !journal_head_ok(&f->head))
        memset(&f->head, 0, sizeof f->head);
    return 1;
}

/* Of what was read, rest does not check. Is it the torn end of the file, and not damage in it? */
static bool is_torn(const struct folder *f, struct str rest)
{
    return f->end > (off_t)sizeof f->head && !journal_any(&f->head, str_from(rest, 8), f->end + 8);
}

/* Under the lock: a record that was not written whole is cut off. */
static int cut_torn(struct folder *f, const struct state *state, struct why *why)
{
    msg_warn("folder %s of %s: the journal's torn end is cut off", f->name, f->store->path);
    if (ftruncate(f->jfd, f->end) < 0)
        return why_errno(why, "4.3.0", "cannot mend the journal of folder %s", f->name);
    /* What was lost may have been seen: its numbers must not come again. */
    if (state->uidnext < UINT32_MAX - UID_GAP)
        folder_record(f, J_UIDNEXT, STR(""), state->uidnext + UID_GAP);
    return 0;
}

/* Under the lock: what can be read is kept, under another uidvalidity. */
static int make_anew(struct folder *f, struct state *state, struct why *why)
{
    msg_warn("folder %s of %s: the journal is damaged and made again", f->name, f->store->path);
    state->seen_new = state->seen_cur = 0;
    return folder_make(f, state, false, why);
}

/* Everything. 0: done; 1: something is wrong and the lock is needed. */
static int load(struct folder *f, bool locked, struct why *why)
{
    struct state state;
    struct buf bytes = BUF(JOURNAL_MAX);
    struct stat st;
    int result = -1;

    state_init(&state);
    f->end = sizeof f->head;
    if (fstat(f->jfd, &st) < 0 ||
        (st.st_size > f->end &&
         read_at(f->jfd, &bytes, f->end, (size_t)(st.st_size - f->end)) < 0)) {
        unreadable(f, why);
    } else {
        off_t start = f->end;
        if (f->head.uidvalidity != 0)
            folder_apply(f, &state, buf_str(&bytes), NULL);
        struct str rest = str_from(buf_str(&bytes), (size_t)(f->end - start));
        if (rest.n == 0 && f->end > start) {
            result = 0;
        } else if (!locked) {
            result = 1;
        } else if (is_torn(f, rest)) {
            result = f->frozen ? 0 : cut_torn(f, &state, why);
        } else {
            result = make_anew(f, &state, why);
            goto out;
        }
    }
    if (result == 0) {
        state_free(&f->state);
        f->state = state;
        state_init(&state);
        f->loaded = true;
    }
out:
    state_free(&state);
    buf_free(&bytes);
    if (result == 0 && f->out.n > 0)
        result = folder_commit(f, why);
    return result;
}

int folder_load(struct folder *f, bool locked, struct why *why)
{
    if (f->loaded)
        return folder_refresh(f, locked, why);
    int result = load(f, locked, why);
    if (result <= 0)
        return result;
    if (folder_lock(f, why) < 0)
        return -1;
    result = folder_open_file(f, why);
    if (result == 0)
        result = why_set(why, "5.2.0", "folder %s does not exist", f->name);
    else if (result > 0)
        result = load(f, true, why);
    folder_unlock(f);
    return result;
}

/* ---- following what others do ---- */

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

/* The journal was replaced by a checkpoint: take over what differs. Slots keep their places,
 * because views know messages by them. */
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

/* The names and new messages of the fresh state, behind the old slots. */
static void take_fresh(struct folder *f, struct state *fresh)
{
    struct state *s = &f->state;
    uint32_t last = s->n > 0 ? s->slots[s->n - 1].m.uid : 0;
    size_t first = state_find(fresh, last + 1), more = fresh->n - first, i = 0;

    /* Names of slots that are gone are not needed: they have no file. */
    for (size_t k = 0; k < fresh->n && k < first; k++) {
        while (i < s->n && s->slots[i].m.uid < fresh->slots[k].m.uid)
            i++;
        if (i < s->n && s->slots[i].m.uid == fresh->slots[k].m.uid) {
            s->slots[i].name = fresh->slots[k].name;
            s->slots[i].letters = fresh->slots[k].letters;
        }
    }
    for (i = 0; i < s->n; i++)
        if (s->slots[i].m.flags & SLOT_GONE)
            s->slots[i].name = 0;
    free(s->names);
    s->names = fresh->names;
    s->names_n = fresh->names_n;
    s->names_room = fresh->names_room;
    fresh->names = NULL;
    if (more > 0) {
        s->room = s->n + more;
        s->slots = mem_resize(s->slots, s->room * sizeof *s->slots);
        memcpy(s->slots + s->n, fresh->slots + first, more * sizeof *s->slots);
        told(f, EVENT_ADDED, s->slots[s->n].m.uid, fresh->slots[fresh->n - 1].m.uid);
        s->n += more;
    }
    while (s->nkeywords < fresh->nkeywords) {
        s->keywords[s->nkeywords] = mem_dupz(fresh->keywords[s->nkeywords]);
        s->nkeywords++;
    }
    s->uidnext = fresh->uidnext;
    s->modseq = fresh->modseq;
    s->recent = fresh->recent;
    s->seen_new = fresh->seen_new;
    s->seen_cur = fresh->seen_cur;
    s->sure_at = fresh->sure_at;
}

static int lost(struct folder *f, const char *text, struct why *why)
{
    f->failed = true;
    return why_set(why, "4.2.0", "folder %s %s", f->name, text);
}

/* The file that is open is no longer the journal. */
static int reopen(struct folder *f, bool locked, struct why *why)
{
    struct state old = f->state;
    uint32_t uidvalidity = f->head.uidvalidity;
    bool was_loaded = f->loaded;
    int result = folder_open_file(f, why);

    if (result <= 0)
        return result < 0 ? -1 : lost(f, "was removed", why);
    cache_close(&f->cache);
    cache_init(&f->cache, f->dirfd, f->head.uidvalidity);
    if (f->head.uidvalidity != uidvalidity && (was_loaded || !list_empty(&f->views)))
        return lost(f, "was numbered anew", why);
    if (!was_loaded)
        return folder_refresh(f, locked, why);
    state_init(&f->state);
    f->loaded = false;
    result = folder_load(f, locked, why);
    struct state fresh = f->state;
    f->state = old;
    f->loaded = true;
    if (result == 0 && f->head.uidvalidity != uidvalidity)
        result = lost(f, "was numbered anew", why);
    if (result == 0) {
        drop_gone(&fresh); /* expunged since the checkpoint */
        take_differences(f, &fresh);
        take_fresh(f, &fresh);
    } else {
        f->failed = true;
    }
    state_free(&fresh);
    return result;
}

int folder_refresh(struct folder *f, bool locked, struct why *why)
{
    struct stat st;

    if (f->failed)
        return lost(f, "is no longer available", why);
    if (f->in_memory)
        return 0;
    if (fstat(f->jfd, &st) < 0)
        return unreadable(f, why);
    if (st.st_nlink == 0 || st.st_size < f->end)
        return reopen(f, locked, why);
    if (st.st_size == f->end)
        return 0;
    if (!f->loaded)
        return folder_read_last(f, st.st_size) ? 0 : folder_load(f, locked, why);
    struct buf bytes = BUF(JOURNAL_MAX);
    off_t start = f->end;
    int result = read_at(f->jfd, &bytes, start, (size_t)(st.st_size - start));
    if (result < 0)
        unreadable(f, why);
    else
        folder_apply(f, &f->state, buf_str(&bytes), &f->events);
    struct str rest = str_from(buf_str(&bytes), (size_t)(f->end - start));
    if (result == 0 && rest.n > 0 && locked) {
        /* Nobody else writes now: what does not check will not get better. Who opens the folder
         * next makes it anew; here views still show it. */
        if (!is_torn(f, rest))
            result = lost(f, "was damaged", why);
        else if (!f->frozen && cut_torn(f, &f->state, why) < 0)
            result = -1;
        else
            result = folder_commit(f, why);
    }
    buf_free(&bytes);
    return result;
}
