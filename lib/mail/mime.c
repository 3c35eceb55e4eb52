/*
 * The walk through a message, line by line. A line that may be a boundary is held back until it is
 * whole; everything else goes through as it comes.
 */
#include "mail/mime.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { HELD_MAX = 8192, MEMORY_MAX = 32 << 20 };

enum state { IN_HEADER, IN_BODY, BETWEEN }; /* BETWEEN: before the first part, after the last */

struct open_part {
    struct str boundary; /* p null: none, or its end has come */
    bool digest; /* RFC 2046 5.1.5: parts are messages by default */
};

struct mime_walk {
    struct arena *mem;
    struct mime_limits limits;
    const struct mime_handler *handler;
    void *self;
    struct open_part *stack;
    size_t depth, room, parts, boundaries;
    enum state state;
    bool is_digest_part;
    bool mid_line; /* the start of this line has gone through */
    bool after_cr;
    bool type_known;
    bool ending; /* what comes is the last line, and has no end */
    struct mime_type type;
    struct mime_pos at, before_eol, header,
        body; /* header: where the one of the part on top began */
    size_t header_seen;
    bool header_cut;
    size_t used_before; /* of mem */
    struct buf held, field;
    struct str eol; /* of the last line of a body, not told yet: it may belong to a boundary */
};

struct mime_walk *mime_walk_new(struct arena *mem, const struct mime_limits *limits,
                                const struct mime_handler *handler, void *self)
{
    struct mime_walk *w = mem_new(sizeof *w);

    w->mem = mem;
    w->used_before = arena_used(mem);
    w->handler = handler;
    w->self = self;
    if (limits != NULL)
        w->limits = *limits;
    if (w->limits.depth == 0)
        w->limits.depth = 100;
    if (w->limits.parts == 0)
        w->limits.parts = 10000;
    if (w->limits.header == 0)
        w->limits.header = 1 << 20;
    /* fits: HELD_MAX at most, and a piece of HELD_MAX */
    w->held = BUF(HELD_MAX * 2);
    /* fits: header_line counts */
    w->field = BUF(w->limits.header);
    return w;
}

static void mime_begin(struct mime_walk *w, bool is_message, bool is_digest_part)
{
    if (w->depth == w->room) {
        w->room = w->room == 0 ? 8 : w->room * 2;
        w->stack = mem_resize(w->stack, w->room * sizeof *w->stack);
    }
    w->stack[w->depth++] = (struct open_part){{NULL, 0}, false};
    w->parts++;
    if (arena_used(w->mem) - w->used_before > MEMORY_MAX)
        w->limits.parts = w->parts;
    w->state = IN_HEADER;
    w->is_digest_part = is_digest_part;
    w->type_known = false;
    w->header_seen = 0;
    w->header_cut = false;
    w->header = w->at;
    buf_clear(&w->field);
    if (w->handler->begin != NULL)
        w->handler->begin(w->self, is_message, &w->at);
}

/* Name and value of a field as IMAP shows them: only the blanks before the value's first word go,
 * and the last line end. */
static bool split_field(struct str text, struct str *name, struct str *value)
{
    ptrdiff_t colon = str_find(text, ':');
    size_t blanks = 0;

    if (colon <= 0)
        return false;
    *name = str_rtrim(str_upto(text, (size_t)colon)); /* RFC 5322 4.5.8 */
    *value = str_from(text, (size_t)colon + 1);
    while (value->n > 0 && (value->p[value->n - 1] == '\n' || value->p[value->n - 1] == '\r'))
        value->n--;
    while (blanks < value->n && (value->p[blanks] == ' ' || value->p[blanks] == '\t'))
        blanks++;
    if (blanks == value->n && blanks > 0)
        blanks = 1;
    *value = str_from(*value, blanks);
    return name->n > 0 && memchr(name->p, '\n', name->n) == NULL;
}

static void end_field(struct mime_walk *w)
{
    struct str name, value;

    if (w->field.n > 0 && split_field(buf_str(&w->field), &name, &value)) {
        /* The first one counts. */
        if (!w->type_known && str_ieq(name, STR("Content-Type"))) {
            w->type_known = true;
            mime_type_parse(w->mem, value, &w->type);
        }
        if (w->handler->field != NULL)
            w->handler->field(w->self, name, value);
    }
    buf_clear(&w->field);
}

static void open_multipart(struct mime_walk *w)
{
    struct open_part *top = &w->stack[w->depth - 1];

    w->state = BETWEEN;
    top->digest = str_ieq(w->type.subtype, STR("digest"));
    if (w->depth < w->limits.depth) {
        top->boundary = mime_param_find(w->type.params, "boundary");
        w->boundaries += top->boundary.p != NULL;
    }
}

