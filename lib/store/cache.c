/*
 * The cache file. Readers map it, so it is never cut; a record that does not check ends it.
 */
#include "store/cache.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
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

enum { RECORD_MAX = 4 << 20, INDEX_MAX = 1 << 28, ABSENT_MS = 1000 };

void cache_init(struct cache *c, int dirfd, uint32_t uidvalidity)
{
    *c = (struct cache){.dirfd = dirfd, .fd = -1, .uidvalidity = uidvalidity, .sorted = true};
}

static void forget(struct cache *c)
{
    if (c->map != NULL)
        munmap(c->map, c->mapped);
    c->map = NULL;
    c->mapped = 0;
    c->end = 0;
    c->index.n = 0;
    c->sorted = true;
    c->torn = false;
}

static void reopen(struct cache *c)
{
    forget(c);
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
    if (header.n >= root->header.size) {
        rec.has_fields = 1;
        add_fields(str_upto(header, root->header.size), out);
    }
    rec.fields = (uint32_t)(out->n - before);
    buf_add(out, (struct str){"\0\0\0\0\0\0\0", -out->n & 7});
    rec.size = (uint32_t)out->n;
    memcpy(out->p, &rec, sizeof rec);
    if (out->full || out->n > RECORD_MAX)
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

static bool open_file(struct cache *c, bool make)
{
    struct cache_head head;

    if (c->fd >= 0)
        return true;
    if (!make && clock_ms() < c->absent_until)
        return false;
    c->fd = openat(c->dirfd, file_name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (c->fd < 0)
        c->fd = openat(c->dirfd, file_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
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
    memcpy(head.magic, magic, sizeof magic);
    head.order = 0x01020304;
    head.uidvalidity = c->uidvalidity;
    unlinkat(c->dirfd, file_name, 0); /* not cut: others may have it mapped */
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

static bool record_ok(const char *p, size_t left)
{
    const struct cache_rec *rec = (const void *)p;

    return left >= sizeof *rec && rec->size <= left && rec->size % 8 == 0 &&
           rec->size >= sizeof *rec && rec->size <= RECORD_MAX && rec->uid != 0 &&
           (uint64_t)rec->envelope + rec->structure + rec->fields <= rec->size - sizeof *rec;
}

static int by_uid(const void *a, const void *b)
{
    const struct cache_place *x = a, *y = b;
    return x->uid != y->uid ? (x->uid > y->uid) - (x->uid < y->uid)
                            : (x->at > y->at) - (x->at < y->at);
}

/* Takes what was appended since the last time into the index. */
static bool index_tail(struct cache *c)
{
    struct stat st;
    off_t at = c->end;

    if (!open_file(c, false) || fstat(c->fd, &st) < 0 || st.st_size <= c->end || c->torn)
        return false;
    if (c->map != NULL)
        munmap(c->map, c->mapped);
    c->mapped = (size_t)st.st_size;
    c->map = mmap(NULL, c->mapped, PROT_READ, MAP_SHARED, c->fd, 0);
    if (c->map == MAP_FAILED) {
        c->map = NULL;
        forget(c);
        return false;
    }
    if (at == 0)
        at = sizeof(struct cache_head);
    while (at < st.st_size) {
        const struct cache_rec *rec = (const void *)(c->map + at);
        if (!record_ok(c->map + at, (size_t)(st.st_size - at)) || c->index.n >= INDEX_MAX) {
            c->torn = true;
            break;
        }
        if (c->index.n > 0 && rec->uid <= c->index.at[c->index.n - 1].uid)
            c->sorted = false;
        *VEC_ADD(&c->index) = (struct cache_place){rec->uid, (uint32_t)(at / 8)};
        at += rec->size;
    }
    c->end = at;
    if (!c->sorted)
        qsort(c->index.at, c->index.n, sizeof *c->index.at, by_uid);
    c->sorted = true;
    return true;
}

static const struct cache_place *find_place(const struct cache *c, uint32_t uid)
{
    size_t low = 0, high = c->index.n;

    while (low < high) { /* the last one with that uid */
        size_t mid = low + (high - low) / 2;
        if (c->index.at[mid].uid <= uid)
            low = mid + 1;
        else
            high = mid;
    }
    return low > 0 && c->index.at[low - 1].uid == uid ? &c->index.at[low - 1] : NULL;
}

struct str cache_record(struct cache *c, uint32_t uid)
{
    const struct cache_place *place = find_place(c, uid);
    const struct cache_rec *rec;

    if (place == NULL && index_tail(c))
        place = find_place(c, uid);
    if (place == NULL)
        return STR("");
    const char *p = c->map + (size_t)place->at * 8;
    rec = (const void *)p;
    if (rec->sum != record_sum(p, rec->size))
        return STR("");
    return (struct str){p, rec->size};
}

bool cache_find(struct cache *c, uint32_t uid, struct cache_entry *out)
{
    struct str record = cache_record(c, uid);

    if (record.n == 0)
        return false;
    cache_read(record, out);
    return true;
}

/* What was not written whole ends the file. Nobody cuts it off: who has it mapped would be killed.
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

static uint64_t live_bytes(struct cache *c, cache_keep *keep, const void *arg)
{
    uint64_t live = 0;

    VEC_EACH (&c->index, place) {
        const struct cache_rec *rec = (const void *)(c->map + (size_t)place->at * 8);
        bool last = place + 1 == c->index.at + c->index.n || place[1].uid != place->uid;
        live += last && keep(arg, place->uid) ? rec->size : 0;
    }
    return live;
}

void cache_trim(struct cache *c, cache_keep *keep, const void *arg)
{
    static const char new_name[] = "pombal.cache.new";
    struct buf out = BUF(1 << 30);
    struct cache_head head;

    index_tail(c);
    if (c->map == NULL || (uint64_t)c->end < 2 * live_bytes(c, keep, arg) + 65536)
        return;
    memcpy(&head, c->map, sizeof head);
    buf_add(&out, (struct str){(const char *)&head, sizeof head});
    VEC_EACH (&c->index, place) {
        const struct cache_rec *rec = (const void *)(c->map + (size_t)place->at * 8);
        bool last = place + 1 == c->index.at + c->index.n || place[1].uid != place->uid;
        if (last && keep(arg, place->uid))
            buf_add(&out, (struct str){(const char *)rec, rec->size});
    }
    int fd = openat(c->dirfd, new_name, O_RDWR | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && !out.full && file_write_all(fd, out.p, out.n) == 0 &&
        renameat(c->dirfd, new_name, c->dirfd, file_name) == 0) {
        close(c->fd);
        c->fd = fd;
        forget(c);
    } else if (fd >= 0) {
        unlinkat(c->dirfd, new_name, 0);
        close(fd);
    }
    buf_free(&out);
}
