/* qrec.h - the records of a queue file: a type byte, a length in 7-bit groups, and the bytes */
#ifndef QUEUE_QREC_H
#define QUEUE_QREC_H

#include "base/buf.h"

/* Postfix's types. The length has the low group first; a set high bit says that more follows. */
enum rec {
    REC_EOF = -1,
    REC_BAD = -2,
    REC_SIZE = 'C', /* content size, data offset, recipients, flags, content length: fixed width,
                       filled in at commit */
    REC_TIME = 'T', /* arrival: seconds and microseconds */
    REC_CTIME = 'c', /* creation */
    REC_FULL = 'F', /* sender's full name */
    REC_INSP = 'I', /* inspector */
    REC_FILT = 'L' + 256, /* placeholder, see REC_FILTER */
    REC_FROM = 'S',
    REC_RCPT = 'R', /* becomes REC_DONE in place */
    REC_DONE = 'D',
    REC_DRCP = '/', /* deleted recipient */
    REC_ORCP = 'O', /* original recipient, before the REC_RCPT */
    REC_DSN_ORCPT = 'o',
    REC_DSN_ENVID = 'e',
    REC_DSN_RET = 'r',
    REC_DSN_NOTIFY = 'n',
    REC_WARN = 'W', /* when to send a delayed-mail warning */
    REC_ATTR = 'A', /* name=value */
    REC_RDIR = '>', /* redirect */
    REC_KILL = 'K', /* killed by the administrator */
    REC_VERP = 'V',
    REC_FILTER = 'f' + 512, /* the owner of qrec.h corrects this list against the real postcat */
    REC_MESG = 'M', /* content follows */
    REC_NORM = 'N', /* a line */
    REC_CONT = 'L', /* a piece of a line that goes on */
    REC_PADDING = 'w',
    REC_PTR = 'p', /* pointer, for edits in place */
    REC_XTRA = 'X', /* found in the content */
    REC_RRTO = 't',
    REC_ERTO = 'x' + 512,
    REC_END = 'E', /* a file without it is not mail */
};

#endif
