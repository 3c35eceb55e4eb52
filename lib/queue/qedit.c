/*
 * Edits are insertions: at a gap, or over a record that is at least as long as a pointer record.
 * The record is written again at the end of the file if it is to stay.
 */
#include "queue/qedit.h"

#include "base/str.h"
#include "task/task.h"

enum { RECORDS_A_TURN = 1000 };

off_t qedit_put(struct qfile *f, enum rec type, struct str body)
{
    char head[8];
    off_t at = qfile_put(f, type, body);
    size_t size = qrec_head(head, type, body.n) + body.n;

    /* As Postfix pads: its qmgr takes REC_DTXT in the envelope for damage, so there it is a pointer
     * that leads nowhere. Two bytes, and what is missing, but one at least. */
    if (size < QFILE_GAP)
        qfile_putf(f, type == REC_FROM ? REC_PTR : REC_DTXT, "%*s",
                   size + 3 < QFILE_GAP ? (int)(QFILE_GAP - size - 2) : 1, "0");
    return at;
}

static int qedit_failed(struct why *why)
{
    return why_set(why, "4.3.0", "queue file cannot be edited");
}

/* The lines of a field or body. The first record can be replaced by a pointer later. */
static void put_lines(struct qfile *f, struct str lines)
{
    struct str line;

    while (str_split(&lines, '\n', &line))
        qedit_put(f, REC_NORM, line);
}

static int count_edit(struct qedit *e, struct why *why)
{
    if (++e->edits > QEDIT_MOST)
        return why_set(why, "4.3.0", "more than %d changes of one message", QEDIT_MOST);
    return 0;
}

static int fill_gap(struct qedit *e, off_t gap, off_t to, struct why *why)
{
    if (count_edit(e, why) < 0)
        return -1;
    return qfile_fill(e->f, gap, to) < 0 ? qedit_failed(why) : 0;
}

/* Lets reading go from the gap to what was written since begin, and from there on behind the gap. A
 * gap that was filled before is continued at its end: its last pointer is the new gap. */
static int close_insertion(struct qedit *e, off_t *gap, off_t begin, off_t behind, struct why *why)
{
    off_t last = qfile_go_on(e->f, behind);

    if (fill_gap(e, *gap, begin, why) < 0)
        return -1;
    *gap = last;
    return 0;
}

int qedit_add_header(struct qedit *e, struct str field, struct why *why)
{
    off_t begin = qfile_tell(e->f);

    if (e->header_gap == 0)
        return qedit_failed(why);
    put_lines(e->f, field);
    return close_insertion(e, &e->header_gap, begin, e->body, why);
}

/* A field of the header as it is read now. */
struct place {
    off_t at, end; /* its first record, and where reading goes on behind it */
};

static bool continues(struct str text)
{
    return text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t');
}

static bool is_named(struct str text, struct str name)
{
    ptrdiff_t colon = str_find(text, ':');
    return colon > 0 && str_ieq(str_rtrim(str_upto(text, (size_t)colon)), name);
}

/* Where reading goes on behind the record that was read last and, if it is short, its padding. */
static off_t behind(struct qfile *r)
{
    off_t at = qfile_tell(r);
    bool is_short = at - qfile_at(r) < QFILE_GAP;
    struct str text;
    enum rec type = qfile_next_raw(r, &text);

    if (is_short && (type == REC_DTXT || type == REC_PTR))
        at = qfile_tell(r);
    qfile_seek(r, at, NULL);
    return at;
}

/* (waits) now and then: many edits of a long header take seconds. */
static void look_at_record(struct qedit *e)
{
    if (++e->looked % RECORDS_A_TURN == 0)
        task_yield();
}

/* (waits) Finds the field that is number index of its name, or of all if name is empty. */
static bool find_field(struct qedit *e, struct str name, size_t index, struct place *p)
{
    struct qfile *r = qfile_read_back(e->f);
    struct str text;
    bool found = false, ended = false, in_line = false;
    enum rec type;

    if (r == NULL || qfile_seek(r, e->header, NULL) < 0) {
        qfile_close(&r);
        return false;
    }
    while (!ended && ((type = qfile_next(r, &text)) == REC_NORM || type == REC_CONT)) {
        bool begins = !in_line && !continues(text);
        in_line = type == REC_CONT;
        ended = begins && (found || text.n == 0);
        if (begins && !ended && (name.n == 0 || is_named(text, name)) && --index == 0) {
            p->at = qfile_at(r);
            found = true;
        }
        if (found && !ended)
            p->end = behind(r);
        look_at_record(e);
    }
    qfile_close(&r);
    return found;
}

