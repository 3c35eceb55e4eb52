/* esmtp_ehlo.h - SMTP extensions: their names, and parsing a reply to EHLO. RFC 5321 4.1.1.1 */
#ifndef MAIL_ESMTP_EHLO_H
#define MAIL_ESMTP_EHLO_H

#include <stdint.h>

#include "base/buf.h"

enum esmtp_ext {
    ESMTP_PIPELINING = 1,
    ESMTP_SIZE = 2,
    ESMTP_VRFY = 4,
    ESMTP_ETRN = 8,
    ESMTP_STARTTLS = 16,
    ESMTP_AUTH = 32,
    ESMTP_ENHANCEDSTATUSCODES = 64,
    ESMTP_8BITMIME = 128,
    ESMTP_DSN = 256,
    ESMTP_SMTPUTF8 = 512,
    ESMTP_CHUNKING = 1024,
    ESMTP_XCLIENT = 2048,
    ESMTP_XFORWARD = 4096,
    ESMTP_REQUIRETLS = 8192,
    ESMTP_LIMITS = 16384,
    ESMTP_FUTURERELEASE = 65536,
    ESMTP_MT_PRIORITY = 131072,
    ESMTP_DELIVERBY = 262144,
    ESMTP_XVERP = 524288, /* has no name here: as in Postfix, it cannot be hidden */
    ESMTP_SILENT = 32768, /* "silent-discard" of a list: what it hides is not logged */
};

unsigned esmtp_ext_by_name(struct str name); /* 0: unknown; case does not count */
/* The bits of a list such as smtpd_discard_ehlo_keywords; unknown words are skipped. */
unsigned esmtp_ext_mask(struct str list);
/* "discarding EHLO keywords: A B" for the log; nothing, if the mask is empty or silent. */
void esmtp_ext_print(unsigned mask, struct buf *line);

/* The reply of a server to EHLO. Pass each line after the first to esmtp_ehlo_line, without its
 * code. */
struct esmtp_ehlo {
    unsigned ext;
    uint64_t size; /* largest message in bytes; 0: not announced */
    unsigned xforward; /* attributes of XFORWARD: X_BIT of esmtp_xattr.h */
    uint32_t rcpt_max, mail_max; /* LIMITS: in a transaction, in a session; 0: not told. RFC 9422 */
    uint32_t min_by; /* DELIVERBY: the least BY= with R, in seconds; 0: not told. RFC 2852 2 */
    struct buf auth; /* mechanisms in upper case, separated by single blanks */
};
/* fits: they are part of a reply, of which smtp_read_reply reads no more */
#define ESMTP_EHLO ((struct esmtp_ehlo){0, 0, 0, 0, 0, 0, BUF(64 * 1024)})
void esmtp_ehlo_line(struct esmtp_ehlo *e, struct str line);
bool esmtp_ehlo_has_auth(const struct esmtp_ehlo *e, const char *mechanism);
void esmtp_ehlo_clear(struct esmtp_ehlo *e); /* after STARTTLS: forget all */
void esmtp_ehlo_free(struct esmtp_ehlo *e);

#endif
