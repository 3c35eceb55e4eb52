/*
 * BODY[section]<partial>: which bytes of the message, and sending them with CRLF line ends.
 * RFC 3501 6.4.5, 7.4.2.
 */
#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "mail/crlf.h"
#include "mail/header.h"
#include "mail/mime_tree.h"

#include "imap.h"
#include "imap_fetch.h"

enum { PIECE = 64 * 1024, HEADER_LIMIT = 16 * 1024 * 1024, TURN_MS = 20, LINES_A_LOOK = 100 };

/* A part of the file, and what it will be on the wire. */
struct span {
    int fd;
    uint64_t at, size; /* in the file */
    uint64_t vsize; /* with CRLF */
};

/* Offsets in a span of the next byte: in the file, and on the wire. */
struct place {
    uint64_t raw, wire;
    bool cr; /* the byte before is a CR */
};

void fetch_yield(struct fetching *m)
{
    if (clock_ms() - m->turn <= TURN_MS)
        return;
    task_yield();
    m->turn = clock_ms();
}

static void put_name(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    static const char *const texts[] = {"",     "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT",
                                        "TEXT", "MIME"};

    if (item->name != NULL) {
        fetch_label(c, m, item->name);
        return;
    }
    fetch_label(c, m, "BODY[");
    for (size_t i = 0; i < item->depth; i++)
        stream_putf(c->client, "%s%u", i > 0 ? "." : "", item->path[i]);
    if (item->depth > 0 && item->text != SECTION_ALL)
        stream_putc(c->client, '.');
    stream_putz(c->client, texts[item->text]);
    for (size_t i = 0; i < item->nfields; i++) {
        stream_putz(c->client, i == 0 ? " (" : " ");
        imap_put_folder(c, item->fields[i]);
    }
    stream_putz(c->client, item->nfields > 0 ? ")]" : "]");
    if (item->partial)
        stream_putf(c->client, "<%" PRIu64 ">", item->offset);
}

/* What the partial leaves of n bytes. */
static void cut(const struct fetch_item *item, uint64_t n, uint64_t *skip, uint64_t *length)
{
    *skip = item->partial ? item->offset : 0;
    if (*skip > n)
        *skip = n;
    *length = n - *skip;
    if (item->partial && item->length < *length)
        *length = item->length;
}

/* A literal holds no zero byte (RFC 3501 9, CHAR8): in its place goes what Dovecot sends. */
static void replace_zeros(struct buf *text)
{
    char *p = memchr(text->p, '\0', text->n);

    for (; p != NULL; p = memchr(p, '\0', text->n - (size_t)(p - text->p)))
        *p = '\x80';
}

static void put_literal(struct imap *c, uint64_t length)
{
    stream_putz(c->client, " {");
    imap_put_number(c, length);
    stream_putz(c->client, "}\r\n");
}

static bool unreadable(struct fetching *m)
{
    why_set(m->why, "4.3.0", "cannot read a message");
    return false;
}

static bool put_text(struct imap *c, struct fetching *m, const struct fetch_item *item,
                     struct buf *text)
{
    uint64_t skip, length;

    if (!buf_ok(text))
        return unreadable(m);
    replace_zeros(text);
    cut(item, text->n, &skip, &length);
    put_name(c, m, item);
    put_literal(c, length);
    stream_put(c->client, str_part(buf_str(text), (size_t)skip, (size_t)length));
    return true;
}

/* Where sending starts: at the last piece's place if that was before what is wanted now. */
static void find_place(const struct fetch_memory *last, const struct span *span, uint64_t skip,
                       struct place *at)
{
    *at = (struct place){0};
    if (last->span_size == span->size && last->span_at == span->at && last->wire <= skip)
        *at = (struct place){last->raw, last->wire, last->cr};
}

static void keep_place(struct fetch_memory *last, const struct span *span, const struct place *at)
{
    last->span_at = span->at;
    last->span_size = span->size;
    last->raw = at->raw;
    last->wire = at->wire;
    last->cr = at->cr;
}

/* The next piece of the span, with CRLF line ends. False: the file ends before the span does. */
static bool read_piece(const struct span *span, struct place *at, struct buf *in, struct buf *out)
{
    uint64_t left = span->size - at->raw;
    size_t piece = left < PIECE ? (size_t)left : PIECE;

    buf_clear(in);
    buf_clear(out);
    ssize_t got = pread(span->fd, buf_room(in, piece), piece, (off_t)(span->at + at->raw));
    if (got <= 0)
        return false;
    buf_grown(in, (size_t)got);
    crlf_add(out, buf_str(in), &at->cr);
    replace_zeros(out);
    at->raw += (uint64_t)got;
    at->wire += out->n;
    return buf_ok(out);
}

/* Line ends are made CRLF on the way. A file that is shorter than it was ends the connection: the
 * size has been announced. */
