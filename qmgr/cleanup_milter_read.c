/*
 * The message as a milter is shown it: fields, and a body with CR LF, read back from the queue
 * file.
 */
#include "base/str.h"
#include "mail/header.h"
#include "task/task.h"

#include "cleanup_milter.h"

static int unreadable(struct why *why)
{
    return why_set(why, "4.3.0", "queue file cannot be read back");
}

int cleanup_view_rewind(void *arg, struct why *why)
{
    struct cleanup_view *v = arg;

    qfile_close(&v->back);
    v->back = qfile_read_back(v->c->file);
    v->in_body = v->line_ends = false;
    v->rest = STR("");
    if (v->back == NULL || v->c->edit.header == 0)
        return unreadable(why);
    return qfile_seek(v->back, v->c->edit.header, why);
}

enum { FIELDS_A_TURN = 1000 };

/* (waits) now and then. The next field as it stands, in v->field. 1, 0: no more, -1. */
static int read_field(struct cleanup_view *v, struct why *why)
{
    struct str text;
    bool in_line = false;

    if (++v->looked % FIELDS_A_TURN == 0)
        task_yield();
    buf_clear(&v->field);
    for (;;) {
        enum rec type = qfile_next(v->back, &text);
        bool begins = !in_line && !header_continues(text);
        if (type != REC_NORM && type != REC_CONT && type != REC_XTRA)
            return unreadable(why);
        if (type == REC_XTRA || (begins && (text.n == 0 || v->field.n > 0))) {
            qfile_seek(v->back, qfile_at(v->back), NULL); /* for the next call */
            break;
        }
        if (v->field.n > 0 && !in_line)
            buf_addc(&v->field, '\n');
        buf_add(&v->field, text);
        in_line = type == REC_CONT;
    }
    if (!buf_ok(&v->field))
        return why_set(why, "4.3.0", "a header field is too long for milters");
    return v->field.n > 0;
}

static bool split_field(const struct buf *field, struct str *name, struct str *value)
{
    ptrdiff_t colon = str_find(buf_str(field), ':');

    if (colon < 0)
        return false;
    *name = str_rtrim(str_upto(buf_str(field), (size_t)colon));
    *value = str_from(buf_str(field), (size_t)colon + 1);
    return true;
}

/* As sendmail: our own Received field is not shown. */
static bool is_own(const struct cleanup_view *v)
{
    return v->c->own_trace != NULL && str_eqz(buf_str(&v->field), v->c->own_trace);
}

int cleanup_view_header(void *arg, struct str *name, struct str *value, struct why *why)
{
    struct cleanup_view *v = arg;
    int result;

    do {
        result = read_field(v, why);
    } while (result > 0 && (is_own(v) || !split_field(&v->field, name, value)));
    return result;
}

size_t cleanup_view_own(struct cleanup_view *v)
{
    struct str name, value;
    size_t n = 0;

    if (cleanup_view_rewind(v, NULL) < 0)
        return 0;
    while (read_field(v, NULL) > 0) {
        n += split_field(&v->field, &name, &value) && str_ieqz(name, "Received");
        if (is_own(v))
            return n;
    }
    return 0;
}

/* Behind the empty line that ends the header. */
static int begin_body(struct cleanup_view *v, struct why *why)
{
    struct str text;
    enum rec type;

    v->in_body = true;
    if (qfile_seek(v->back, v->c->edit.body, why) < 0)
        return -1;
    type = qfile_next(v->back, &text);
    if (type == REC_XTRA) /* there is no body */
        return qfile_seek(v->back, qfile_at(v->back), why);
    return type == REC_NORM ? 0 : unreadable(why);
}

/* What is still to be given out of a line, or what ends it. 1, 0: no more, -1. */
static int next_rest(struct cleanup_view *v, struct why *why)
{
    enum rec type;

    if (v->line_ends) {
        v->line_ends = false;
        v->rest = STR("\r\n");
        return 1;
    }
    type = qfile_next(v->back, &v->rest);
    v->line_ends = type == REC_NORM;
    if (type == REC_NORM || type == REC_CONT)
        return 1;
    v->rest = STR("");
    qfile_seek(v->back, qfile_at(v->back), NULL);
    return type == REC_XTRA ? 0 : unreadable(why);
}

int cleanup_view_body(void *arg, struct buf *piece, struct why *why)
{
    struct cleanup_view *v = arg;
    size_t left = MILTER_PIECE;
    int more = 1;

    if (!v->in_body && begin_body(v, why) < 0)
        return -1;
    while (left > 0 && more > 0) {
        struct str part = str_upto(v->rest, left);
        buf_add(piece, part);
        left -= part.n;
        v->rest = str_from(v->rest, part.n);
        if (v->rest.n == 0)
            more = next_rest(v, why);
    }
    if (more < 0 || !buf_ok(piece))
        return unreadable(why);
    return left < MILTER_PIECE;
}
