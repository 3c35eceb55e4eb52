/*
 * The parts of a message that checks or strict_* parameters look at: which of its body lines are
 * header fields of MIME parts or of messages within, and how far into its part's body a line
 * stands. What is a part is decided as Postfix does it: only the boundaries that a Content-Type of
 * an enclosing header names count, and message/rfc822 and message/global begin with a header of
 * their own. RFC 2046 5, RFC 6532 3.7
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/mime.h"

#include "cleanup.h"

/* A multipart whose end has not come. */
struct level {
    struct level *outer;
    struct buf boundary; /* at most mime_boundary_length_limit bytes of it */
    bool digest; /* its parts are messages unless they say otherwise: RFC 2046 5.1.5 */
};

/* How the type of a part restricts its encoding, as in Postfix: RFC 2045 6.4, RFC 2046 5.2 */
enum restriction { ANY_ENCODING, NO_ENCODING, ONLY_7BIT };
enum encoding { ENC_7BIT, ENC_8BIT, ENC_BINARY, ENC_BASE64, ENC_QP };

struct cleanup_mime {
    struct cleanup_block block; /* the header of the present part */
    bool in_header; /* of a part; the message's own header is not read here */
    bool in_line; /* the last record was REC_CONT */
    enum mime_kind kind; /* what the header that was read last announces */
    enum restriction restriction; /* of the same */
    enum encoding encoding; /* of the present part, as its header says */
    struct level *levels; /* the innermost first */
    int64_t depth;
    int64_t offset; /* in the body of the present part */
};

void cleanup_mime_begin(struct cleanup *c)
{
    bool wanted;

    cleanup_strict_begin(c);
    wanted = c->strict != 0;
    for (enum cleanup_content what = CHECK_HEADER; what <= CHECK_BODY; what++)
        wanted = wanted || cleanup_checks(c, what);
    if (!wanted)
        return;
    c->mime = mem_new(sizeof *c->mime);
    /* asked: by step_read */
    c->mime->block.field = BUF(c->block.field.max);
    c->mime->kind = MIME_LEAF;
}

static void drop_level(struct cleanup_mime *m)
{
    struct level *level = m->levels;

    m->levels = level->outer;
    m->depth--;
    buf_free(&level->boundary);
    free(level);
}

void cleanup_mime_free(struct cleanup *c)
{
    if (c->mime == NULL)
        return;
    while (c->mime->levels != NULL)
        drop_level(c->mime);
    buf_free(&c->mime->block.field);
    free(c->mime);
    c->mime = NULL;
}

static bool checks_headers(const struct cleanup *c)
{
    return cleanup_checks(c, CHECK_HEADER) || cleanup_checks(c, CHECK_MIME) ||
           cleanup_checks(c, CHECK_NESTED);
}

static void add_level(struct cleanup *c, struct str boundary, bool digest, struct str field)
{
    struct cleanup_mime *m = c->mime;

    if (m->depth > conf.mime_nesting_limit + 1) { /* counted as Postfix does */
        if (checks_headers(c) || c->strict != 0)
            cleanup_fault(c, FAULT_NESTING, field);
        return;
    }
    struct level *level = mem_new(sizeof *level);
    /* fits: what str_upto leaves */
    level->boundary = BUF((size_t)conf.mime_boundary_length_limit);
    buf_add(&level->boundary, str_upto(boundary, (size_t)conf.mime_boundary_length_limit));
    level->digest = digest;
    level->outer = m->levels;
    m->levels = level;
    m->depth++;
}

/* Several boundaries in one field are against the rules, but each of them may be used by a mail
 * program: all count. */
static void take_multipart(struct cleanup *c, struct str subtype, struct str rest, struct str field)
{
    struct arena *mem = arena_new(c->mem);
    ptrdiff_t semicolon = str_find(rest, ';');

    c->mime->kind = MIME_MULTIPART;
    c->mime->restriction = NO_ENCODING;
    if (semicolon >= 0)
        rest = str_from(rest, (size_t)semicolon);
    for (const struct mime_param *p = mime_params_parse(mem, rest); p != NULL; p = p->next)
        if (str_ieqz(p->name, "boundary"))
            add_level(c, p->value, str_ieqz(subtype, "digest"), field);
    arena_free(&mem);
}

static enum restriction restriction_of(struct str subtype)
{
    if (str_ieqz(subtype, "partial") || str_ieqz(subtype, "external-body"))
        return ONLY_7BIT;
    return str_ieqz(subtype, "rfc822") ? NO_ENCODING : ANY_ENCODING;
}

static void take_message(struct cleanup_mime *m, struct str subtype)
{
    m->restriction = restriction_of(subtype);
    if (str_ieqz(subtype, "rfc822") || str_ieqz(subtype, "global")) /* RFC 6532 3.7 */
        m->kind = MIME_MESSAGE;
}

