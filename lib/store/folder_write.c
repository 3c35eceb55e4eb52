/*
 * The journal of a folder is written: made, appended to, made anew when it has grown.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "store/uidlist.h"
#include "task/task.h"

enum {
    CHECKPOINT_MIN = 256 << 10,
    CHECKPOINT_PAUSE_MS = 1000, /* also after a failure: a full disk is not tried at each command */
    GONE_MIN = 1000,
};

/* bytes: the last ones of the file, up to j->end. */
static void journal_file_tip(struct journal_file *j, struct str bytes)
{
    struct journal_rec rec;
    uint32_t n = journal_last(bytes);

    if (n == 0 || n > bytes.n)
        return;
    memcpy(&rec, bytes.p + bytes.n - n, sizeof rec);
    j->tip = j->end - (off_t)n;
    j->tip_sum = rec.sum;
}

/* ---- a journal is made: at first open, and when one is lost or damaged ---- */

/* ext4 and XFS write the names with what is synced after them; others may forget them. */
static bool needs_dir_sync(const struct folder *f)
{
    struct statfs fs;

    if (f->store->set.no_sync || f->store->set.sync_dirs)
        return f->store->set.sync_dirs;
    if (!f->on->asked) {
        f->on->asked = true;
        f->on->needs_sync = fstatfs(f->dirfd, &fs) < 0 ||
                            (fs.f_type != EXT4_SUPER_MAGIC && fs.f_type != XFS_SUPER_MAGIC &&
                             fs.f_type != TMPFS_MAGIC);
    }
    return f->on->needs_sync;
}

