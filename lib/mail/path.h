/* path.h - envelope addresses: the paths of MAIL and RCPT, and their quoting. RFC 5321 4.1.2 */
#ifndef MAIL_PATH_H
#define MAIL_PATH_H

#include "base/buf.h"

/*
 * An address has two forms. Internal: the local part as it is, without quotes, "@", the domain; so
 * it stands in queue files, tables and attributes, and "" is the null sender. External: the local
 * part quoted where RFC 5321 wants it; so it is sent, logged and printed. No form holds control
 * characters. The split is always at the last "@".
 */
enum path_flag {
    PATH_NULL = 1, /* "<>" is a path: MAIL */
    PATH_BARE = 2, /* without the angle brackets too (strict_rfc821_envelopes = no) */
    PATH_UTF8 = 4, /* bytes above 127 are allowed: SMTPUTF8, RFC 6531 */
};

/*
 * Takes one path and the blanks before it off *args and appends the internal form to address. A
 * source route is dropped (RFC 5321 appendix C). False: not a path; nothing may be used then.
 */
bool path_parse(struct str *args, unsigned flags, struct buf *address);

void path_quote(struct str internal, struct buf *external); /* appends; "" stays "" */
bool path_unquote(struct str external, struct buf *internal); /* the inverse, for typed addresses */

struct str path_local(struct str internal);
struct str path_domain(struct str internal); /* without "@"; "" if there is none */

#endif
