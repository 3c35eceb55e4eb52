/*
 * The bytes of messages, and the texts that are made from them.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "mail/mime_tree.h"
#include "store/view.h"
#include "task/task.h"

enum { PENDING_MAX = 1 << 20, DATES_MAX = 64 << 10, HEADER_PIECE = 8192 };
enum { TURN_MS = 20, TURN_PIECE = 2 << 20 }; /* how long a large message keeps others waiting */

static int open_slot(struct mailbox *b, const struct slot *slot)
{
    struct blob name = state_blob(&b->f->state, slot);
    return blob_open(&b->f->blobs, &name);
}

static int gone(const struct mailbox *b, struct why *why)
{
    return why_set(why, "5.2.0", "the message is no longer available in folder %s", b->f->name);
}

/* 0 says that a date is not known. */
static int64_t time_of(const struct stat *st)
{
    return st->st_mtim.tv_sec != 0 ? st->st_mtim.tv_sec : MSG_EPOCH;
}

static void use_fd(struct mailbox *b, int fd, uint32_t uid)
{
    if (b->fd >= 0)
        close(b->fd);
    b->fd = fd;
    b->fd_uid = uid;
}

/* The message's file, opened; where it is now if somebody renamed it. -1: why tells. (waits) */
static int open_message(struct mailbox *b, uint32_t number, struct why *why)
{
    int fd = open_slot(b, view_slot(b, number));

    if (fd < 0 && errno == ENOENT) {
        if (view_merge(b, true, why) < 0)
            return -1;
        if (view_slot(b, number)->m.flags & SLOT_GONE)
            return gone(b, why);
        fd = open_slot(b, view_slot(b, number));
    }
    if (fd < 0)
        why_errno(why, "4.3.0", "cannot open a message of folder %s", b->f->name);
    return fd;
}

/* The file that is open may have been replaced or written anew by whoever restores a backup. */
static bool is_still_open(struct mailbox *b, uint32_t number, struct stat *st)
{
    uint32_t uid = view_slot(b, number)->m.uid;

    if (b->fd < 0 || b->fd_uid != uid || fstat(b->fd, st) < 0)
        return false;
    if (st->st_nlink > 0)
        return true;
    int fd = open_slot(b, view_slot(b, number));
    if (fd >= 0)
        use_fd(b, fd, uid);
    return fd < 0 || fstat(fd, st) == 0;
}

int mailbox_bytes(struct mailbox *b, uint32_t number, int *fd, off_t *size, struct why *why)
{
    uint32_t uid = view_slot(b, number)->m.uid;
    struct stat st;

    if (view_slot(b, number)->m.flags & SLOT_GONE)
        return gone(b, why);
    if (!is_still_open(b, number, &st)) {
        int opened = open_message(b, number, why);
        if (opened < 0)
            return -1;
        use_fd(b, opened, uid);
        if (fstat(opened, &st) < 0 || !S_ISREG(st.st_mode)) {
            use_fd(b, -1, 0);
            return why_set(why, "4.3.0", "a message of folder %s is not a file", b->f->name);
        }
    }
    b->fd_time = time_of(&st);
    struct slot *slot = view_slot(b, number);
    if (slot->m.size != 0 && !maildir_size_fits((uint64_t)st.st_size, slot->m.size))
        slot->m.size = 0; /* the name or the list lied: whoever reads counts */
    *fd = b->fd;
    *size = st.st_size;
    return 0;
}

/* n more bytes of the file, or what is left of it. -1: why says what. 0: its end. */
static ssize_t read_more(struct mailbox *b, int fd, size_t n, struct buf *out, struct why *why)
{
    char *to = buf_room(out, n);

    if (to == NULL && n > 0)
        return why_set(why, "5.3.4", "a message of folder %s is too large", b->f->name);
    ssize_t got = pread(fd, to, n, (off_t)out->n);
    if (got < 0)
        return why_errno(why, "4.3.0", "cannot read a message of folder %s", b->f->name);
    buf_grown(out, (size_t)got);
    return got;
}

void view_yield_if_due(int64_t *turn)
{
    int64_t now = clock_ms();

    if (*turn == 0)
        *turn = now;
    if (now - *turn <= TURN_MS)
        return;
    task_yield();
    *turn = clock_ms();
}

int view_read(struct mailbox *b, uint32_t number, struct buf *out, struct why *why)
{
    off_t size;
    ssize_t got = 1;
    int fd;
    int64_t turn = 0;

    buf_clear(out);
    if (mailbox_bytes(b, number, &fd, &size, why) < 0)
        return -1;
    while ((off_t)out->n < size && got > 0) {
        size_t left = (size_t)size - out->n;
        if (left > TURN_PIECE)
            view_yield_if_due(&turn);
        got = read_more(b, fd, left < TURN_PIECE ? left : TURN_PIECE, out, why);
    }
    return got < 0 ? -1 : 0;
}

struct mime_part *view_parse(struct arena *mem, const struct mime_limits *limits, struct str bytes)
{
    struct mime_builder *builder = mime_builder_new(mem, limits);
    int64_t turn = 0;

    while (bytes.n > 0) {
        struct str piece = str_upto(bytes, TURN_PIECE);
        if (bytes.n > TURN_PIECE)
            view_yield_if_due(&turn);
        mime_builder_put(builder, piece);
        bytes = str_from(bytes, piece.n);
    }
    return mime_builder_end(builder);
}

