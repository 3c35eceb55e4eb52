/* idna.h - domains with other letters than ASCII, and the form in which DNS has them. RFC 5890 */
#ifndef MAIL_IDNA_H
#define MAIL_IDNA_H

#include "base/buf.h"

/*
 * Appends the ASCII form (A-labels, "xn--...") of a domain in UTF-8; what is ASCII already stays as
 * it is, so that it may be anything. Characters are mapped first, as in UTS 46: letter case, width,
 * ideographic dots. False: it has none, or it does not fit; *out must then not be used. It does not
 * wait and allocates only what it frees; a longer text than any domain is refused at once.
 */
bool idna_to_ascii(struct str domain, struct buf *out);
/* enable_idna2003_compatibility: sharp s is "ss", and the like. For the process, before the first
 * task that looks up names. */
void idna_set_2003(bool compatible);

#endif
