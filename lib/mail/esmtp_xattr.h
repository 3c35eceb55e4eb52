/* esmtp_xattr.h - what XCLIENT and XFORWARD say of a client: "NAME=host ADDR=192.0.2.1 ..." */
#ifndef MAIL_ESMTP_XATTR_H
#define MAIL_ESMTP_XATTR_H

#include "base/buf.h"

/*
 * Both are extensions of Postfix (XCLIENT_README, XFORWARD_README). XCLIENT says who the client is,
 * for all decisions; XFORWARD who it was, for the log alone. Values are xtext (RFC 3461 4); one
 * that is no xtext stands for itself, since old clients did not encode.
 */
enum esmtp_xcommand { XCLIENT, XFORWARD };
enum esmtp_xattr {
    X_NAME,
    X_ADDR,
    X_PORT,
    X_PROTO,
    X_HELO,
    X_REVERSE_NAME, /* this and the next three: XCLIENT only */
    X_LOGIN,
    X_DESTADDR,
    X_DESTPORT,
    X_IDENT, /* this and the next: XFORWARD only */
    X_SOURCE,
    X_COUNT
};
#define X_BIT(attr) (1u << (attr))

enum esmtp_xstate { X_KNOWN, X_UNAVAILABLE, X_TEMPUNAVAIL };
enum { X_VALUE_MOST = 255 };
struct esmtp_xvalue {
    enum esmtp_xattr attr;
    enum esmtp_xstate state;
    char text[X_VALUE_MOST + 1]; /* if it is known: decoded, ADDR without "IPV6:" */
};

/* Cuts the next attribute off *rest. 1: there is one, 0: no more, -1: malformed, and complaint is
 * the text of a 501 reply. */
int esmtp_xattr_next(enum esmtp_xcommand command, struct str *rest, struct esmtp_xvalue *out,
                     struct buf *complaint);

/* The line of the EHLO reply: "XFORWARD NAME ADDR ...". */
const char *esmtp_xattr_keyword(enum esmtp_xcommand command);
/* The bits of names, as a server announces them; unknown ones are skipped. */
unsigned esmtp_xattr_mask(struct str names);
/* Appends " NAME=value" in xtext; null or "": "[UNAVAILABLE]". */
void esmtp_xattr_put(enum esmtp_xattr attr, const char *value, struct buf *out);

#endif
