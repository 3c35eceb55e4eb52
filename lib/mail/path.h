/* path.h - addresses of the envelope: paths of MAIL and RCPT, quoting. RFC 5321 4.1.2 */
#ifndef MAIL_PATH_H
#define MAIL_PATH_H

#include "base/buf.h"

/*
 * An address has two forms. The internal form is the local part without quotes, "@", and the
 * domain; it is used in queue files, tables and attributes, and "" is the null sender. In the
 * external form the local part is quoted where RFC 5321 demands it; it is sent, logged and printed.
 * Neither form contains control characters. The last "@" separates local part and domain.
 */
enum path_flag {
    PATH_NULL = 1, /* accept "<>": for MAIL */
    PATH_BARE = 2, /* strict_rfc821_envelopes = no: accept paths without angle brackets, too, with
                      several of them around the address, or with blanks inside them */
    PATH_UTF8 = 4, /* accept bytes above 127: SMTPUTF8, RFC 6531 */
    PATH_WHOLE = 8, /* nothing may stand behind it */
};

/*
 * Cuts one path, with the blanks before it, off *args and appends its internal form to address. A
 * source route is dropped (RFC 5321 appendix C). False: not a path; *args and address must then not
 * be used.
 */
bool path_parse(struct str *args, unsigned flags, struct buf *address);

void path_quote(struct str internal,
                struct buf *external); /* appends the external form; "" stays "" */
bool path_unquote(struct str external,
                  struct buf *internal); /* appends the internal form; false: malformed. For
                                            addresses that people type */

struct str path_local(struct str internal); /* up to the last "@"; all, if there is none */
struct str path_domain(struct str internal); /* without "@"; "" if there is none */

#endif
