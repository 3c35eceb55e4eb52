/* report_words.h - the words of delivery reports as main.cf wants them: bounce_template_file */
#ifndef QUEUE_REPORT_WORDS_H
#define QUEUE_REPORT_WORDS_H

#include "mail/dsn_words.h"

/* The built-in words, and what the file says instead (path empty: no file). Strings live in mem.
 * -1: the file cannot be read, or some of it is wrong; words are good in any case. */
int report_words_load(const char *path, struct arena *mem, struct dsn_words words[DSN_REPORT_KINDS],
                      struct why *why);
/*
 * Appends a text with parameters in the place of $name. Of a time parameter x, $x_seconds,
 * $x_minutes, $x_hours, $x_days and $x_weeks stand for a whole number of these.
 */
void report_words_expand(const char *text, struct buf *out);

#endif