/* The header of the part on top ends before w->at: what comes now? */
static void end_header(struct mime_walk *w)
{
    enum mime_kind kind = MIME_LEAF;

    end_field(w);
    if (w->header_cut && w->handler->header_cut != NULL)
        w->handler->header_cut(w->self);
    if (!w->type_known) {
        w->type = w->is_digest_part ? (struct mime_type){STR("message"), STR("rfc822"), NULL}
                                    : (struct mime_type){STR("text"), STR("plain"), NULL};
    }
    if (str_ieq(w->type.type, STR("multipart")))
        kind = MIME_MULTIPART;
    else if (str_ieq(w->type.type, STR("message")) && str_ieq(w->type.subtype, STR("rfc822")) &&
             w->depth < w->limits.depth && w->parts < w->limits.parts)
        kind = MIME_MESSAGE;
    w->body = w->at;
    w->eol.n = 0;
    if (w->handler->header_end != NULL)
        w->handler->header_end(w->self, kind, &w->type, &w->at);
    w->state = IN_BODY;
    if (kind == MIME_MULTIPART)
        open_multipart(w);
    else if (kind == MIME_MESSAGE)
        mime_begin(w, true, false);
}

/* Parts above depth end at the given place. */
static void close_parts(struct mime_walk *w, size_t depth, struct mime_pos at)
{
    while (w->depth > depth) {
        struct open_part *top = &w->stack[--w->depth];
        w->boundaries -= top->boundary.p != NULL;
        if (w->handler->end != NULL)
            w->handler->end(w->self, &at);
    }
}

static void header_line(struct mime_walk *w, struct str line, bool goes_on)
{
    if (!goes_on && (str_eq(line, STR("\n")) || str_eq(line, STR("\r\n")))) {
        end_header(w);
        return;
    }
    if (!goes_on && *line.p != ' ' && *line.p != '\t')
        end_field(w);
    else if (w->field.n == 0 && !goes_on)
        return;
    w->header_seen += line.n;
    if (w->header_seen <= w->limits.header)
        buf_add(&w->field, line);
    else
        w->header_cut = true;
}

/* The longest of the open boundaries that the line starts with (RFC 2046 5.1.2), innermost first;
 * its depth, or 0. */
static size_t find_boundary(const struct mime_walk *w, struct str line, bool *last)
{
    size_t found = 0, longest = 0;

    for (size_t depth = w->depth; depth > 0; depth--) {
        struct str b = w->stack[depth - 1].boundary;
        if (b.p != NULL && (found == 0 || b.n > longest) && str_starts(str_from(line, 2), b)) {
            found = depth;
            longest = b.n;
        }
    }
    *last = found > 0 && str_starts(str_from(line, 2 + longest), STR("--"));
    return found;
}

/*
 * A boundary begins at w->at; the line end before it belongs to it (RFC 2046 5.1.1). If there is no
 * body, that is the last one of the header: the part on top is told of it by an end before its
 * body. The parts around it keep it, as in Dovecot.
 */
static void end_before_boundary(struct mime_walk *w, size_t depth)
{
    struct mime_pos end = w->before_eol;
    bool no_body = w->state == IN_HEADER || end.bytes < w->body.bytes,
         is_leaf = w->state != BETWEEN;

    while (w->state == IN_HEADER)
        end_header(w);
    if (no_body) {
        if (is_leaf && w->depth > depth && end.bytes >= w->header.bytes)
            close_parts(w, w->depth - 1, end);
        end = w->body;
    }
    close_parts(w, depth, end);
}

static void at_boundary(struct mime_walk *w, size_t depth, bool last, struct str line)
{
    end_before_boundary(w, depth);
    w->at.bytes += line.n;
    w->at.lines++;
    w->at.bare += !str_ends(line, STR("\r\n"));
    w->body = w->at;
    w->eol.n = 0;
    w->state = BETWEEN;
    if (last || w->ending) {
        w->stack[depth - 1].boundary.p = NULL;
        w->boundaries--;
    } else {
        bool digest = w->stack[depth - 1].digest;
        mime_begin(w, false, digest);
    }
}

static void tell_bytes(struct mime_walk *w, struct str bytes)
{
    if (w->handler->bytes == NULL || w->state != IN_BODY)
        return;
    if (w->eol.n > 0)
        w->handler->bytes(w->self, w->eol);
    w->eol.n = 0;
    if (w->boundaries > 0 && bytes.n > 0 && bytes.p[bytes.n - 1] == '\n') {
        bool crlf = bytes.n > 1 && bytes.p[bytes.n - 2] == '\r';
        w->eol = crlf ? STR("\r\n") : STR("\n");
        bytes.n -= w->eol.n;
    }
    if (bytes.n > 0)
        w->handler->bytes(w->self, bytes);
}

