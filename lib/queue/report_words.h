/* report_words.h - the words of delivery reports as main.cf wants them: bounce_template_file */
#ifndef QUEUE_REPORT_WORDS_H
#define QUEUE_REPORT_WORDS_H

#include "mail/dsn_words.h"

/* The built-in words, and what the file says instead (path empty: no file). Strings live in mem. -1
 * and why: the file cannot be read, or a part of it is wrong and was skipped. words can be used in
 * any case. */
int report_words_load(const char *path, struct arena *mem, struct dsn_words words[DSN_REPORT_KINDS],
                      struct why *why);
/*
 * Appends a text with parameters in the place of $name. For a time parameter x, $x_seconds,
 * $x_minutes, $x_hours, $x_days and $x_weeks are replaced by its value as a whole number of that
 * unit.
 */
void report_words_expand(const char *text, struct buf *out);

/* Appends the sender of letters to postmasters, which can be told apart, so that they make no loop:
 * double_bounce_sender, at this host if it has no domain. */
void report_double_bounce(const char *host, struct buf *out);

#endif
