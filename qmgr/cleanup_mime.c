/*
 * The parts of a message that header_checks or body_checks look at: which of its body lines are
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

struct cleanup_mime {
    struct cleanup_block block; /* the header of the present part */
    bool in_header; /* of a part; the message's own header is not read here */
    bool in_line; /* the last record was REC_CONT */
    enum mime_kind kind; /* what the header that was read last announces */
    struct level *levels; /* the innermost first */
    int64_t depth;
    int64_t offset; /* in the body of the present part */
};

void cleanup_mime_begin(struct cleanup *c)
{
    bool wanted = false;

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

static void refuse_depth(struct cleanup *c, struct str type)
{
    static const char why[] = "MIME nesting exceeds safety limit";
    struct buf what = BUF_TEXT(100);

    if (!checks_headers(c) || cleanup_failed(c))
        return;
    buf_addf(&what, "reject: mime-error %s: Content-Type:", why);
    cleanup_log_content(c, what.p, str_trim(type), STR(""));
    cleanup_refuse(c, "5.6.0", "%s", why);
    buf_free(&what);
}

/* type: the field that has the boundary */
static void add_level(struct cleanup *c, struct str boundary, bool digest, struct str type)
{
    struct cleanup_mime *m = c->mime;

    if (m->depth > conf.mime_nesting_limit + 1) { /* counted as Postfix does */
        refuse_depth(c, type);
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
    if (semicolon >= 0)
        rest = str_from(rest, (size_t)semicolon);
    for (const struct mime_param *p = mime_params_parse(mem, rest); p != NULL; p = p->next)
        if (str_ieqz(p->name, "boundary"))
            add_level(c, p->value, str_ieqz(subtype, "digest"), field);
    arena_free(&mem);
}

void cleanup_mime_type(struct cleanup *c, struct str value)
{
    struct str type, subtype = STR(""), field = value;

    if (c->mime == NULL || conf.disable_mime_input_processing)
        return;
    type = mime_token(&value);
    mime_skip_comments(&value);
    if (value.n > 0 && value.p[0] == '/') {
        value = str_from(value, 1);
        subtype = mime_token(&value);
    }
    c->mime->kind = MIME_LEAF;
    if (str_ieqz(type, "multipart"))
        take_multipart(c, subtype, value, field);
    else if (str_ieqz(type, "message") &&
             (str_ieqz(subtype, "rfc822") || str_ieqz(subtype, "global"))) /* RFC 6532 3.7 */
        c->mime->kind = MIME_MESSAGE;
}

/* A header has ended; without an empty line, what follows is body in any case. */
static void begin_body(struct cleanup_mime *m, bool blank_line)
{
    m->in_header = blank_line && m->kind == MIME_MESSAGE;
    m->block.kind = BLOCK_NESTED;
    if (blank_line) {
        m->kind = MIME_LEAF;
        m->offset = 0;
    }
}

void cleanup_mime_end_header(struct cleanup *c, bool blank_line)
{
    if (c->mime != NULL)
        begin_body(c->mime, blank_line);
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
    m->kind = m->in_header && found->digest ? MIME_MESSAGE : MIME_LEAF;
    if (!m->in_header)
        drop_level(m);
}

void cleanup_mime_line(struct cleanup *c, enum rec type, struct str text)
{
    struct cleanup_mime *m = c->mime;

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
        begin_body(m, text.n == 0);
    }
    cleanup_mime_line(c, type, text);
}

void cleanup_mime_end(struct cleanup *c)
{
    if (c->mime != NULL)
        cleanup_block_end(c, &c->mime->block);
}
