/* postscreen_line.h - a client as a line of the cache's file, and its results as Postfix has them
 */
#ifndef SMTPD_POSTSCREEN_LINE_H
#define SMTPD_POSTSCREEN_LINE_H

#include "postscreen.h"

enum { LINE_SIZE = 128 }; /* with its LF */

/* "until;until;until;until;until", seconds since 1970 in the order of enum screen_test; what a
 * shorter one leaves out has never been passed. False: it is none. */
bool screen_stamps_parse(struct str text, struct screen_stamps *out);
bool screen_line_is_address(struct str text);

/* False: an empty line, or none. address is a part of the line. */
bool screen_line_parse(struct str line, struct str *address, struct screen_stamps *out);
/* False: it does not fit, which happens with no time that a parameter can say. */
bool screen_line_format(struct str address, const struct screen_stamps *stamps,
                        char line[LINE_SIZE]);
void screen_line_empty(char line[LINE_SIZE]);

#endif
