/*
 * The converter looks at the start of each line: is it a boundary, a header field, the end of a
 * header? That decides how the rest of the line is passed on.
 */
#include "mail/mime_7bit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "mail/header.h"
#include "mail/mime.h"

enum {
    NAME_MAX_BYTES = 1000, /* a field name and its colon: RFC 5322 2.1.1 */
    QP_COLUMN = 72, /* behind it a line is broken: RFC 2045 6.7 (5) wants at most 76 */
};

enum way { WAY_START, WAY_FIELD, WAY_RAW, WAY_BODY }; /* of the present line */

struct level {
    struct buf boundary; /* with the dashes before it */
    bool digest; /* RFC 2046 5.1.5 */
};

struct mime_7bit {
    struct mime_7bit_limits limits;
    struct level *levels;
    size_t depth, room;
    enum way way;
    struct buf start; /* of a line, while it is too short to decide */
    struct buf field;
    bool in_header, field_too_long;
    /* Of the present header block. */
    enum mime_kind kind;
    bool is_message, has_type, has_version, eight;
    struct level next; /* what a multipart opens */
    /* Of the present body. */
    bool encode, blank_waits;
    bool hides_colon; /* in its first line, which stands behind the header as another field might */
    char blank;
    size_t column;
    bool failed;
};

static void begin_header(struct mime_7bit *m, bool is_message, bool is_digest_part)
{
    m->in_header = true;
    m->kind = is_digest_part ? MIME_MESSAGE : MIME_LEAF;
    m->is_message = is_message;
    m->has_type = m->has_version = m->eight = m->encode = false;
}

struct mime_7bit *mime_7bit_new(const struct mime_7bit_limits *limits)
{
    struct mime_7bit *m = mem_new(sizeof *m);

    m->limits = *limits;
    /* fits: what decides, and no more: needed() */
    m->start = BUF(NAME_MAX_BYTES + limits->boundary + 8);
    /* fits: put_field looks */
    m->field = BUF(limits->header);
    /* fits: two dashes, and what str_upto leaves */
    m->next.boundary = BUF(limits->boundary + 2);
    begin_header(m, true, false);
    return m;
}

/* The body. */

static void put_qp(struct mime_7bit *m, char c, bool plain, struct buf *out)
{
    if (m->column > QP_COLUMN) {
        buf_addz(out, "=\n");
        m->column = 0;
        plain = plain && c != '-'; /* no line begins as a boundary that did not: RFC 2046 5.1.1 */
    }
    if (plain)
        buf_addc(out, c);
    else
        buf_addf(out, "=%02X", (unsigned char)c);
    m->column += plain ? 1 : 3;
}

static void put_blank(struct mime_7bit *m, bool ends_line, struct buf *out)
{
    if (m->blank_waits)
        put_qp(m, m->blank, !ends_line, out); /* RFC 2045 6.7 (3) */
    m->blank_waits = false;
}

static void put_body(struct mime_7bit *m, struct str text, struct buf *out)
{
    if (!m->encode) {
        buf_add(out, text);
        return;
    }
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        put_blank(m, c == '\n', out);
        if (c == '\n') {
            buf_addc(out, c);
            m->column = 0;
            m->hides_colon = false;
        } else if (c == ' ' || c == '\t') {
            m->blank_waits = true;
            m->blank = c;
        } else {
            put_qp(m, c, c > ' ' && c < 0x7f && c != '=' && (c != ':' || !m->hides_colon), out);
        }
    }
}

/* The header. */

static void read_type(struct mime_7bit *m, struct str value)
{
    struct arena *mem = arena_new(NULL);
    struct mime_type type;
    struct str boundary;

    m->has_type = true; /* of several the first one counts, as in mime.c */
    m->kind = MIME_LEAF;
    if (mime_type_parse(mem, value, &type)) {
        boundary = mime_param_find(type.params, "boundary");
        if (str_ieq(type.type, STR("multipart")) && boundary.n > 0) {
            m->kind = MIME_MULTIPART;
            m->next.digest = str_ieq(type.subtype, STR("digest"));
            buf_setz(&m->next.boundary, "--");
            buf_add(&m->next.boundary, str_upto(boundary, m->limits.boundary));
        } else if (str_ieq(type.type, STR("message")) && str_ieq(type.subtype, STR("rfc822"))) {
            m->kind = MIME_MESSAGE;
        }
    }
    arena_free(&mem);
}

