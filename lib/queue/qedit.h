/* qedit.h - changes to a message whose queue file is being written: its header, recipients, sender,
 * body */
#ifndef QUEUE_QEDIT_H
#define QUEUE_QEDIT_H

#include "queue/qfile.h"

/*
 * For what has its say when the whole message is there: milters, signatures. What is put in goes to
 * the end of the file, and pointer records lead there and back, as in Postfix, so that its postcat
 * and its daemons read the result too. The writer leaves gaps where something may be put in:
 *
 *   REC_FROM, padding up to QFILE_GAP bytes      qedit_put
 *   a gap behind the last recipient              rcpt_gap
 *   each header field, padded likewise           qedit_put
 *   a gap behind the last one                    header_gap
 *   the body, a gap                              body, body_gap
 *
 * A message costs about 80 bytes more for that, and nothing if nobody asks for gaps.
 * Offsets of 0: there is no such gap, and changes of that kind fail.
 */
struct qedit {
    struct qfile *f;
    off_t sender; /* of REC_FROM */
    off_t rcpt_gap, rcpt_end; /* behind them, and the record behind that gap */
    off_t header, header_gap; /* the first record of content, and the gap behind the header */
    off_t body, body_gap; /* the empty line, and the gap behind the last line */
    int edits; /* so far */
    unsigned looked; /* records read for them */
};
enum { QEDIT_MOST = 500 };

/* Writes a record and, if it is shorter than a pointer, padding; where the record is. The padding
 * of REC_FROM is a pointer that leads nowhere, that of all others REC_DTXT. */
off_t qedit_put(struct qfile *f, enum rec type, struct str body);

/*
 * Each returns 0, or -1 with why. Fields are "Name: value", lines parted by LF. index counts fields
 * of one name from 1. They fail when the file cannot be read back or written, and after QEDIT_MOST
 * edits, since readers follow a limited number of pointers; removing what is not there is one, too.
 */
int qedit_add_header(struct qedit *e, struct str field, struct why *why); /* behind all others */
/* (waits) Before the field that is number index of all; 1 puts it above all. */
int qedit_insert_header(struct qedit *e, size_t index, struct str field, struct why *why);
/* (waits) field empty: removed. 1; or 0 if there is no field of that name and number. */
int qedit_replace_header(struct qedit *e, struct str name, size_t index, struct str field,
                         struct why *why);
int qedit_set_sender(struct qedit *e, struct str address, struct why *why);
/* The recipient whose REC_RCPT is at that place; address as it stands there. */
int qedit_drop_rcpt(struct qedit *e, off_t at, struct str address, struct why *why);

/*
 * What the caller writes itself, with qfile_put, between two calls, and no other edit meanwhile:
 * more recipients with all that belongs to them (nothing written: nothing changes), or a new body,
 * REC_NORM and REC_CONT. begin returns where it begins, for end; -1 and why: there is no gap.
 */
off_t qedit_begin_rcpts(const struct qedit *e, struct why *why);
int qedit_end_rcpts(struct qedit *e, off_t begin, struct why *why);
off_t qedit_begin_body(struct qedit *e, struct why *why);
int qedit_end_body(struct qedit *e, off_t begin, struct why *why);

#endif