/* Copies the records of a field to the end of the file. */
static int copy_field(struct qedit *e, const struct place *p)
{
    struct qfile *r = qfile_read_back(e->f);
    struct str text;
    enum rec type;
    bool in_line = false, first = true;

    if (r == NULL || qfile_seek(r, p->at, NULL) < 0) {
        qfile_close(&r);
        return -1;
    }
    while ((type = qfile_next(r, &text)) == REC_NORM || type == REC_CONT) {
        if (!first && !in_line && !continues(text))
            break;
        qedit_put(e->f, type, text);
        in_line = type == REC_CONT;
        first = false;
    }
    qfile_close(&r);
    return 0;
}

/* Puts text in the place of a field; with keep, before it. */
static int put_at(struct qedit *e, const struct place *p, struct str text, bool keep,
                  struct why *why)
{
    off_t begin = qfile_tell(e->f);
    off_t gap = p->at;

    if (text.n > 0)
        put_lines(e->f, text);
    if (keep && copy_field(e, p) < 0)
        return qedit_failed(why);
    if (qfile_tell(e->f) == begin) /* nothing: passed over */
        return fill_gap(e, gap, p->end, why);
    return close_insertion(e, &gap, begin, p->end, why);
}

int qedit_insert_header(struct qedit *e, size_t index, struct str field, struct why *why)
{
    struct place p = {0};

    if (index == 0 || e->header == 0)
        return qedit_failed(why);
    if (!find_field(e, STR(""), index, &p))
        return qedit_add_header(e, field, why);
    return put_at(e, &p, field, true, why);
}

int qedit_replace_header(struct qedit *e, struct str name, size_t index, struct str field,
                         struct why *why)
{
    struct place p = {0};

    if (index == 0 || name.n == 0 || e->header == 0)
        return qedit_failed(why);
    if (!find_field(e, name, index, &p)) /* where nothing is added instead, this was all of it */
        return field.n > 0 ? 0 : count_edit(e, why);
    return put_at(e, &p, field, false, why) < 0 ? -1 : 1;
}

int qedit_set_sender(struct qedit *e, struct str address, struct why *why)
{
    struct qfile *r = qfile_read_back(e->f);
    struct str old;
    bool good = r != NULL && e->sender > 0 && qfile_seek(r, e->sender, NULL) == 0 &&
                qfile_next(r, &old) == REC_FROM;
    off_t next = good ? behind(r) : 0;

    qfile_close(&r);
    if (!good)
        return qedit_failed(why);
    off_t begin = qedit_put(e->f, REC_FROM, address);
    qfile_go_on(e->f, next);
    if (fill_gap(e, e->sender, begin, why) < 0)
        return -1;
    e->sender = begin;
    return 0;
}

int qedit_drop_rcpt(struct qedit *e, off_t at, struct str address, struct why *why)
{
    return qfile_patch(e->f, at, REC_DRCP, address) < 0 ? qedit_failed(why) : 0;
}

off_t qedit_begin_rcpts(const struct qedit *e, struct why *why)
{
    return e->rcpt_gap == 0 ? qedit_failed(why) : qfile_tell(e->f);
}

int qedit_end_rcpts(struct qedit *e, off_t begin, struct why *why)
{
    if (qfile_tell(e->f) == begin)
        return 0;
    return close_insertion(e, &e->rcpt_gap, begin, e->rcpt_end, why);
}

off_t qedit_begin_body(struct qedit *e, struct why *why)
{
    if (e->body == 0 || e->body_gap == 0)
        return qedit_failed(why);
    return qedit_put(e->f, REC_NORM, STR("")); /* the line between header and body */
}

int qedit_end_body(struct qedit *e, off_t begin, struct why *why)
{
    off_t place = e->body;

    return close_insertion(e, &place, begin, e->body_gap + QFILE_GAP, why);
}