static void put_span(struct imap *c, struct fetching *m, const struct fetch_item *item,
                     const struct span *span)
{
    uint64_t skip, length;
    /* fits: a piece; each LF becomes two bytes */
    struct buf in = BUF(PIECE), out = BUF(2 * PIECE);
    struct place at, before;

    cut(item, span->vsize, &skip, &length);
    put_name(c, m, item);
    put_literal(c, length);
    find_place(&c->fetched, span, skip, &at);
    before = at;
    while (length > 0 && at.raw < span->size) {
        before = at;
        if (!read_piece(span, &at, &in, &out))
            break;
        uint64_t passed = skip > before.wire ? skip - before.wire : 0;
        struct str ready = str_from(buf_str(&out), passed < out.n ? (size_t)passed : out.n);
        ready = str_upto(ready, length < ready.n ? (size_t)length : ready.n);
        stream_put(c->client, ready);
        length -= ready.n;
        fetch_yield(m);
    }
    if (item->partial)
        keep_place(&c->fetched, span, &before);
    buf_free(&in);
    buf_free(&out);
    if (length > 0)
        stream_fail(c->client, "message is shorter than it was");
}

/* Where the first empty line of text ends: it is the first of all, or not before from. 0: there is
 * none. */
static size_t empty_line(struct str text, size_t from)
{
    struct str fresh = str_from(text, from);
    ptrdiff_t lf = str_search(fresh, STR("\n\n")), crlf = str_search(fresh, STR("\n\r\n"));

    if (str_starts(text, STR("\n")))
        return 1;
    if (str_starts(text, STR("\r\n")))
        return 2;
    if (lf >= 0 && (crlf < 0 || lf < crlf))
        return from + (size_t)lf + 2;
    return crlf >= 0 ? from + (size_t)crlf + 3 : 0;
}

/* Reads the file from the start up to and with the empty line, or to its end. */
static bool read_header(int fd, uint64_t size, struct buf *header)
{
    while (header->n < size) {
        size_t want = size - header->n < 4096 ? (size_t)(size - header->n) : 4096;
        char *to = buf_room(header, want);
        ssize_t got = to == NULL ? -1 : pread(fd, to, want, (off_t)header->n);
        if (got < 0)
            return false;
        if (got == 0)
            break;
        size_t from = header->n > 3 ? header->n - 3 : 0;
        buf_grown(header, (size_t)got);
        size_t end = empty_line(buf_str(header), from);
        if (end > 0) {
            buf_cut(header, end);
            break;
        }
    }
    return true;
}

static bool is_wanted(const struct fetch_item *item, struct str name)
{
    for (size_t i = 0; i < item->nfields; i++)
        if (str_ieq(item->fields[i], name))
            return item->text == SECTION_FIELDS;
    return item->text == SECTION_FIELDS_NOT;
}

/* (waits) The fields that are wanted, as they stand, and the empty line. */
static void filter_fields(struct fetching *m, const struct fetch_item *item, struct str header,
                          struct buf *out)
{
    bool keep = false, cr = false;

    for (unsigned lines = 1; header.n > 0; lines++) {
        if (lines % LINES_A_LOOK == 0)
            fetch_yield(m);
        ptrdiff_t lf = str_find(header, '\n');
        size_t n = lf < 0 ? header.n : (size_t)lf + 1;
        struct str line = str_upto(header, n);
        header = str_from(header, n);
        if (str_trim(line).n == 0 && !header_continues(line))
            break;
        ptrdiff_t colon = str_find(line, ':');
        if (!header_continues(line))
            keep = is_wanted(item, str_rtrim(str_upto(line, colon < 0 ? 0 : (size_t)colon)));
        if (keep)
            crlf_add(out, line, &cr);
        if (keep && lf < 0)
            buf_addz(out, "\r\n");
    }
    buf_addz(out, "\r\n");
}

static bool all_cached(const struct fetch_item *item)
{
    for (size_t i = 0; i < item->nfields; i++)
        if (!mailbox_field_cached(item->fields[i]))
            return false;
    return item->text == SECTION_FIELDS;
}

static bool put_fields(struct imap *c, struct fetching *m, const struct fetch_item *item,
                       struct str header)
{
    /* fits: no more than header, each LF two bytes */
    struct buf out = BUF(2 * HEADER_LIMIT + 2);

    filter_fields(m, item, header, &out);
    bool good = put_text(c, m, item, &out);
    buf_free(&out);
    return good;
}

static bool put_top_header(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    struct buf header = BUF(HEADER_LIMIT); /* asked: by read_header */
    struct buf out = BUF(2 * HEADER_LIMIT); /* fits: header, each LF two bytes */
    struct str cached;
    int fd;
    off_t size;
    bool cr = false, good;

    if (all_cached(item) && mailbox_cached(c->box, m->number, CACHED_FIELDS, &cached, NULL) == 0) {
        struct str fields = arena_str(c->mem, cached); /* putting waits */
        return put_fields(c, m, item, fields);
    }
    good = mailbox_bytes(c->box, m->number, &fd, &size, m->why) == 0 &&
           (read_header(fd, (uint64_t)size, &header) || unreadable(m));
    if (good && item->text == SECTION_HEADER) {
        crlf_add(&out, buf_str(&header), &cr);
        good = put_text(c, m, item, &out);
    } else if (good) {
        good = put_fields(c, m, item, buf_str(&header));
    }
    buf_free(&header);
    buf_free(&out);
    return good;
}

