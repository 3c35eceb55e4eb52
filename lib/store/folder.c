/*
 * The journal of a folder as a file: opening, following, appending, checkpoints.
 */
#include "store/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/msg.h"
#include "base/str.h"
#include "task/task.h"

static const char journal_name[] = "pombal.journal";
static const char journal_new[] = "pombal.journal.new";

enum { TAIL_READ = 4096, UID_GAP = 1000, CHECKPOINT_MIN = 256 << 10 };

/* ---- lock ---- */

struct waiter {
    struct list link;
    struct task *task;
};

static bool wait_in_line(struct folder *f, int64_t deadline)
{
    while (f->locked) {
        struct waiter w = {.task = task_self()};
        list_add(&f->waiters, &w.link);
        enum wait result = task_park(deadline);
        list_drop(&w.link);
        if (result == WAIT_TIMEOUT || result == WAIT_CANCELLED)
            return !f->locked;
    }
    return true;
}

int folder_lock(struct folder *f, struct why *why)
{
    int64_t deadline = task_now() + f->store->set.lock_ms, pause = 2;

    if (!wait_in_line(f, deadline))
        return why_set(why, "4.2.0", "folder %s is busy", f->name);
    f->locked = true;
    while (lock_try_flock(f->dirfd, true) < 0) {
        int error = errno;
        bool again = error == EAGAIN || error == EINTR;
        if (again && task_now() < deadline && task_sleep(task_now() + pause) != WAIT_CANCELLED) {
            pause = pause < 50 ? pause * 2 : 50;
            continue;
        }
        errno = error;
        why_errno(why, "4.2.0", "cannot lock folder %s", f->name);
        folder_unlock(f);
        return -1;
    }
    return 0;
}

void folder_unlock(struct folder *f)
{
    lock_release_flock(f->dirfd);
    f->locked = false;
    if (!list_empty(&f->waiters))
        task_wake(LIST_OF(f->waiters.next, struct waiter, link)->task);
}

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

/* Applies what is good in bytes, which stand at f->end. */
static void apply_bytes(struct folder *f, struct state *state, struct str bytes,
                        struct events *events)
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
}

/* Only the last record: the next uid and the modseq. False: it is not good. */
static bool read_last(struct folder *f, off_t size)
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

