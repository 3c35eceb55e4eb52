/* esmtp_bdat.h - the content of a message that comes in chunks, cut into lines. RFC 3030 */
#ifndef MAIL_ESMTP_BDAT_H
#define MAIL_ESMTP_BDAT_H

#include "mail/esmtp_data.h"

/*
 * Where one chunk ends and the next one begins makes no difference: lines go on over it, and CR LF
 * may be parted by it. No dot means anything, and nothing in the content ends it. Initialize with
 * ESMTP_BDAT(limit): bytes of the longest line that is returned whole. It owns the begin of a line
 * whose end has not come: esmtp_bdat_free.
 */
struct esmtp_bdat {
    struct esmtp_data_in lines;
    struct buf rest;
    size_t taken; /* bytes of rest that were returned last */
    size_t limit;
};
/* fits: esmtp_bdat_in adds no more */
#define ESMTP_BDAT(limit) ((struct esmtp_bdat){ESMTP_CHUNKED_IN, BUF((limit) + 2), 0, (limit)})

/*
 * Returns the next line or piece of one in bytes, and in *used how many of them it has consumed.
 * DATA_MORE: all of them are, and nothing is returned. *piece is good until the next call.
 */
enum esmtp_data esmtp_bdat_in(struct esmtp_bdat *b, struct str bytes, struct str *piece,
                              size_t *used);
/* The last chunk has ended. True: *rest is a line, or the last piece of one, that had no end. */
bool esmtp_bdat_end(struct esmtp_bdat *b, struct str *rest);
size_t esmtp_bdat_held(const struct esmtp_bdat *b); /* bytes that have not been returned yet */
void esmtp_bdat_free(struct esmtp_bdat *b);

#endif
