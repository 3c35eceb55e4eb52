/* esmtp_data.h - the content of a message in SMTP: lines, doubled dots, bare CR and LF. RFC 5321
 * 4.1.1.4, 4.5.2 */
#ifndef MAIL_ESMTP_DATA_H
#define MAIL_ESMTP_DATA_H

#include "base/buf.h"

/*
 * Receiving: the state of a parser that is given the bytes as they come. Only CR LF . CR LF ends
 * the content (RFC 5321 4.1.1.4); if a bare LF or CR could do so, one message could hide another. A
 * line that ends in a bare LF is a line, too, and is counted in bare_lf, so that the caller can
 * refuse the message. A CR inside a line is kept. Initialize with ESMTP_DATA_IN.
 */
struct esmtp_data_in {
    bool inside; /* in the middle of a line */
    bool after_bare_lf; /* the line before this one had no CR */
    size_t bare_lf;
    bool chunked; /* for esmtp_bdat.h: a dot is one as any other, and there is no DATA_END */
};
#define ESMTP_DATA_IN    ((struct esmtp_data_in){false, false, 0, false})
#define ESMTP_CHUNKED_IN ((struct esmtp_data_in){false, false, 0, true})

enum esmtp_data {
    DATA_LINE, /* piece is a line, or the last piece of one */
    DATA_PIECE, /* piece belongs to a line that goes on */
    DATA_END, /* end of the content; the bytes behind *used belong to the next command */
    DATA_MORE, /* not enough bytes: call again with these and more */
};

/*
 * Returns the next line or piece in window, and in *used how many bytes of window it has consumed.
 * Lines of at most limit bytes are returned whole. Longer ones, of which a window of limit bytes
 * has no end, are returned in pieces.
 */
enum esmtp_data esmtp_data_in(struct esmtp_data_in *d, struct str window, size_t limit,
                              struct str *piece, size_t *used);

/* Sending: appends a line, with a dot at its start doubled and CR LF at its end. piece may be a
 * part of a line: begins and ends say whether it contains the start and the end. */
void esmtp_data_out(struct buf *out, struct str piece, bool begins, bool ends);

#endif