/* A line, or a piece of one: line_end tells whether it ends here. */
static void take_line(struct mime_walk *w, struct str line, bool line_end)
{
    bool goes_on = w->mid_line, last;
    size_t depth;

    w->mid_line = !line_end;
    if (!goes_on && line.n >= 2 && line.p[0] == '-' && line.p[1] == '-' && w->boundaries > 0 &&
        w->parts < w->limits.parts && (depth = find_boundary(w, line, &last)) > 0) {
        at_boundary(w, depth, last, line);
        if (!line_end) {
            w->at.lines--; /* the rest comes as a piece of a line between parts */
            w->at.bare -= !str_ends(line, STR("\r\n"));
            w->mid_line = w->state == IN_HEADER ? false : true;
        }
        return;
    }
    size_t eol = 0;
    bool bare = false;
    if (line_end) {
        bool cr = line.n > 1 ? line.p[line.n - 2] == '\r' : goes_on && w->after_cr;
        bare = !cr;
        eol = cr ? 2 : 1;
    }
    w->after_cr = line.n > 0 && line.p[line.n - 1] == '\r';
    w->at.bytes += line.n;
    w->before_eol = w->at;
    w->before_eol.bytes -= eol;
    w->at.lines += line_end;
    w->at.bare += bare;
    if (w->state == IN_HEADER)
        header_line(w, line, goes_on);
    else
        tell_bytes(w, line);
}

/* No boundary can come any more: only line ends are counted. */
static void take_rest(struct mime_walk *w, struct str s)
{
    const char *p = s.p, *end = s.p + s.n;
    bool cr = w->after_cr;

    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        if (lf == NULL)
            break;
        w->at.lines++;
        w->at.bare += !(lf > p ? lf[-1] == '\r' : cr);
        cr = false;
        p = lf + 1;
    }
    w->at.bytes += s.n;
    w->after_cr = s.p[s.n - 1] == '\r';
    w->mid_line = s.p[s.n - 1] != '\n';
    tell_bytes(w, s);
}

/* Whole lines that cannot be a boundary: most of a message that has parts, so they are not taken
 * one by one. Returns how many bytes. */
static size_t take_plain_lines(struct mime_walk *w, struct str s)
{
    const char *p = s.p, *end = s.p + s.n, *lf;
    bool bare = false;

    while (p < end && *p != '-' && (lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        bare = lf == p || lf[-1] != '\r';
        w->at.lines++;
        w->at.bare += bare;
        p = lf + 1;
    }
    size_t n = (size_t)(p - s.p);
    if (n == 0)
        return 0;
    w->at.bytes += n;
    w->before_eol =
        (struct mime_pos){w->at.bytes - (bare ? 1 : 2), w->at.lines - 1, w->at.bare - bare};
    w->after_cr = false;
    tell_bytes(w, str_upto(s, n));
    return n;
}

/* Does the start of a line without its end have to wait for the rest? */
static bool must_hold(const struct mime_walk *w, struct str piece)
{
    if (w->mid_line)
        return false;
    return w->state == IN_HEADER || (w->boundaries > 0 && piece.p[0] == '-');
}

void mime_walk_put(struct mime_walk *w, struct str s)
{
    if (w->depth == 0)
        mime_begin(w, true, false);
    while (s.n > 0) {
        if (w->boundaries == 0 && w->state != IN_HEADER && w->held.n == 0) {
            take_rest(w, s);
            return;
        }
        bool at_start = w->state != IN_HEADER && w->held.n == 0 && !w->mid_line;
        size_t plain = at_start ? take_plain_lines(w, s) : 0;
        s = str_from(s, plain);
        if (s.n == 0)
            return;
        const char *lf = memchr(s.p, '\n', s.n);
        size_t n = lf != NULL ? (size_t)(lf - s.p) + 1 : s.n;
        if (w->held.n > 0 || (lf == NULL && must_hold(w, s))) {
            if (n > HELD_MAX)
                n = HELD_MAX;
            buf_add(&w->held, str_upto(s, n));
            bool line_end = s.p[n - 1] == '\n';
            if (line_end || w->held.n >= HELD_MAX) {
                struct buf whole = w->held; /* taken before it is cleared: begin may fill it */
                /* fits: HELD_MAX at most, and a piece of HELD_MAX */
                w->held = BUF(HELD_MAX * 2);
                take_line(w, buf_str(&whole), line_end);
                buf_clear(&whole);
                buf_swap(&w->held, &whole);
                buf_free(&whole);
            }
        } else {
            take_line(w, str_upto(s, n), lf != NULL);
        }
        s = str_from(s, n);
    }
}

void mime_walk_end(struct mime_walk *w)
{
    if (w->depth == 0)
        mime_begin(w, true, false);
    w->ending = true;
    if (w->held.n > 0)
        take_line(w, buf_str(&w->held), false);
    while (w->state == IN_HEADER)
        end_header(w);
    if (w->eol.n > 0)
        tell_bytes(w, STR(""));
    close_parts(w, 0, w->at);
    buf_free(&w->held);
    buf_free(&w->field);
    free(w->stack);
    free(w);
}
