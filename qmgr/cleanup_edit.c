/*
 * Places in the queue file where whoever sees the whole message may change it: see queue/qedit.h
 * for the order of records and gaps. They are left only for a client that asks.
 */
#include "cleanup.h"

static bool wants_gaps(const struct cleanup *c)
{
    return (c->flags & SUBMIT_EDIT) != 0 && !c->stopped;
}

void cleanup_edit_rcpts(struct cleanup *c)
{
    if (!wants_gaps(c))
        return;
    c->edit.f = c->file;
    c->edit.rcpt_gap = qfile_gap(c->file);
    c->edit.rcpt_end = qfile_tell(c->file);
}

void cleanup_edit_header(struct cleanup *c)
{
    if (!wants_gaps(c))
        return;
    c->edit.header = c->size.data_offset;
    c->edit.header_gap = qfile_gap(c->file);
    c->header_content = c->content;
}

void cleanup_edit_body(struct cleanup *c)
{
    if (!wants_gaps(c))
        return;
    c->edit.body_gap = qfile_gap(c->file);
    if (c->edit.body == 0) /* there is none */
        c->edit.body = c->edit.body_gap;
    c->header_size = c->edit.body - c->size.data_offset;
}

off_t cleanup_edit_put(struct cleanup *c, enum rec type, struct str body)
{
    bool content = type == REC_NORM || type == REC_CONT;
    bool begins_body = content && c->phase == CLEANUP_BODY && c->edit.body == 0;

    if (!wants_gaps(c) || (type != REC_FROM && !begins_body && c->phase != CLEANUP_HEADER))
        return qfile_put(c->file, type, body);
    off_t at = qedit_put(c->file, type, body);
    if (type == REC_FROM)
        c->edit.sender = at;
    else if (begins_body)
        c->edit.body = at;
    return at;
}
