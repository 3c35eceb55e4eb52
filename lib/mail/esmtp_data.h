/* esmtp_data.h - the content between DATA and its end: lines, dots, bare CR and LF. RFC
 * 5321 4.1.1.4, 4.5.2 */
#ifndef MAIL_ESMTP_DATA_H
#define MAIL_ESMTP_DATA_H

#include "base/buf.h"

/*
 * Taking in, as a filter over whatever bytes are there. Only CR LF . CR LF ends the content
 * (RFC 5321 4.1.1.4: a bare LF or CR never does, or one message could hide another). A line that
 * ends in a bare LF is a line all the same and counts in bare_lf, so that the caller may refuse the
 * message; a CR inside a line stays. Begin with ESMTP_DATA_IN.
 */
struct esmtp_data_in {
    bool inside; /* in the middle of a line */
    bool after_bare_lf; /* the line before this one had no CR */
    size_t bare_lf;
};
#define ESMTP_DATA_IN ((struct esmtp_data_in){false, false, 0})

enum esmtp_data {
    DATA_LINE, /* piece is a line, or the last piece of one */
    DATA_PIECE, /* piece belongs to a line that goes on */
    DATA_END, /* the end; the bytes behind *used are the next command's */
    DATA_MORE, /* nothing can be decided: call again with these and more bytes */
};

/*
 * Looks at window, tells in *used how many of its bytes are done with. Lines of at most limit bytes
 * come whole; longer ones, or what does not end in a window of at least limit bytes, in pieces.
 */
enum esmtp_data esmtp_data_in(struct esmtp_data_in *d, struct str window, size_t limit,
                              struct str *piece, size_t *used);

/* Sending: appends a line, or with begins/ends a piece of one, with its dot doubled and CR LF. */
void esmtp_data_out(struct buf *out, struct str piece, bool begins, bool ends);

#endif
