/* milter_content.h - showing a whole message to its mail filters, and doing what they ask */
#ifndef MILTER_MILTER_CONTENT_H
#define MILTER_MILTER_CONTENT_H

#include "milter/milter.h"

/*
 * What cleanup gives. arg is passed to all. The reading part is called again from the beginning for
 * each filter, so that it sees what the filters before it have changed.
 *
 * Edits come only after a filter has seen all, in the order in which it asks for them, and each is
 * done when it comes. After one that returns -1 with why no more are done, but the filter is heard
 * to its end, since it has not failed: the answer of milters_message is then "CODE why" of
 * MILTER_REPLIES (451 with 4.x.x), and the caller must throw the message away, as with every answer
 * but MILTER_GOES_ON and MILTER_HOLDS. None of them may be called in a wait,
 * and they may wait themselves. Text from a filter is bounded by MILTER_PACKET_MOST, has no zero
 * byte, and is otherwise as the filter has sent it: names with blanks, CR LF in values.
 */
struct milter_content {
    void *arg;

    /* Reading. rewind: the next header asked for is the first. next_header: the next field, without
     * our own Received field at the top; value is everything behind the colon, with the blank, of
     * several lines parted by LF; valid until the next call. 1: there is one; 0: no more; -1: why.
     * next_body: appends some of what follows of the body, lines with CR LF at their end, at most
     * MILTER_PIECE bytes at a time. 1, 0, -1 as above. */
    int (*rewind)(void *arg, struct why *why);
    int (*next_header)(void *arg, struct str *name, struct str *value, struct why *why);
    int (*next_body)(void *arg, struct buf *piece, struct why *why);

    /* Edits. value is what stands behind the colon and has its blank in front, whatever the filter
     * has negotiated; lines are parted by LF. */
    int (*add_header)(void *arg, struct str name, struct str value, struct why *why);
    /* index 0: above all, also above our own Received field; 1: below the first field that it has
     * not seen ...: as the filter has sent it. */
    int (*insert_header)(void *arg, size_t index, struct str name, struct str value,
                         struct why *why);
    /* The field that is number index (from 1) of this name; value empty (n 0): remove it. If there
     * is none: add it, unless value is empty. */
    int (*change_header)(void *arg, size_t index, struct str name, struct str value,
                         struct why *why);
    /* esmtp: parameters, or empty. The address is as sent, mostly in <>. */
    int (*change_sender)(void *arg, struct str address, struct str esmtp, struct why *why);
    int (*add_rcpt)(void *arg, struct str address, struct str esmtp, struct why *why);
    int (*drop_rcpt)(void *arg, struct str address, struct why *why);
    /* A new body in pieces of any cut, lines with CR LF or LF; whole true: that was all, and the
     * piece is empty. The pieces of one filter come one behind the other. */
    int (*replace_body)(void *arg, struct str piece, bool whole, struct why *why);
    /* Into the hold queue; reason is the filter's text, for the log. */
    int (*quarantine)(void *arg, struct str reason, struct why *why);
};
enum { MILTER_PIECE = 32 * 1024 };

/*
 * (waits) HEADER, EOH, BODY, EOM for each filter of m that wants them, and its edits. MILTER_HOLDS:
 * a filter failed before it had edited anything, and its default action is quarantine. A filter
 * that fails after its first edit has left a message that nobody wants: the answer is 451 then,
 * whatever its default action says. On the answers see milter.h; where is for the caller's log:
 * "END-OF-MESSAGE".
 */
enum milter_does milters_message(struct milters *m, const struct milter_content *content,
                                 struct milter_answer *a);

#endif