void fetch_forget(struct imap *c)
{
    arena_free(&c->fetched.mem);
    c->fetched = (struct fetch_memory){0};
}

/* What is remembered is about another message, or nothing is. */
static void remember(struct imap *c, uint32_t uid)
{
    if (c->fetched.mem != NULL && c->fetched.uid == uid)
        return;
    fetch_forget(c);
    c->fetched.mem = arena_new(c->session);
    c->fetched.uid = uid;
}

/* Once for all items and commands, until another message is read. */
static const struct mime_part *tree_of(struct imap *c, struct fetching *m, int fd, off_t size)
{
    /* fits: a piece */
    struct buf piece = BUF(PIECE);

    if (c->fetched.tree != NULL)
        return c->fetched.tree;
    struct mime_builder *b = mime_builder_new(c->fetched.mem, NULL);
    for (off_t at = 0; at < size;) {
        char *to = buf_room(&piece, PIECE);
        ssize_t got = pread(fd, to, PIECE, at);
        if (got <= 0)
            break;
        mime_builder_put(b, (struct str){to, (size_t)got});
        at += got;
        fetch_yield(m);
    }
    c->fetched.tree = mime_builder_end(b);
    buf_free(&piece);
    return c->fetched.tree;
}

/* The message whose HEADER and TEXT are meant: the root, or what a message/rfc822 part holds. */
static const struct mime_part *message_of(const struct mime_part *part, size_t depth)
{
    if (part == NULL || depth == 0)
        return part;
    return part->kind == MIME_MESSAGE ? part->child : NULL;
}

void fetch_put_nil(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    put_name(c, m, item);
    stream_putz(c->client, " NIL");
}

/* There is no such part. NIL would do, too: clients know this from Dovecot. */
static bool put_nothing(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    put_name(c, m, item);
    stream_putz(c->client, " \"\"");
    return true;
}

static bool put_part(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    int fd;
    off_t size;

    if (mailbox_bytes(c->box, m->number, &fd, &size, m->why) < 0)
        return false;
    const struct mime_part *part = mime_tree_find(tree_of(c, m, fd, size), item->path, item->depth);
    if (item->text != SECTION_ALL && item->text != SECTION_MIME)
        part = message_of(part, item->depth);
    if (part == NULL)
        return put_nothing(c, m, item);
    bool header = item->text != SECTION_ALL && item->text != SECTION_TEXT;
    const struct mime_span *s = header ? &part->header : &part->body;
    struct span span = {fd, s->at, s->size, s->vsize};
    if (item->text != SECTION_FIELDS && item->text != SECTION_FIELDS_NOT) {
        put_span(c, m, item, &span);
        return true;
    }
    if (span.size > HEADER_LIMIT)
        return unreadable(m);
    size_t n = (size_t)span.size;
    char *text = arena_alloc(c->mem, n + 1);
    ssize_t got = pread(fd, text, n, (off_t)span.at);
    if (got < 0)
        return unreadable(m);
    return put_fields(c, m, item, (struct str){text, (size_t)got});
}

/* A short one is counted while it is sent: one look at the file. */
static bool put_short(struct imap *c, struct fetching *m, const struct fetch_item *item, int fd,
                      size_t size)
{
    /* fits: a piece; each LF becomes two bytes */
    struct buf in = BUF(PIECE), out = BUF(2 * PIECE);
    bool cr = false;
    ssize_t got = pread(fd, buf_room(&in, size), size, 0);
    bool good = got == (ssize_t)size;

    if (good) {
        buf_grown(&in, size);
        crlf_add(&out, buf_str(&in), &cr);
        mailbox_counted(c->box, m->number, out.n);
        good = put_text(c, m, item, &out);
    }
    buf_free(&in);
    buf_free(&out);
    return good || unreadable(m);
}

static bool put_whole(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    int fd;
    off_t size;
    uint64_t vsize;

    if (mailbox_msg(c->box, m->number)->size == 0) {
        if (mailbox_bytes(c->box, m->number, &fd, &size, m->why) < 0)
            return false;
        if (size > 0 && size <= PIECE)
            return put_short(c, m, item, fd, (size_t)size);
    }
    /* Opening finds out whether a size that a file name told can be true. */
    if (mailbox_bytes(c->box, m->number, &fd, &size, m->why) < 0 ||
        mailbox_size(c->box, m->number, &vsize, m->why) < 0 ||
        mailbox_bytes(c->box, m->number, &fd, &size, m->why) < 0)
        return false;
    struct span span = {fd, 0, (uint64_t)size, vsize};
    put_span(c, m, item, &span);
    return true;
}

bool fetch_put_section(struct imap *c, struct fetching *m, const struct fetch_item *item)
{
    remember(c, m->uid);
    if (item->depth > 0 || item->text == SECTION_TEXT)
        return put_part(c, m, item);
    if (item->text == SECTION_ALL)
        return put_whole(c, m, item);
    return put_top_header(c, m, item);
}
