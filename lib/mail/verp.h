/* verp.h - variable envelope return paths: a sender of his own for each recipient. VERP_README */
#ifndef MAIL_VERP_H
#define MAIL_VERP_H

#include "base/buf.h"

/* Two characters, both of them in allowed (verp_delimiter_filter)? */
bool verp_delimiters_ok(struct str delimiters, const char *allowed);
/* Appends the address that reports about rcpt go to: "list+user=there@here" for list@here,
 * user@there and "+=". Addresses are in internal form; there are two delimiters. */
void verp_sender(struct str sender, struct str rcpt, const char *delimiters, struct buf *out);

#endif
