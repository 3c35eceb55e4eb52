/*
 * The cache file. It is read into memory piece by piece, checked there and then used: another
 * process may cut or change it at any time. It is only appended to, and a record that does not
 * check ends it.
 */
#include "store/cache.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "mail/crlf.h"
#include "mail/header.h"
#include "mail/imap_text.h"
#include "mail/mime_tree.h"
#include "store/journal.h"

static const char magic[8] = "pombalC1";
static const char file_name[] = "pombal.cache";

struct cache_head {
    char magic[8];
    uint32_t order, uidvalidity;
};
struct cache_rec {
    uint32_t size; /* of all, a multiple of 8 */
    uint32_t sum; /* of what follows */
    uint32_t uid, header_size;
    uint64_t message_size;
    uint32_t envelope, structure, fields; /* bytes of each text */
    uint32_t has_fields;
};
static_assert(sizeof(struct cache_rec) == 40, "file format");

enum {
    RECORD_MAX = 4 << 20,
    HEADER_MAX = 1 << 20, /* of a longer one no fields are kept: going through it takes long */
    INDEX_MAX = 1 << 28,
    ABSENT_MS = 1000,
    WINDOW_FIRST = 16 << 10,
    WINDOW = 256 << 10
};

void cache_init(struct cache *c, int dirfd, uint32_t uidvalidity)
{
    *c = (struct cache){.dirfd = dirfd, .fd = -1, .uidvalidity = uidvalidity, .sorted = true};
}

static void cache_forget(struct cache *c)
{
    free(c->window);
    c->window = NULL;
    c->window_n = c->window_room = 0;
    c->end = 0;
    c->index.n = c->next = 0;
    c->sorted = true;
    c->torn = false;
}

static void reopen(struct cache *c)
{
    cache_forget(c);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->absent_until = 0;
}

void cache_close(struct cache *c)
{
    reopen(c);
    VEC_FREE(&c->index);
}

static const char *const kept[] = {
    "Date",
    "From",
    "Sender",
    "Subject",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Newsgroups",
    "Priority",
    "X-Priority",
    "Importance",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Content-Description",
    "MIME-Version",
    "List-Id",
    "List-Post",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "Lines",
    "Mail-Followup-To",
    "Mail-Reply-To",
    "Disposition-Notification-To",
    "Return-Path",
    "X-Label",
    "X-Original-To",
    "Delivered-To",
    "X-Mailer",
    "User-Agent",
    "X-Spam-Flag",
    "X-Spam-Status",
    "X-Uniform-Type-Identifier",
    "X-Universally-Unique-Identifier",
    "X-K9mail-Identity",
    "X-Draft-Info",
    "X-Identity-Key",
    "Followup-To",
    "Organization",
    "Auto-Submitted",
    "Precedence",
    "X-MS-Has-Attach",
};

bool cache_keeps_field(struct str name)
{
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (str_ieqz(name, kept[i]))
            return true;
    return false;
}

/* The kept fields of a header block, with CRLF. */
static void add_fields(struct str header, struct buf *out)
{
    bool keep = false, cr = false;

    while (header.n > 0) {
        ptrdiff_t lf = str_find(header, '\n');
        struct str line = lf < 0 ? header : str_upto(header, (size_t)lf + 1);
        header = str_from(header, line.n);
        if (!header_continues(line)) {
            ptrdiff_t colon = str_find(line, ':');
            keep = colon > 0 && cache_keeps_field(str_rtrim(str_upto(line, (size_t)colon)));
        }
        if (keep)
            crlf_add(out, line, &cr);
    }
}

void cache_make(const struct mime_part *root, struct str header, struct buf *out)
{
    struct cache_rec rec = {.header_size = (uint32_t)root->header.vsize,
                            .message_size = root->header.vsize + root->body.vsize};

    buf_clear(out);
    buf_add(out, (struct str){(const char *)&rec, sizeof rec});
    imap_text_envelope(root, out);
    rec.envelope = (uint32_t)(out->n - sizeof rec);
    imap_text_structure(root, out);
    rec.structure = (uint32_t)(out->n - sizeof rec) - rec.envelope;
    size_t before = out->n;
    if (header.n >= root->header.size && root->header.size <= HEADER_MAX) {
        rec.has_fields = 1;
        add_fields(str_upto(header, root->header.size), out);
    }
    rec.fields = (uint32_t)(out->n - before);
    buf_add(out, (struct str){"\0\0\0\0\0\0\0", -out->n & 7});
    rec.size = (uint32_t)out->n;
    memcpy(out->p, &rec, sizeof rec);
    if (!buf_ok(out) || out->n > RECORD_MAX)
        buf_clear(out);
}

static uint32_t record_sum(const char *p, size_t size)
{
    return journal_sum(p + 8, size - 8, size);
}