void cleanup_mime_type(struct cleanup *c, struct str value, struct str field)
{
    struct str type, subtype = STR("");

    if (c->mime == NULL || conf.disable_mime_input_processing)
        return;
    type = mime_token(&value);
    mime_skip_comments(&value);
    if (value.n > 0 && value.p[0] == '/') {
        value = str_from(value, 1);
        subtype = mime_token(&value);
    }
    c->mime->kind = MIME_LEAF;
    c->mime->restriction = ANY_ENCODING;
    if (str_ieqz(type, "multipart"))
        take_multipart(c, subtype, value, field);
    else if (str_ieqz(type, "message"))
        take_message(c->mime, subtype);
}

static const char *const encodings[] = {
    [ENC_7BIT] = "7bit",     [ENC_8BIT] = "8bit",           [ENC_BINARY] = "binary",
    [ENC_BASE64] = "base64", [ENC_QP] = "quoted-printable",
};

/* One that is not known changes nothing. */
void cleanup_mime_encoding(struct cleanup *c, struct str value)
{
    struct str word = mime_token(&value);

    if (c->mime == NULL || conf.disable_mime_input_processing)
        return;
    for (enum encoding e = ENC_7BIT; e <= ENC_QP; e++)
        if (str_ieqz(word, encodings[e]))
            c->mime->encoding = e;
}

static void check_encoding(struct cleanup *c)
{
    const struct cleanup_mime *m = c->mime;
    bool encoded = m->encoding == ENC_BASE64 || m->encoding == ENC_QP;
    bool wide = m->encoding == ENC_8BIT || m->encoding == ENC_BINARY;

    if ((m->restriction == NO_ENCODING && encoded) || (m->restriction == ONLY_7BIT && wide))
        cleanup_fault(c, FAULT_ENCODING, strz(encodings[m->encoding]));
}

/* What follows has a type of its own: text, unless a header says otherwise. */
static void begin_part(struct cleanup_mime *m, bool is_message)
{
    m->kind = is_message ? MIME_MESSAGE : MIME_LEAF;
    m->restriction = is_message ? NO_ENCODING : ANY_ENCODING;
    m->encoding = ENC_7BIT;
}

/* A header has ended; without an empty line, what follows is body in any case. */
static void begin_body(struct cleanup *c, bool blank_line)
{
    struct cleanup_mime *m = c->mime;

    if ((c->strict & FAULT_ENCODING) != 0)
        check_encoding(c);
    m->in_header = blank_line && m->kind == MIME_MESSAGE;
    m->block.kind = BLOCK_NESTED;
    if (blank_line && m->kind != MIME_LEAF)
        begin_part(m, false);
    if (blank_line)
        m->offset = 0;
}

void cleanup_mime_end_header(struct cleanup *c, bool blank_line)
{
    if (c->mime != NULL)
        begin_body(c, blank_line);
}

static bool is_boundary(const struct level *level, struct str line)
{
    return str_starts(str_from(line, 2), buf_str(&level->boundary));
}

/* A boundary ends all parts that are further in. */
static void look_for_boundary(struct cleanup_mime *m, struct str line)
{
    const struct level *found = m->levels;

    if (found == NULL || !str_starts(line, STR("--")))
        return;
    while (found != NULL && !is_boundary(found, line))
        found = found->outer;
    if (found == NULL)
        return;
    while (m->levels != found)
        drop_level(m);
    m->in_header = !str_starts(str_from(line, 2 + found->boundary.n), STR("--"));
    m->block.kind = BLOCK_PART;
    begin_part(m, m->in_header && found->digest);
    if (!m->in_header)
        drop_level(m);
}

void cleanup_mime_line(struct cleanup *c, enum rec type, struct str text)
{
    struct cleanup_mime *m = c->mime;

    cleanup_strict_text(c, m->encoding == ENC_7BIT ? FAULT_8BIT_BODY : 0, text);
    if (!m->in_line)
        look_for_boundary(m, text);
    m->in_line = type == REC_CONT;
    cleanup_put_body(c, type, text, m->offset);
    m->offset += (int64_t)text.n + 1;
}

void cleanup_mime_record(struct cleanup *c, enum rec type, struct str text)
{
    struct cleanup_mime *m = c->mime;

    if (m->in_header) {
        if (cleanup_block_take(c, &m->block, type, text))
            return;
        begin_body(c, text.n == 0);
    }
    cleanup_mime_line(c, type, text);
}

void cleanup_mime_end(struct cleanup *c)
{
    if (c->mime != NULL)
        cleanup_block_end(c, &c->mime->block);
}
