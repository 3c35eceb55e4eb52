/*
 * The journal of a folder is written: made, appended to, made anew when it has grown.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "store/folder.h"
#include "task/task.h"

enum {
    CHECKPOINT_MIN = 256 << 10,
    CHECKPOINT_PAUSE_MS = 1000, /* also after a failure: a full disk is not tried at each command */
    GONE_MIN = 1000,
};

/* ---- a journal is made: at first open, and when one is lost or damaged ---- */

/* Leaves errno. */
static int write_whole(struct folder *f, const struct journal_head *head, const struct state *state,
                       struct buf *out, struct why *why)
{
    size_t start;
    int fd;

    errno = 0;
    buf_add(out, (struct str){(const char *)head, sizeof *head});
    start = journal_begin(out, J_CHECK);
    state_check(state, out);
    journal_end(out, start, head, 0, state->modseq, state->uidnext);
    if (out->full)
        return why_set(why, "4.2.2", "folder %s has too many messages", f->name);
    fd = openat(f->dirfd, FOLDER_JOURNAL ".new",
                O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, f->store->set.mode & 0666);
    if (fd < 0) {
        int error = errno;
        why_errno(why, "4.3.0", "cannot create a journal in folder %s", f->name);
        errno = error;
        return -1;
    }
    if (file_write_all(fd, out->p, out->n) == 0 &&
        (f->store->set.no_sync || task_fdatasync(fd) == 0) &&
        renameat(f->dirfd, FOLDER_JOURNAL ".new", f->dirfd, FOLDER_JOURNAL) == 0)
        return fd;
    why_errno(why, "4.3.0", "cannot write the journal of folder %s", f->name);
    int error = errno;
    close(fd);
    unlinkat(f->dirfd, FOLDER_JOURNAL ".new", 0);
    errno = error;
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

static bool is_denied(int error)
{
    return error == EACCES || error == EROFS || error == EPERM;
}

int folder_make(struct folder *f, struct state *state, bool first, struct why *why)
{
    struct journal_head head;
    struct buf out = BUF(JOURNAL_MAX);
    uint32_t uidvalidity = first && !has_cache(f) ? takeover(f, state) : 0;
    int fd = -1;

    if (uidvalidity == 0)
        uidvalidity = store_new_uidvalidity(f->store);
    journal_head_make(&head, uidvalidity);
    state_free(&f->state);
    f->state = *state;
    state_init(state);
    f->head = head;
    f->end = sizeof head;
    f->loaded = true;
    /* What is in the directories goes into the first record with the rest. */
    f->in_memory = true;
    int result = maildir_merge(f, true, why);
    f->in_memory = false;
    if (result == 0)
        fd = write_whole(f, &head, &f->state, &out, why);
    if (fd >= 0) {
        use_file(f, fd, &head, out.n);
    } else if (result == 0 && first && is_denied(errno)) {
        /* Whoever may only read gets to see it, with numbers that last as long as this process. */
        msg_warn("%s: shown without a journal", why_text(why));
        why_clear(why);
        f->in_memory = true;
        cache_init(&f->cache, f->dirfd, uidvalidity);
    } else {
        f->loaded = false;
        result = -1;
    }
    buf_free(&out);
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

int folder_writable(const struct folder *f, struct why *why)
{
    if (!f->frozen && !f->in_memory)
        return 0;
    return why_set(why, "5.7.1", "folder %s cannot be written", f->name);
}

int folder_commit(struct folder *f, struct why *why)
{
    struct buf out = f->out;
    ssize_t done = 0;
    int result = 0;

    f->out = BUF(JOURNAL_MAX);
    if (f->frozen) {
        result = folder_writable(f, why);
    } else if (out.full) {
        result = why_set(why, "4.2.2", "too large a change of folder %s", f->name);
    } else if (out.n > 0 && !f->in_memory) {
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
        folder_apply(f, &f->state, buf_str(&out), &f->events);
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
    if (f->in_memory || f->store->set.no_sync || task_fdatasync(f->jfd) == 0)
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

/* The names of the slots that are left. */
static void compact_names(struct state *s)
{
    size_t room = s->names_n + 1, n = 0;
    char *names = mem_resize(NULL, room);

    names[0] = '\0';
    for (size_t i = 0; i < s->n; i++) {
        struct slot *slot = &s->slots[i];
        size_t length = strlen(s->names + slot->name) + 1;
        if (slot->m.flags & SLOT_GONE) {
            slot->name = 0; /* it has no file */
            continue;
        }
        memcpy(names + n, s->names + slot->name, length);
        slot->name = (uint32_t)n;
        n += length;
    }
    free(s->names);
    s->names = names;
    s->names_n = n;
    s->names_room = room;
}

/* Slots that are gone and that no view shows any more are dropped. */
static void compact(struct folder *f)
{
    struct state *s = &f->state;

    /* Who has the lock may be walking the slots. */
    if (f->on->locked ||
        (s->gone < f->gone_kept + GONE_MIN && !(s->gone > 0 && list_empty(&f->views))))
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
    f->gone_kept = s->gone;
    compact_names(s);
    mailbox_slots_moved(f, to);
    free(used);
    free(to);
}

static bool has_grown(const struct folder *f)
{
    off_t tail = f->end - f->checkpoint;
    return !f->in_memory && !f->frozen && tail > CHECKPOINT_MIN && tail > f->checkpoint;
}

void folder_tidy(struct folder *f)
{
    struct why why = WHY;

    if (!f->loaded || f->failed)
        return;
    compact(f);
    if (has_grown(f) && task_now() >= f->checkpoint_at) {
        f->checkpoint_at = task_now() + CHECKPOINT_PAUSE_MS;
        if (folder_lock(f, &why) == 0) {
            if (folder_refresh(f, true, &why) == 0 && has_grown(f) &&
                folder_checkpoint(f, &why) < 0)
                msg_warn("%s", why_text(&why));
            folder_unlock(f);
        }
    }
    why_free(&why);
}

void folder_ranges(const struct uidset *set, struct buf *out)
{
    buf_add(out, (struct str){(const char *)set->at, set->n * sizeof *set->at});
}