void cache_set_uid(struct buf *record, uint32_t uid)
{
    struct cache_rec rec;

    if (record->n < sizeof rec)
        return;
    memcpy(&rec, record->p, sizeof rec);
    rec.uid = uid;
    memcpy(record->p, &rec, sizeof rec);
    rec.sum = record_sum(record->p, rec.size);
    memcpy(record->p, &rec, sizeof rec);
}

void cache_read(struct str record, struct cache_entry *out)
{
    const struct cache_rec *rec = (const void *)record.p;
    const char *p = record.p + sizeof *rec;

    out->envelope = (struct str){p, rec->envelope};
    out->structure = (struct str){p + rec->envelope, rec->structure};
    out->fields =
        (struct str){rec->has_fields ? p + rec->envelope + rec->structure : NULL, rec->fields};
    out->size = rec->message_size;
    out->header_size = rec->header_size;
}

static struct cache_head head_for(const struct cache *c)
{
    struct cache_head head = {.order = 0x01020304, .uidvalidity = c->uidvalidity};

    memcpy(head.magic, magic, sizeof magic);
    return head;
}

static bool open_file(struct cache *c, bool make)
{
    struct cache_head head;

    if (c->fd >= 0)
        return true;
    if (!make && clock_ms() < c->absent_until)
        return false;
    c->fd = file_open_plain(c->dirfd, file_name, O_RDWR | O_APPEND, 0);
    if (c->fd < 0)
        c->fd = file_open_plain(c->dirfd, file_name, O_RDONLY, 0);
    if (c->fd >= 0) {
        if (pread(c->fd, &head, sizeof head, 0) == sizeof head &&
            memcmp(head.magic, magic, sizeof magic) == 0 && head.order == 0x01020304 &&
            head.uidvalidity == c->uidvalidity)
            return true;
        close(c->fd);
        c->fd = -1;
    }
    if (!make) {
        c->absent_until = clock_ms() + ABSENT_MS;
        return false;
    }
    head = head_for(c);
    unlinkat(c->dirfd, file_name, 0); /* not cut: others read it */
    c->fd = openat(c->dirfd, file_name,
                   O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (c->fd < 0)
        return false;
    if (file_write_all(c->fd, &head, sizeof head) == 0)
        return true;
    close(c->fd);
    c->fd = -1;
    return false;
}

static bool head_ok(const struct cache_rec *rec)
{
    return rec->size % 8 == 0 && rec->size >= sizeof *rec && rec->size <= RECORD_MAX &&
           rec->uid != 0 &&
           (uint64_t)rec->envelope + rec->structure + rec->fields <= rec->size - sizeof *rec;
}

/* ---- the window: a piece of the file in memory ---- */

/* What stands at the place at of the file; null: less than n bytes are there. */
static const char *in_window(const struct cache *c, off_t at, size_t n)
{
    if (c->window == NULL || at < c->window_at || (size_t)(at - c->window_at) > c->window_n ||
        c->window_n - (size_t)(at - c->window_at) < n)
        return NULL;
    return c->window + (at - c->window_at);
}

/* Whoever reads on gets much at once. */
static size_t window_size(const struct cache *c, off_t at, size_t n)
{
    bool goes_on = at >= c->window_at && at <= c->window_at + (off_t)c->window_n;
    size_t size = goes_on ? WINDOW : WINDOW_FIRST;

    return n > size ? n : size;
}

static const char *read_window(struct cache *c, off_t at, size_t n)
{
    const char *there = in_window(c, at, n);
    size_t size = window_size(c, at, n);

    if (there != NULL)
        return there;
    if (size > c->window_room) {
        c->window = mem_resize(c->window, size);
        c->window_room = size;
    }
    ssize_t got = pread(c->fd, c->window, size, at);
    c->window_at = at;
    c->window_n = got > 0 ? (size_t)got : 0;
    return in_window(c, at, n);
}

/* The head of a record, in the window; null: it is not good. */
static const struct cache_rec *head_at(struct cache *c, off_t at)
{
    const struct cache_rec *rec = (const void *)read_window(c, at, sizeof *rec);

    return rec != NULL && head_ok(rec) ? rec : NULL;
}

/* A whole record that checks, in the window. */
static struct str record_at(struct cache *c, off_t at)
{
    const struct cache_rec *rec = head_at(c, at);
    size_t size = rec != NULL ? rec->size : 0;

    if (rec == NULL || (rec = (const void *)read_window(c, at, size)) == NULL || !head_ok(rec) ||
        rec->size != size || rec->sum != record_sum((const char *)rec, size))
        return STR("");
    return (struct str){(const char *)rec, size};
}

/* ---- which message has its record where ---- */

static int by_uid(const void *a, const void *b)
{
    const struct cache_place *x = a, *y = b;
    return x->uid != y->uid ? (x->uid > y->uid) - (x->uid < y->uid)
                            : (x->at > y->at) - (x->at < y->at);
}

static void index_record(struct cache *c, const struct cache_rec *rec, off_t at)
{
    if (c->index.n > 0 && rec->uid <= c->index.at[c->index.n - 1].uid)
        c->sorted = false;
    *VEC_ADD(&c->index) = (struct cache_place){rec->uid, (uint32_t)(at / 8)};
}

/* Takes what was appended since the last time into the index. */
static bool index_tail(struct cache *c)
{
    struct stat st;

    if (!open_file(c, false) || fstat(c->fd, &st) < 0)
        return false;
    if (st.st_size < c->end)
        cache_forget(c); /* somebody has cut it */
    if (st.st_size <= c->end || c->torn)
        return false;
    if (c->end == 0)
        c->end = sizeof(struct cache_head);
    while (c->end < st.st_size) {
        const struct cache_rec *rec = head_at(c, c->end);
        if (rec == NULL || (off_t)rec->size > st.st_size - c->end || c->index.n >= INDEX_MAX) {
            c->torn = true;
            break;
        }
        index_record(c, rec, c->end);
        c->end += rec->size;
    }
    if (!c->sorted)
        qsort(c->index.at, c->index.n, sizeof *c->index.at, by_uid);
    c->sorted = true;
    return true;
}

static bool is_place(const struct cache *c, size_t i, uint32_t uid)
{
    return i < c->index.n && c->index.at[i].uid == uid &&
           (i + 1 == c->index.n || c->index.at[i + 1].uid != uid);
}

static const struct cache_place *find_place(struct cache *c, uint32_t uid)
{
    size_t low = 0, high = c->index.n;

    if (is_place(c, c->next, uid)) /* one message after the other */
        return &c->index.at[c->next++];
    while (low < high) { /* the last one with that uid */
        size_t mid = low + (high - low) / 2;
        if (c->index.at[mid].uid <= uid)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0 || c->index.at[low - 1].uid != uid)
        return NULL;
    c->next = low;
    return &c->index.at[low - 1];
}

static off_t place_at(const struct cache_place *place)
{
    return (off_t)place->at * 8;
}

struct str cache_record(struct cache *c, uint32_t uid)
{
    const struct cache_place *place = find_place(c, uid);

    if (place == NULL && index_tail(c))
        place = find_place(c, uid);
    return place == NULL ? STR("") : record_at(c, place_at(place));
}

bool cache_find(struct cache *c, uint32_t uid, struct cache_entry *out)
{
    struct str record = cache_record(c, uid);

    if (record.n == 0)
        return false;
    cache_read(record, out);
    return true;
}

/* What was not written whole ends the file. Nobody cuts it off: others have read so far.
 */
static void replace_torn(struct cache *c)
{
    reopen(c); /* somebody else may have been faster */
    index_tail(c);
    if (!c->torn)
        return;
    unlinkat(c->dirfd, file_name, 0);
    reopen(c);
}

void cache_append(struct cache *c, struct str records)
{
    if (c->torn)
        replace_torn(c);
    if (records.n == 0 || !open_file(c, true))
        return;
    /* What fails here is found missing later, and made again. */
    (void)!write(c->fd, records.p, records.n);
}

/* Is it the record that counts, of a message that is to be kept? */
static bool is_live(const struct cache *c, const struct cache_place *place, cache_keep *keep,
                    const void *arg)
{
    bool last = place + 1 == c->index.at + c->index.n || place[1].uid != place->uid;

    return last && keep(arg, place->uid);
}

static uint64_t live_bytes(struct cache *c, cache_keep *keep, const void *arg)
{
    uint64_t live = 0;

    VEC_EACH (&c->index, place) {
        const struct cache_rec *rec =
            is_live(c, place, keep, arg) ? head_at(c, place_at(place)) : NULL;
        live += rec != NULL ? rec->size : 0;
    }
    return live;
}

void cache_trim(struct cache *c, cache_keep *keep, const void *arg)
{
    static const char new_name[] = "pombal.cache.new";
    struct buf out = BUF(1 << 30);
    struct cache_head head = head_for(c);

    index_tail(c);
    if (c->fd < 0 || (uint64_t)c->end < 2 * live_bytes(c, keep, arg) + 65536)
        return;
    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    VEC_EACH (&c->index, place)
        if (is_live(c, place, keep, arg))
            buf_add(&out, record_at(c, place_at(place)));
    int fd = file_open_plain(c->dirfd, new_name, O_RDWR | O_APPEND | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0 && buf_ok(&out) && file_write_all(fd, out.p, out.n) == 0 &&
        renameat(c->dirfd, new_name, c->dirfd, file_name) == 0) {
        close(c->fd);
        c->fd = fd;
        cache_forget(c);
    } else if (fd >= 0) {
        unlinkat(c->dirfd, new_name, 0);
        close(fd);
    }
    buf_free(&out);
}