/* 1: open, 0: there is none, -1: error. A journal whose head is not good counts as empty. */
static int open_file(struct folder *f, struct why *why)
{
    int fd = openat(f->dirfd, journal_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 && (errno == EACCES || errno == EROFS))
        fd = openat(f->dirfd, journal_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : unreadable(f, why);
    if (f->jfd >= 0)
        close(f->jfd);
    f->jfd = fd;
    f->end = sizeof f->head;
    f->checkpoint = 0;
    if (pread(fd, &f->head, sizeof f->head, 0) != sizeof f->head || !journal_head_ok(&f->head))
        memset(&f->head, 0, sizeof f->head);
    return 1;
}

/* ---- a journal is made: at first open, and when one is lost or damaged ---- */

static int write_whole(struct folder *f, const struct journal_head *head, const struct state *state,
                       struct buf *out, struct why *why)
{
    size_t start;
    int fd;

    buf_add(out, (struct str){(const char *)head, sizeof *head});
    start = journal_begin(out, J_CHECK);
    state_check(state, out);
    journal_end(out, start, head, 0, state->modseq, state->uidnext);
    if (out->full)
        return why_set(why, "4.2.2", "folder %s has too many messages", f->name);
    fd = openat(f->dirfd, journal_new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                f->store->set.mode & 0666);
    if (fd < 0)
        return why_errno(why, "4.3.0", "cannot create a journal in folder %s", f->name);
    if (file_write_all(fd, out->p, out->n) == 0 &&
        (f->store->set.no_sync || task_fdatasync(fd) == 0) &&
        renameat(f->dirfd, journal_new, f->dirfd, journal_name) == 0)
        return fd;
    why_errno(why, "4.3.0", "cannot write the journal of folder %s", f->name);
    close(fd);
    unlinkat(f->dirfd, journal_new, 0);
    return -1;
}

static void use_file(struct folder *f, int fd, const struct journal_head *head, size_t size)
{
    if (f->jfd >= 0)
        close(f->jfd);
    f->jfd = fd;
    f->head = *head;
    f->end = (off_t)size;
    f->checkpoint = (off_t)(size - sizeof *head);
    if (f->cache.uidvalidity != head->uidvalidity) {
        cache_close(&f->cache);
        cache_init(&f->cache, f->dirfd, head->uidvalidity);
    }
}

static bool has_cache(const struct folder *f)
{
    return faccessat(f->dirfd, "pombal.cache", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/*
 * state holds what could be saved of a damaged journal, or nothing. Only a folder that never had a
 * journal takes over the numbers of another program: else an old file would bring back numbers
 * that have been used since.
 */
static int make_journal(struct folder *f, struct state *state, bool first, struct why *why)
{
    struct journal_head head;
    struct buf out = BUF(JOURNAL_MAX);
    uint32_t uidvalidity = first && !has_cache(f) ? takeover(f, state) : 0;

    if (uidvalidity == 0)
        uidvalidity = store_new_uidvalidity(f->store);
    journal_head_make(&head, uidvalidity);
    int fd = write_whole(f, &head, state, &out, why);
    if (fd >= 0)
        use_file(f, fd, &head, out.n);
    buf_free(&out);
    if (fd < 0)
        return -1;
    state_free(&f->state);
    f->state = *state;
    state_init(state);
    f->loaded = true;
    return maildir_merge(f, true, why);
}

/* Under the lock, in case what was read did not reach the end of the file: a torn record is cut
 * off, damage makes a new journal. */
static int mend(struct folder *f, struct state *state, struct str rest, struct why *why)
{
    if (f->end > (off_t)sizeof f->head && !journal_any(&f->head, str_from(rest, 8), f->end + 8)) {
        msg_warn("folder %s of %s: the journal's torn end is cut off", f->name, f->store->path);
        if (ftruncate(f->jfd, f->end) < 0)
            return why_errno(why, "4.3.0", "cannot mend the journal of folder %s", f->name);
        /* What was lost may have been seen: its numbers must not come again. */
        if (state->uidnext < UINT32_MAX - UID_GAP)
            folder_record(f, J_UIDNEXT, STR(""), state->uidnext + UID_GAP);
        return 1;
    }
    msg_warn("folder %s of %s: the journal is damaged and made again", f->name, f->store->path);
    state->seen_new = state->seen_cur = 0;
    return make_journal(f, state, false, why);
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
            apply_bytes(f, &state, buf_str(&bytes), NULL);
        struct str rest = str_from(buf_str(&bytes), (size_t)(f->end - start));
        if (rest.n == 0 && f->end > start) {
            result = 0;
        } else if (!locked) {
            result = 1;
        } else {
            result = mend(f, &state, rest, why);
            if (result == 0)
                goto out; /* made anew */
            result = result > 0 ? 0 : -1;
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
    result = open_file(f, why);
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
            old->m = fresh->slots[k].m;
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
        told(f, EVENT_KEYWORD, s->nkeywords, s->nkeywords);
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
    int result = open_file(f, why);

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
    if (fstat(f->jfd, &st) < 0)
        return unreadable(f, why);
    if (st.st_nlink == 0 || st.st_size < f->end)
        return reopen(f, locked, why);
    if (st.st_size == f->end)
        return 0;
    if (!f->loaded)
        return read_last(f, st.st_size) ? 0 : folder_load(f, locked, why);
    struct buf bytes = BUF(JOURNAL_MAX);
    off_t start = f->end;
    int result = read_at(f->jfd, &bytes, start, (size_t)(st.st_size - start));
    if (result < 0)
        unreadable(f, why);
    else
        apply_bytes(f, &f->state, buf_str(&bytes), &f->events);
    struct str rest = str_from(buf_str(&bytes), (size_t)(f->end - start));
    if (result == 0 && rest.n > 0 && locked) {
        /* Nobody else writes now: what does not check will not get better. */
        result = mend(f, &f->state, rest, why);
        if (result == 0)
            result = lost(f, "was damaged", why);
        else if (result > 0)
            result = folder_commit(f, why);
    }
    buf_free(&bytes);
    return result;
}

/* ---- writing ---- */

uint32_t folder_out_uidnext(const struct folder *f)
{
    return f->out.n > 0 ? f->out_uidnext : f->state.uidnext;
}

void folder_record(struct folder *f, enum journal_type type, struct str payload, uint32_t uidnext)
{
    if (f->out.n == 0) {
        f->out_uidnext = f->state.uidnext;
        f->out_modseq = f->state.modseq;
    }
    if (uidnext > f->out_uidnext)
        f->out_uidnext = uidnext;
    if (type == J_ADD || type == J_FLAGS || type == J_EXPUNGE || type == J_MOVED)
        f->out_modseq++;
    size_t start = journal_begin(&f->out, type);
    buf_add(&f->out, payload);
    journal_end(&f->out, start, &f->head, f->end, f->out_modseq, f->out_uidnext);
}

int folder_commit(struct folder *f, struct why *why)
{
    struct buf out = f->out;
    ssize_t done = 0;
    int result = 0;

    f->out = BUF(JOURNAL_MAX);
    if (out.full) {
        result = why_set(why, "4.2.2", "too large a change of folder %s", f->name);
    } else if (out.n > 0) {
        done = pwrite(f->jfd, out.p, out.n, f->end);
        if (done != (ssize_t)out.n) {
            if (done >= 0)
                errno = ENOSPC;
            result = why_errno(why, "4.3.0", "cannot write the journal of folder %s", f->name);
            if (done > 0 && ftruncate(f->jfd, f->end) < 0)
                msg_warn("folder %s: cannot cut the journal", f->name);
        }
    }
    if (result == 0 && out.n > 0 && f->loaded) {
        apply_bytes(f, &f->state, buf_str(&out), &f->events);
    } else if (result == 0 && out.n > 0) {
        f->end += (off_t)out.n;
        f->state.uidnext = f->out_uidnext;
        f->state.modseq = f->out_modseq;
    }
    buf_clear(&out);
    if (out.room > 1 << 16)
        buf_free(&out);
    buf_free(&f->out);
    f->out = out;
    return result;
}

int folder_define_keyword(struct folder *f, struct str name, struct why *why)
{
    uint32_t i = f->state.nkeywords;

    if (i == MAILBOX_KEYWORDS)
        return why_set(why, "5.2.2", "folder %s has %d keywords already", f->name,
                       MAILBOX_KEYWORDS);
    char *text = mem_dup(name.p, name.n);
    folder_record(f, J_KEYWORD, (struct str){text, name.n + 1}, 0);
    if (folder_commit(f, why) < 0) {
        free(text);
        return -1;
    }
    /* Other programs read there what the letters in file names mean. */
    int fd =
        openat(f->dirfd, "dovecot-keywords", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
               f->store->set.mode & 0666);
    if (fd >= 0) {
        if (i < 26)
            dprintf(fd, "%u %s\n", i, text);
        close(fd);
    }
    free(text);
    return 0;
}

int folder_sync(struct folder *f, struct why *why)
{
    if (f->store->set.no_sync || task_fdatasync(f->jfd) == 0)
        return 0;
    return why_errno(why, "4.3.0", "cannot sync the journal of folder %s", f->name);
}

static bool is_live(const void *arg, uint32_t uid)
{
    const struct state *s = arg;
    return state_slot(s, uid) != NULL;
}

int folder_checkpoint(struct folder *f, struct why *why)
{
    struct journal_head head;
    struct buf out = BUF(JOURNAL_MAX);

    journal_head_make(&head, f->head.uidvalidity);
    int fd = write_whole(f, &head, &f->state, &out, why);
    if (fd >= 0) {
        use_file(f, fd, &head, out.n);
        cache_trim(&f->cache, is_live, &f->state);
    }
    buf_free(&out);
    return fd < 0 ? -1 : 0;
}

/* Slots that are gone and that no view shows any more are dropped. */
static void compact(struct folder *f)
{
    struct state *s = &f->state;

    /* Who has the lock may be walking the slots. */
    if (f->locked || (s->gone < 1000 && !(s->gone > 0 && list_empty(&f->views))))
        return;
    bool *used = mem_array(s->n, sizeof *used);
    uint32_t *to = mem_array(s->n + 1, sizeof *to);
    mailbox_marks(f, used);
    size_t n = 0;
    s->gone = 0;
    for (size_t i = 0; i < s->n; i++) {
        bool gone = s->slots[i].m.flags & SLOT_GONE;
        to[i] = (uint32_t)n;
        if (gone && !used[i])
            continue;
        s->gone += gone;
        s->slots[n++] = s->slots[i];
    }
    s->n = n;
    mailbox_slots_moved(f, to);
    free(used);
    free(to);
}

void folder_tidy(struct folder *f)
{
    struct why why = WHY;

    if (!f->loaded || f->failed)
        return;
    compact(f);
    off_t tail = f->end - f->checkpoint;
    if (tail > CHECKPOINT_MIN && tail > f->checkpoint && folder_lock(f, &why) == 0) {
        if (folder_refresh(f, true, &why) == 0)
            folder_checkpoint(f, &why);
        folder_unlock(f);
    }
    why_free(&why);
}

void folder_ranges(const struct uidset *set, struct buf *out)
{
    buf_add(out, (struct str){(const char *)set->at, set->n * sizeof *set->at});
}

/* ---- open and close ---- */

static struct folder *new_folder(struct store *s, const char *name, int dirfd)
{
    struct folder *f = mem_new(sizeof *f);

    f->store = s;
    f->name = mem_dupz(name);
    f->dirfd = dirfd;
    f->jfd = -1;
    f->watch_dir = f->watch_new = f->watch_cur = -1;
    list_init(&f->views);
    list_init(&f->waiters);
    f->out = BUF(JOURNAL_MAX);
    state_init(&f->state);
    cache_init(&f->cache, dirfd, 0);
    list_add(&s->folders, &f->link);
    return f;
}

void folder_close(struct folder *f)
{
    list_drop(&f->link);
    cache_close(&f->cache);
    state_free(&f->state);
    VEC_FREE(&f->events.list);
    buf_free(&f->out);
    if (f->jfd >= 0)
        close(f->jfd);
    close(f->dirfd);
    free(f->name);
    free(f->dir);
    free(f);
}

/* The journal, made if there is none. */
static int open_journal(struct folder *f, struct why *why)
{
    struct stat st;
    int result = open_file(f, why);

    if (result == 0) {
        if (folder_lock(f, why) < 0)
            return -1;
        result = maildir_make_dirs(f, why) < 0 ? -1 : open_file(f, why);
        if (result == 0) {
            struct state state;
            state_init(&state);
            result = make_journal(f, &state, true, why);
            state_free(&state);
        }
        folder_unlock(f);
        return result < 0 ? -1 : 0;
    }
    if (result < 0)
        return -1;
    if (f->head.uidvalidity == 0 || fstat(f->jfd, &st) < 0 || !read_last(f, st.st_size)) {
        /* Torn or damaged, or somebody is just writing. */
        if (folder_load(f, false, why) < 0)
            return -1;
    }
    cache_close(&f->cache);
    cache_init(&f->cache, f->dirfd, f->head.uidvalidity);
    return 0;
}

/* Another process may have removed or renamed it. INBOX is the root itself. */
static bool is_current(const struct folder *f)
{
    struct stat now, then;

    return strcmp(f->dir, ".") == 0 ||
           (fstatat(f->store->rootfd, f->dir, &now, 0) == 0 && fstat(f->dirfd, &then) == 0 &&
            now.st_ino == then.st_ino && now.st_dev == then.st_dev);
}

static struct folder *find_open(struct store *s, struct str canonical)
{
    LIST_EACH (&s->folders, l) {
        struct folder *f = LIST_OF(l, struct folder, link);
        if (f->failed || !str_eqz(canonical, f->name))
            continue;
        if (is_current(f))
            return f;
        f->failed = true;
        if (f->uses == 0)
            folder_close(f);
    }
    return NULL;
}

/* Somebody else in this process has it, or is just opening it. */
static struct folder *share(struct folder *f, const char *name, struct why *why)
{
    f->uses++;
    while (f->opening && task_sleep(task_now() + 1) != WAIT_CANCELLED)
        ;
    if (!f->failed && !f->opening)
        return f;
    folder_release(f);
    why_set(why, "4.2.0", "folder %s is not available", name);
    return NULL;
}

static struct folder *open_new(struct store *s, const char *name, struct str canonical,
                               struct why *why)
{
    struct buf dir = BUF(300);
    struct folder *f = NULL;

    store_dir(canonical, &dir);
    int fd = openat(s->rootfd, dir.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        f = new_folder(s, canonical.p, fd);
        f->dir = buf_take(&dir);
        f->uses = 1;
        f->opening = true;
        int result = open_journal(f, why);
        f->opening = false;
        if (result < 0) {
            f->failed = true;
            folder_release(f);
            f = NULL;
        }
    } else if (errno == ENOENT || errno == ENOTDIR) {
        why_set(why, "5.2.0", "folder %s does not exist", name);
    } else {
        why_errno(why, "4.3.0", "cannot open folder %s", name);
    }
    buf_free(&dir);
    return f;
}

struct folder *folder_open(struct store *s, const char *name, struct why *why)
{
    struct buf canonical = BUF(300);
    struct folder *f;

    if (!store_name_ok(s, name, why))
        return NULL;
    store_canonical(s, name, &canonical);
    f = find_open(s, buf_str(&canonical));
    f = f != NULL ? share(f, name, why) : open_new(s, name, buf_str(&canonical), why);
    buf_free(&canonical);
    return f;
}

enum { KEEP_FOLDERS = 8, KEEP_MESSAGES = 20000 };

/* What nobody uses stays open for the next time, within bounds. */
void folder_release(struct folder *f)
{
    struct store *s = f->store;
    size_t idle = 0, messages = 0;

    if (--f->uses > 0)
        return;
    if (f->failed) {
        folder_close(f);
        return;
    }
    f->events_base += f->events.list.n;
    f->events.list.n = 0;
    list_drop(&f->link);
    list_push(&s->folders, &f->link); /* the youngest in front */
    LIST_EACH (&s->folders, l) {
        struct folder *other = LIST_OF(l, struct folder, link);
        if (other->uses > 0)
            continue;
        messages += other->state.n;
        if (++idle > KEEP_FOLDERS) {
            folder_close(other);
        } else if (messages > KEEP_MESSAGES && other->loaded) {
            uint32_t uidnext = other->state.uidnext;
            uint64_t modseq = other->state.modseq;
            state_free(&other->state);
            state_init(&other->state);
            other->state.uidnext = uidnext;
            other->state.modseq = modseq;
            other->loaded = false;
        }
    }
}