static int create_new(const struct folder *f, struct stat *st)
{
    int fd = file_open_plain(f->dirfd, FOLDER_JOURNAL ".new", O_RDWR | O_CREAT | O_TRUNC,
                             f->store->set.mode & 0666);

    if (fd >= 0 && fstat(fd, st) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Which messages have those keywords that are no bits of theirs. */
static void put_keywords(const struct journal_head *head, const struct state *state,
                         struct buf *out)
{
    for (size_t i = MSG_KEYWORDS; i < state->keywords.n; i++) {
        const struct uidset *with = &state->keywords.at[i].uids;
        struct journal_keyword_of of = {
            .op = JOURNAL_HAS, .index = (uint32_t)i, .ranges = (uint32_t)with->n};
        if (with->n == 0)
            continue;
        size_t start = journal_begin(out, J_KEYWORD_OF);
        buf_add(out, (struct str){(const char *)&of, sizeof of});
        folder_ranges(with, out);
        journal_end(out, start, head, 0, state->modseq, state->uidnext);
    }
}

static size_t put_whole(const struct journal_head *head, const struct state *state, struct buf *out)
{
    buf_add(out, (struct str){(const char *)head, sizeof *head});
    size_t start = journal_begin(out, J_CHECK);
    state_check(state, out);
    journal_end(out, start, head, 0, state->modseq, state->uidnext);
    put_keywords(head, state, out);
    if (state->list.ino != 0) {
        size_t list = journal_begin(out, J_LIST);
        buf_add(out, (struct str){(const char *)&state->list, sizeof state->list});
        journal_end(out, list, head, 0, state->modseq, state->uidnext);
    }
    return start;
}

/* The file under its name. Leaves errno. */
static int put_file(const struct folder *f, int fd, const struct buf *out)
{
    if (file_write_all(fd, out->p, out->n) < 0 ||
        (!f->store->set.no_sync && task_fdatasync(fd) < 0))
        return -1;
    return renameat(f->dirfd, FOLDER_JOURNAL ".new", f->dirfd, FOLDER_JOURNAL);
}

/* f goes on with the file that has the name now. */
static void use_whole(struct folder *f, int fd, const struct journal_head *head, struct str bytes,
                      size_t start)
{
    folder_use_journal(f, fd);
    f->j = (struct journal_file){.head = *head, .ino = head->ino};
    f->j.end = (off_t)bytes.n;
    f->j.checkpoint = (off_t)(bytes.n - start);
    journal_file_tip(&f->j, bytes);
}

/* Writes the state into a fresh file, which f then has open; also if -1 says that its name may not
 * outlive a power cut, because the old file has no name any more. Leaves errno. */
static int write_whole(struct folder *f, uint32_t uidvalidity, struct why *why)
{
    struct buf out = BUF(JOURNAL_MAX);
    struct journal_head head;
    struct stat st;
    int fd = create_new(f, &st), error = errno, result = -1;

    if (fd < 0) {
        why_errno(why, "4.3.0", "cannot create a journal in folder %s", f->name);
        errno = error;
        return -1;
    }
    journal_head_make(&head, uidvalidity, st.st_ino);
    size_t start = put_whole(&head, &f->state, &out);
    head.made = out.n;
    journal_head_seal(&head);
    memcpy(out.p, &head, sizeof head);
    if (!buf_ok(&out)) {
        why_set(why, "4.2.2", "folder %s has too many messages", f->name);
        error = 0;
    } else if (put_file(f, fd, &out) < 0) {
        error = errno;
        why_errno(why, "4.3.0", "cannot write the journal of folder %s", f->name);
    } else {
        use_whole(f, fd, &head, buf_str(&out), start);
        fd = -1;
        result = needs_dir_sync(f) ? task_fsync(f->dirfd) : 0;
        error = errno;
        if (result < 0)
            why_errno(why, "4.3.0", "cannot sync the journal of folder %s", f->name);
    }
    if (fd >= 0) {
        close(fd);
        unlinkat(f->dirfd, FOLDER_JOURNAL ".new", 0);
    }
    buf_free(&out);
    errno = error;
    return result;
}

static bool is_denied(int error)
{
    return error == EACCES || error == EROFS || error == EPERM;
}

/* Numbers that nobody can write down come out the same in each process, as long as the directories
 * are the same: so does the uidvalidity. */
static uint32_t passing_uidvalidity(const struct folder *f)
{
    int64_t times[2] = {blobs_time(&f->blobs, BLOBS_NEW), blobs_time(&f->blobs, BLOBS_CUR)};
    uint32_t sum = journal_sum(times, sizeof times, f->on->ino);

    return sum != 0 ? sum : 1;
}

/*
 * The other one's file and state become f's. While they were made, others may have loaded f from
 * the old journal: what they read is forgotten, and a view that shows it cannot go on.
 */
static int take_made(struct folder *f, struct folder *made, struct why *why)
{
    if (!list_empty(&f->views)) {
        f->failed = true;
        return why_set(why, "4.2.0", "folder %s was numbered anew", f->name);
    }
    if (f->loaded) {
        state_forget(&f->state);
        f->loaded = false;
    }
    folder_use_journal(f, made->jfd);
    made->jfd = -1;
    f->j = made->j;
    f->in_memory = made->in_memory;
    f->frozen = false;
    cache_close(&f->cache);
    cache_init(&f->cache, f->dirfd, f->j.head.uidvalidity);
    folder_adopt_state(f, &made->state);
    return 0;
}

/* Whoever may only read gets to see it, with numbers that no other process relies on. */
static void show_only(struct folder *made, bool taken_over, struct why *why)
{
    msg_warn("%s: shown without a journal", why_text(why));
    why_clear(why);
    if (!taken_over)
        made->j.head.uidvalidity = passing_uidvalidity(made);
    made->in_memory = true;
}

int folder_make(struct folder *f, struct state *state, uint32_t uidvalidity, bool first,
                struct why *why)
{
    bool taken_over = uidvalidity != 0;

    if (!taken_over)
        uidvalidity = store_new_uidvalidity(f->store, f->j.head.uidvalidity, why);
    if (uidvalidity == 0)
        return -1;
    struct folder *made = folder_beside(f);
    made->state = *state;
    state_init(state);
    journal_head_make(&made->j.head, uidvalidity, 0);
    made->j.end = sizeof made->j.head;
    made->loaded = true;
    /* What is in the directories goes into the first record with the rest. */
    made->in_memory = true;
    int result = maildir_merge(made, true, why);
    made->in_memory = false;
    if (result == 0 && uidlist_wanted(made))
        uidlist_write(made);
    if (result == 0 && write_whole(made, uidvalidity, why) < 0) {
        if (first && is_denied(errno))
            show_only(made, taken_over, why);
        else
            result = -1;
    }
    if (result == 0 && !f->failed)
        result = take_made(f, made, why);
    f->again_at = made->again_at;
    f->looked_new = made->looked_new;
    f->looked_cur = made->looked_cur;
    folder_close(made);
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
    if (type == J_ADD || type == J_FLAGS || type == J_EXPUNGE || type == J_MOVED ||
        type == J_KEYWORD_OF)
        f->out_modseq++;
    size_t start = journal_begin(&f->out, type);
    buf_add(&f->out, payload);
    journal_end(&f->out, start, &f->j.head, f->j.end, f->out_modseq, f->out_uidnext);
}

void folder_record_buf(struct folder *f, enum journal_type type, const struct buf *payload,
                       uint32_t uidnext)
{
    if (buf_ok(payload))
        folder_record(f, type, buf_str(payload), uidnext);
    else
        f->out_short = true;
}

int folder_writable(const struct folder *f, struct why *why)
{
    if (!f->frozen && !f->in_memory)
        return 0;
    return why_set(why, "5.7.1", "folder %s cannot be written", f->name);
}

static int write_records(struct folder *f, struct why *why)
{
    struct buf out = f->out;
    bool out_short = f->out_short;
    ssize_t done = 0;
    int result = 0;

    f->out = BUF(JOURNAL_MAX);
    f->out_short = false;
    if (f->frozen) {
        result = folder_writable(f, why);
    } else if (!buf_ok(&out) || out_short) {
        result = why_set(why, "4.2.2", "too large a change of folder %s", f->name);
    } else if (out.n > 0 && !f->in_memory) {
        done = pwrite(f->jfd, out.p, out.n, f->j.end);
        if (done != (ssize_t)out.n) {
            if (done >= 0)
                errno = ENOSPC;
            result = why_errno(why, "4.3.0", "cannot write the journal of folder %s", f->name);
            if (done > 0 && ftruncate(f->jfd, f->j.end) < 0)
                msg_warn("folder %s: cannot cut the journal", f->name);
        }
    }
    f->j.changed = 0;
    if (result == 0 && out.n > 0 && f->loaded) {
        folder_apply(f, buf_str(&out));
    } else if (result == 0 && out.n > 0) {
        f->j.end += (off_t)out.n;
        journal_file_tip(&f->j, buf_str(&out));
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

/* The mark of dovecot-uidlist comes last: whoever reads only the last record needs it. */
static void record_list(struct folder *f, struct buf *lines)
{
    if (f->state.list.ino == 0 || f->out.n == 0 || f->in_memory || f->frozen)
        return;
    uidlist_lines(buf_str(&f->out), lines);
    struct journal_list mark = f->state.list;
    mark.size += lines->n;
    folder_record(f, J_LIST, (struct str){(const char *)&mark, sizeof mark}, 0);
}

int folder_commit(struct folder *f, struct why *why)
{
    struct buf lines = BUF(JOURNAL_MAX);
    struct journal_list mark = f->state.list;

    record_list(f, &lines);
    int result = write_records(f, why);
    if (result == 0 && lines.n > 0 && buf_ok(&lines)) {
        uidlist_append(f, buf_str(&lines), &mark);
        f->state.list.size = mark.size + lines.n;
    }
    buf_free(&lines);
    return result;
}

int folder_leap(struct folder *f, int64_t n, struct why *why)
{
    int64_t room = UINT32_MAX - 1 - (int64_t)folder_out_uidnext(f);
    uint32_t uidnext = folder_out_uidnext(f) + (uint32_t)(n < room ? n : room / 2);

    f->state.modseq += (uint64_t)n;
    f->state.uidnext = uidnext;
    if (f->state.list.ino != 0 && !uidlist_changed(f))
        uidlist_write(f); /* its head has the next uid */
    folder_record(f, J_UIDNEXT, STR(""), uidnext);
    return folder_commit(f, why);
}

void folder_use_journal(struct folder *f, int fd)
{
    if (f->jfd >= 0 && f->syncing > 0)
        *VEC_ADD(&f->replaced) = f->jfd;
    else if (f->jfd >= 0)
        close(f->jfd);
    f->jfd = fd;
}

/* Another task may replace the journal meanwhile: then a checkpoint tells the same and has been
 * synced. */
static int sync_journal(struct folder *f)
{
    f->syncing++;
    int result = task_fdatasync(f->jfd), error = errno;
    if (--f->syncing == 0) {
        VEC_EACH (&f->replaced, fd)
            close(*fd);
        f->replaced.n = 0;
    }
    errno = error;
    return result;
}

int folder_sync(struct folder *f, unsigned dirs, struct why *why)
{
    bool good = true;

    if (dirs != 0 && needs_dir_sync(f))
        good = (!(dirs & SYNC_NEW) || blobs_sync(&f->blobs, BLOBS_NEW) == 0) &&
               (!(dirs & SYNC_CUR) || blobs_sync(&f->blobs, BLOBS_CUR) == 0);
    if (good && (f->in_memory || f->store->set.no_sync || sync_journal(f) == 0))
        return 0;
    return why_errno(why, "4.3.0", "cannot sync folder %s", f->name);
}

static bool is_live(const void *arg, uint32_t uid)
{
    const struct state *s = arg;
    return state_slot(s, uid) != NULL;
}

int folder_checkpoint(struct folder *f, struct why *why)
{
    folder_free_keywords(f);
    if (f->state.list.ino != 0 && !uidlist_changed(f))
        uidlist_write(f);
    if (write_whole(f, f->j.head.uidvalidity, why) < 0)
        return -1;
    cache_trim(&f->cache, is_live, &f->state);
    return 0;
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

    /* Whoever holds the lock may be iterating over the slots, so they must not move. */
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
    off_t tail = f->j.end - f->j.checkpoint;
    return !f->in_memory && !f->frozen && tail > CHECKPOINT_MIN && tail > f->j.checkpoint;
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
            if (folder_load(f, true, &why) == 0 && has_grown(f) && folder_checkpoint(f, &why) < 0)
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