/* An empty line ends in what came behind from, or just before. */
static bool has_empty_line(struct str text, size_t from)
{
    struct str fresh = str_from(text, from > 3 ? from - 3 : 0);

    return str_search(fresh, STR("\n\n")) >= 0 || str_search(fresh, STR("\n\r\n")) >= 0 ||
           str_starts(text, STR("\n")) || str_starts(text, STR("\r\n"));
}

int view_read_header(struct mailbox *b, uint32_t number, struct buf *out, struct why *why)
{
    off_t size;
    ssize_t got = 1;
    int fd;
    bool whole = false;

    buf_clear(out);
    if (mailbox_bytes(b, number, &fd, &size, why) < 0)
        return -1;
    for (size_t from = 0; !whole && (off_t)out->n < size && got > 0; from = out->n) {
        size_t left = (size_t)size - out->n, want = out->n < HEADER_PIECE ? HEADER_PIECE : out->n;
        got = read_more(b, fd, want < left ? want : left, out, why);
        whole = has_empty_line(buf_str(out), from);
    }
    return got < 0 ? -1 : 0;
}

static void note_date(struct mailbox *b, uint32_t number, int64_t received)
{
    struct slot *slot = view_slot(b, number);
    struct journal_date d = {slot->m.uid, 0, received};

    if (slot->m.received != 0)
        return;
    slot->m.received = received;
    buf_add(&b->dates, (struct str){(const char *)&d, sizeof d});
    if (b->dates.n > DATES_MAX)
        view_flush(b);
}

int mailbox_received(struct mailbox *b, uint32_t number, int64_t *received, struct why *why)
{
    const struct slot *slot = view_slot(b, number);
    struct stat st;
    int result = 0;

    if (slot->m.received == 0 && !(slot->m.flags & SLOT_GONE)) {
        struct blob name = state_blob(&b->f->state, slot);
        if (blob_stat(&b->f->blobs, &name, &st) == 0) {
            note_date(b, number, time_of(&st));
        } else { /* renamed meanwhile? */
            off_t size;
            int fd;
            result = mailbox_bytes(b, number, &fd, &size, why);
            if (result == 0)
                note_date(b, number, b->fd_time);
        }
    } else if (slot->m.received == 0) {
        result = gone(b, why);
    }
    b->date_told = b->dates.n > 0;
    *received = view_slot(b, number)->m.received;
    if (*received == MSG_EPOCH)
        *received = 0;
    return result;
}

void mailbox_counted(struct mailbox *b, uint32_t number, uint64_t size)
{
    struct slot *slot = view_slot(b, number);
    struct journal_size s = {slot->m.uid, 0, size};

    if (slot->m.size == size)
        return;
    slot->m.size = size;
    buf_add(&b->sizes, (struct str){(const char *)&s, sizeof s});
}

/* Reads the message and makes its record, which waits in memory to be kept. */
static int make_record(struct mailbox *b, uint32_t number, struct why *why)
{
    struct arena *mem;
    /* asked: by view_read */
    struct buf bytes = BUF(VIEW_MESSAGE_MAX);
    struct mime_limits limits = folder_mime_limits(b->f);
    uint32_t uid = view_slot(b, number)->m.uid;

    if (view_read(b, number, &bytes, why) < 0) {
        buf_free(&bytes);
        return -1;
    }
    mem = arena_new(NULL);
    const struct mime_part *root = view_parse(mem, &limits, buf_str(&bytes));
    uint64_t size = root->header.vsize + root->body.vsize;
    folder_warn_cut(b->f, root);
    cache_make(root, buf_str(&bytes), &b->text);
    arena_free(&mem);
    buf_free(&bytes);
    if (b->text.n == 0)
        return why_set(why, "5.3.4", "the structure of a message in folder %s is too large",
                       b->f->name);
    b->text_uid = uid;
    cache_set_uid(&b->text, uid);
    buf_add(&b->pending, buf_str(&b->text));
    mailbox_counted(b, number, size);
    note_date(b, number, b->fd_time);
    if (b->pending.n > PENDING_MAX)
        view_flush(b);
    return 0;
}

int mailbox_cached(struct mailbox *b, uint32_t number, enum cached what, struct str *text,
                   struct why *why)
{
    uint32_t uid = view_slot(b, number)->m.uid;
    struct cache_entry e;

    if (b->text_uid == uid && b->text.n > 0) {
        cache_read(buf_str(&b->text), &e);
    } else if (!cache_find(&b->f->cache, uid, &e)) {
        if (make_record(b, number, why) < 0)
            return -1;
        cache_read(buf_str(&b->text), &e);
    }
    *text = what == CACHED_ENVELOPE    ? e.envelope
            : what == CACHED_STRUCTURE ? e.structure
                                       : e.fields;
    if (text->p == NULL)
        return why_set(why, "5.3.4", "the header of a message in folder %s is too large",
                       b->f->name);
    return 0;
}

bool mailbox_field_cached(struct str name)
{
    return cache_keeps_field(name);
}

int mailbox_size(struct mailbox *b, uint32_t number, uint64_t *size, struct why *why)
{
    const struct slot *slot = view_slot(b, number);
    struct cache_entry e;

    if (slot->m.size == 0) {
        if (cache_find(&b->f->cache, slot->m.uid, &e))
            view_slot(b, number)->m.size = e.size;
        else if (make_record(b, number, why) < 0)
            return -1;
    }
    *size = view_slot(b, number)->m.size;
    return 0;
}
