/* esmtp_cmd.h - parses SMTP commands: verb, arguments, parameters of MAIL and RCPT */
#ifndef MAIL_ESMTP_CMD_H
#define MAIL_ESMTP_CMD_H

#include "base/buf.h"

/* All slices point into the line. RFC 5321 4.1.1 */
struct esmtp_cmd {
    struct str verb; /* "" for an empty line */
    struct str args; /* without blanks at the ends */
};
void esmtp_cmd_split(struct str line, struct esmtp_cmd *cmd);

/* Cuts "FROM:" or "TO:" off the front of *args, with blanks around the colon. False: it is not
 * there. */
bool esmtp_cmd_keyword(struct str *args, const char *keyword);

/* NAME or NAME=value: esmtp-param of RFC 5321 4.1.2. An empty value is accepted here; the caller
 * refuses it if need be. */
struct esmtp_param {
    struct str name;
    struct str value; /* p is null without "=" */
};
/* Cuts the next parameter off *rest. 1: there is one, 0: no more, -1: malformed. */
int esmtp_param_next(struct str *rest, struct esmtp_param *param);

/* What the argument of HELO or EHLO says that the client's name is: as in Postfix all its words,
 * with one blank between them, as many bytes as fit into name. False: it says nothing. */
bool esmtp_helo_name(struct str args, struct buf *name);
/* In place, '?' for blanks and <>()\";@, which have a meaning in header fields and log lines: a
 * name must not look there like something that we say. */
void esmtp_make_harmless(char *name);

/* xtext of RFC 3461 4: "+2B". False: a "+" without two hexadecimal digits. Other bytes that should
 * have been coded ("=") stand for themselves, as in Postfix; control characters become "?". */
bool xtext_decode(struct str text, struct buf *out);
void xtext_encode(struct str raw, struct buf *out);

/* utf-8-addr-xtext of RFC 6533 3, for addresses of the type "utf-8": "jos\x{E9}". Decoding takes
 * plain UTF-8 as it is. False: an escape that is malformed or no character. */
bool uxtext_decode(struct str text, struct buf *out);
void uxtext_encode(struct str utf8, struct buf *out);

#endif