static bool is_eight(struct str value)
{
    struct str word = mime_token(&value);
    return str_ieq(word, STR("8bit")) || str_ieq(word, STR("binary"));
}

static void end_field(struct mime_7bit *m, struct buf *out)
{
    struct str name, value;
    bool drop = false;

    if (!m->field_too_long && header_split(buf_str(&m->field), &name, &value)) {
        if (str_ieq(name, STR("MIME-Version"))) {
            m->has_version = true;
        } else if (str_ieq(name, STR("Content-Type")) && !m->has_type) {
            read_type(m, value);
        } else if (str_ieq(name, STR("Content-Transfer-Encoding"))) {
            m->eight = drop = is_eight(value);
        }
    }
    if (!drop)
        buf_add(out, buf_str(&m->field));
    buf_clear(&m->field);
    m->field_too_long = false;
}

static void open_multipart(struct mime_7bit *m)
{
    if (m->depth > m->limits.nesting + 1) { /* as Postfix counts */
        m->failed = true;
        return;
    }
    if (m->depth == m->room) {
        m->room = m->room == 0 ? 4 : m->room * 2;
        m->levels = mem_resize(m->levels, m->room * sizeof *m->levels);
    }
    m->levels[m->depth++] = m->next;
    /* fits: two dashes, and what str_upto leaves */
    m->next.boundary = BUF(m->limits.boundary + 2);
}

/* separated: an empty line follows. */
static void end_header(struct mime_7bit *m, bool separated, struct buf *out)
{
    end_field(m, out);
    if (m->eight) {
        if (m->is_message && !m->has_version) /* RFC 2045 4 */
            buf_addz(out, "MIME-Version: 1.0\n");
        buf_addf(out, "Content-Transfer-Encoding: %s\n",
                 m->kind == MIME_LEAF ? "quoted-printable" : "7bit");
        if (!separated && !m->limits.keep_end)
            buf_addc(out, '\n');
    }
    m->in_header = false;
    m->encode = m->eight && m->kind == MIME_LEAF;
    m->hides_colon = !separated && m->limits.keep_end;
    m->column = 0;
    if (m->kind == MIME_MULTIPART)
        open_multipart(m);
    else if (m->kind == MIME_MESSAGE)
        begin_header(m, true, false);
}

static void put_field(struct mime_7bit *m, struct str text, struct buf *out)
{
    if (!m->field_too_long && m->field.n + text.n > m->limits.header) {
        m->field_too_long = true;
        buf_add(out, buf_str(&m->field));
        buf_clear(&m->field);
    }
    if (m->field_too_long)
        buf_add(out, text);
    else
        buf_add(&m->field, text);
}

/* Lines. */

/* The longest of the open boundaries that the line starts with, innermost first: its depth, or 0.
 * RFC 2046 5.1.2 */
static size_t find_boundary(const struct mime_7bit *m, struct str line)
{
    size_t found = 0, longest = 0;

    for (size_t depth = m->depth; depth > 0; depth--) {
        struct str b = buf_str(&m->levels[depth - 1].boundary);
        if (b.n > longest && str_starts(line, b)) {
            found = depth;
            longest = b.n;
        }
    }
    return found;
}

static void close_levels(struct mime_7bit *m, size_t depth)
{
    while (m->depth > depth)
        buf_free(&m->levels[--m->depth].boundary);
}

static enum way at_boundary(struct mime_7bit *m, size_t depth, struct str line, struct buf *out)
{
    struct level *level = &m->levels[depth - 1];
    bool last = str_starts(str_from(line, level->boundary.n), STR("--"));

