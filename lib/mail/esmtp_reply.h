/* esmtp_reply.h - parses and makes SMTP replies of one or more lines. RFC 5321 4.2, RFC 2034 */
#ifndef MAIL_ESMTP_REPLY_H
#define MAIL_ESMTP_REPLY_H

#include "base/buf.h"

/*
 * Reading. Begin with ESMTP_REPLY(ceiling), feed line after line (without its end) until the
 * answer is not ESMTP_MORE. text holds the lines joined by "\n", without codes. Lines that
 * do not fit under the ceiling are left out. ESMTP_NOISE: not a line of a reply (an empty line,
 * words without a code); servers that send such lines exist, so go on with the next. ESMTP_BAD: a
 * code that no reply has (RFC 5321 4.2.1). If the lines' codes differ the last one counts, as for
 * Postfix.
 */
struct esmtp_reply {
    int code; /* 200..599 */
    char dsn[10]; /* of the first line that has one; "" if none; its class agrees with the code */
    struct buf text;
    size_t lines;
};
/* fits: or is cut, as words for people; whoever needs it whole reads no more than the ceiling */
#define ESMTP_REPLY(ceiling) ((struct esmtp_reply){0, "", BUF(ceiling), 0})
enum esmtp_more { ESMTP_MORE, ESMTP_DONE, ESMTP_NOISE, ESMTP_BAD };
enum esmtp_more esmtp_reply_line(struct esmtp_reply *r, struct str line);
void esmtp_reply_clear(struct esmtp_reply *r); /* for the next one */
void esmtp_reply_free(struct esmtp_reply *r);

/*
 * Making. text may have several lines, separated by "\n"; dsn is repeated on each line and may be
 * "". Control characters become '?', lines longer than the 512 of RFC 5321 4.5.3.1.5
 * are cut and end in "...".
 */
void esmtp_reply_format(int code, const char *dsn, struct str text, struct buf *out);

/* The whole reply as one line for the log: "550 5.1.1 text". */
void esmtp_reply_print(const struct esmtp_reply *r, struct buf *out);

#endif
