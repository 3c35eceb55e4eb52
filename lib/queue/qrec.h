/* qrec.h - the records of a queue file: a type byte, a length in 7-bit groups, and the bytes */
#ifndef QUEUE_QREC_H
#define QUEUE_QREC_H

#include "base/buf.h"

/*
 * Postfix's types, as its postcat names them. The length has the low group first; a set high bit
 * says that more follows. A file is: REC_SIZE, envelope records, REC_MESG, content (REC_NORM,
 * REC_CONT), REC_XTRA, a few records found in the content, REC_END. What DSN needs of a recipient
 * (dsn_orig_rcpt=, notify_flags=) are REC_ATTR in front of its REC_ORCP and REC_RCPT.
 */
enum rec {
    REC_EOF = -1, /* the file ends here: without a REC_END it is not mail */
    REC_BAD = -2, /* not a record, or a read error */
    REC_SIZE = 'C', /* struct qsize: fixed width, filled in at commit */
    REC_TIME = 'T', /* arrival: "seconds microseconds" */
    REC_CTIME = 'c', /* creation of the queue file; newer files say create_time= */
    REC_FULL = 'F', /* the sender's full name, from sendmail */
    REC_INSP = 'I', /* inspector; not used any more */
    REC_FILT = 'L', /* in the envelope: content filter "transport:nexthop" */
    REC_FROM = 'S', /* sender; empty for bounces */
    REC_DONE = 'D', /* a recipient that needs nothing more; was REC_RCPT */
    REC_DRCP = '/', /* recipient taken back by a milter */
    REC_RCPT = 'R',
    REC_ORCP = 'O', /* original recipient, before the REC_RCPT */
    REC_WARN = 'W', /* when to send a delayed-mail warning: "%15ld" */
    REC_ATTR = 'A', /* name=value */
    REC_KILL = 'K', /* any record that was made void in place */
    REC_RDIR = '>', /* redirect all recipients to this one */
    REC_FLGS = 'f', /* cleanup flags */
    REC_VERP = 'V', /* VERP delimiters */
    REC_MESG = 'M', /* content follows */
    REC_CONT = 'L', /* in the content: a piece of a line that goes on */
    REC_NORM = 'N', /* in the content: a line, or the end of one */
    REC_DTXT = 'w', /* padding */
    REC_XTRA = 'X', /* end of content; what was found in it follows */
    REC_RRTO = 'r', /* return receipt */
    REC_ERTO = 'e', /* errors to */
    REC_PRIO = 'P', /* priority */
    REC_PTR = 'p', /* go on reading elsewhere: "%15ld", for edits in place */
    REC_MILT = 'm', /* milter count */
    REC_DSN_RET = '<', /* older files and maildrop; newer ones have ret_flags= and so on */
    REC_DSN_ENVID = 'i',
    REC_DSN_ORCPT = 'o',
    REC_DSN_NOTIFY = 'n',
    REC_END = 'E', /* a file without it is not mail */
};

#define REC_MAX (1 << 20) /* bytes in one record */

const char *qrec_name(int type); /* "message_size"; "unknown_record_type" for what is none */

/* The type and length bytes of a record of n bytes; how many they are. */
size_t qrec_head(char head[8], int type, size_t n);
/* Appends one record. The body must be at most REC_MAX long. */
void qrec_put(struct buf *out, int type, struct str body);
void qrec_putf(struct buf *out, int type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A line of content of any length: REC_CONT pieces of max bytes, then REC_NORM. */
void qrec_put_line(struct buf *out, struct str line, size_t max);

/*
 * Takes the record at the start of bytes: its type, *body inside bytes, *size of the whole.
 * REC_EOF: bytes is empty. REC_BAD: no record. QREC_MORE: bytes ends inside it; *size says how many
 * bytes are known to be needed (at least one more than there are).
 */
#define QREC_MORE (-3)
int qrec_take(struct str bytes, struct str *body, size_t *size);

/* The body of REC_SIZE: six numbers, each 15 wide. Old files have fewer; the rest is 0 then. */
struct qsize {
    int64_t size; /* bytes of the content records; what is logged as size= */
    int64_t data_offset; /* where the content records begin */
    int64_t rcpts; /* recipients, in all states */
    int64_t flags; /* bit 0: other records stand between recipients; from bit 1: all DSN NOTIFY */
    int64_t content; /* bytes of content records, without edits */
    int64_t sendopts; /* enum sendopt */
};
/* What the next servers must be able to do: Postfix's bits. SMTPUTF8 is needed if it was asked for
 * and one of the others says so, or a recipient's address. */
enum sendopt {
    SENDOPT_UTF8 = 1, /* asked for: RFC 6531 */
    SENDOPT_UTF8_HEADER = 2, /* the header has UTF-8 */
    SENDOPT_UTF8_SENDER = 4,
    SENDOPT_UTF8_RCPT = 8, /* of a delivery, not in the queue file */
    SENDOPT_TLS_NOT_REQUIRED = 16, /* "TLS-Required: no": RFC 8689 5 */
    SENDOPT_REQUIRETLS = 32, /* asked for: RFC 8689 2 */
    SENDOPT_ALL = 63,
};
#define QSIZE_WIDTH 95
void qsize_format(const struct qsize *q, struct buf *out); /* clears out first */
bool qsize_parse(struct str body, struct qsize *q);

/* REC_TIME: microseconds since 1970. The fraction is missing in old files. */
bool qrec_parse_time(struct str body, int64_t *wall_us);
/* REC_ATTR: "name=value". False without "=" or without a name. */
bool qrec_parse_attr(struct str body, struct str *name, struct str *value);

#endif
