/* esmtp_ehlo.h - the extensions of EHLO: their names, and what a peer says. RFC 5321 4.1.1.1 */
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
};

unsigned esmtp_ext_by_name(struct str name); /* 0: unknown; letters of either case */
/* A list as in smtpd_discard_ehlo_keywords; unknown words are skipped. */
unsigned esmtp_ext_mask(struct str list);

/* What a server said: feed each line of its reply after the first, without the code. */
struct esmtp_ehlo {
    unsigned ext;
    uint64_t size; /* 0: no limit said */
    struct buf auth; /* mechanisms parted by single blanks, upper case */
};
#define ESMTP_EHLO ((struct esmtp_ehlo){0, 0, BUF(1024)})
void esmtp_ehlo_line(struct esmtp_ehlo *e, struct str line);
bool esmtp_ehlo_has_auth(const struct esmtp_ehlo *e, const char *mechanism);
void esmtp_ehlo_clear(struct esmtp_ehlo *e); /* after STARTTLS: forget all */
void esmtp_ehlo_free(struct esmtp_ehlo *e);

#endif
