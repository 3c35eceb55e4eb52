/* smtpd_filter.h - what smtpd and postscreen both do with parameters of theirs */
#ifndef SMTPD_SMTPD_FILTER_H
#define SMTPD_SMTPD_FILTER_H

#include "base/buf.h"

/* Is it a word of another protocol, by a list such as smtpd_forbidden_commands, or a header field
 * ("Subject:")? Patterns in the list other than the default one are not looked at. */
bool smtpd_filter_forbids(const char *list, struct str verb);

/* Appends the characters of smtpd_expansion_filter: "\t", "\40" and so on stand for what they are
 * in C. */
void smtpd_filter_unescape(const char *text, struct buf *out);

/* $localtime of a reject footer: "Dec 01 02:20:35", as Postfix has it. */
enum { SMTPD_FOOTER_TIME = 40 };
void smtpd_filter_time(char text[SMTPD_FOOTER_TIME]);

#endif