    if (m->in_header)
        end_header(m, false, out);
    m->encode = false;
    close_levels(m, last ? depth - 1 : depth);
    if (last)
        m->in_header = false;
    else
        begin_header(m, false, m->levels[depth - 1].digest);
    return WAY_RAW;
}

static bool is_field(struct str line)
{
    struct str name, value;
    return header_split(line, &name, &value);
}

/* How this line goes on. In a header, what is no field begins the body. */
static enum way decide(struct mime_7bit *m, struct str line, struct buf *out)
{
    size_t depth = str_starts(line, STR("--")) ? find_boundary(m, line) : 0;

    if (depth > 0)
        return at_boundary(m, depth, line, out);
    if (!m->in_header || m->failed)
        return WAY_BODY;
    if (str_eq(line, STR("\n"))) {
        end_header(m, true, out);
        return WAY_RAW;
    }
    if (header_continues(line) && (m->field.n > 0 || m->field_too_long))
        return WAY_FIELD;
    end_field(m, out);
    if (is_field(line))
        return WAY_FIELD;
    end_header(m, false, out);
    return decide(m, line, out); /* of a message in a part, or of the body */
}

static void go_on(struct mime_7bit *m, struct str text, struct buf *out)
{
    if (m->way == WAY_FIELD)
        put_field(m, text, out);
    else if (m->way == WAY_BODY)
        put_body(m, text, out);
    else
        buf_add(out, text);
}

static size_t needed(const struct mime_7bit *m, char first)
{
    size_t boundary = first == '-' && m->depth > 0 ? m->limits.boundary + 4 : 1;
    return m->in_header && boundary < NAME_MAX_BYTES ? NAME_MAX_BYTES : boundary;
}

/* The start of a line; n tells how much of text was taken. */
static void start_line(struct mime_7bit *m, struct str text, bool last, struct buf *out)
{
    struct str line = text;

    if (m->start.n > 0) {
        buf_add(&m->start, text);
        line = buf_str(&m->start);
    }
    if (!last && line.n < needed(m, line.p[0])) {
        if (m->start.n == 0)
            buf_add(&m->start, text);
        return;
    }
    m->way = decide(m, line, out);
    go_on(m, line, out);
    buf_clear(&m->start);
}

void mime_7bit_put(struct mime_7bit *m, struct str bytes, struct buf *out)
{
    while (bytes.n > 0 && !m->failed) {
        const char *lf = memchr(bytes.p, '\n', bytes.n);
        size_t n = lf != NULL ? (size_t)(lf - bytes.p) + 1 : bytes.n;
        if (m->way == WAY_START) {
            char first = m->start.n > 0 ? m->start.p[0] : bytes.p[0];
            size_t want = needed(m, first) - m->start.n;
            bool whole = n <= want && lf != NULL;
            n = n < want ? n : want;
            start_line(m, str_upto(bytes, n), whole, out);
        } else {
            go_on(m, str_upto(bytes, n), out);
        }
        if (bytes.p[n - 1] == '\n')
            m->way = WAY_START;
        bytes = str_from(bytes, n);
    }
}

void mime_7bit_end(struct mime_7bit *m, struct buf *out)
{
    if (m->start.n > 0)
        start_line(m, STR(""), true, out);
    if (m->field.n > 0 && !str_ends(buf_str(&m->field), STR("\n")))
        put_field(m, STR("\n"), out);
    while (m->in_header && !m->failed)
        end_header(m, true, out);
    put_blank(m, true, out);
}

bool mime_7bit_failed(const struct mime_7bit *m)
{
    return m->failed;
}

void mime_7bit_free(struct mime_7bit **m)
{
    if (*m == NULL)
        return;
    close_levels(*m, 0);
    buf_free(&(*m)->start);
    buf_free(&(*m)->field);
    buf_free(&(*m)->next.boundary);
    free((*m)->levels);
    free(*m);
    *m = NULL;
}
