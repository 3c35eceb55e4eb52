/* conf_lines.h - logical lines of main.cf, master.cf and lookup table sources, with positions */
#ifndef CONF_CONF_LINES_H
#define CONF_CONF_LINES_H

#include "base/buf.h"

/*
 * Empty lines, lines of white space, and lines whose first visible character is '#' are skipped,
 * also between a line and its continuation. A line that begins with white space continues the
 * one before it: the line end between them is dropped, the white space stays.
 */
struct conf_lines {
    struct str rest; /* borrowed */
    unsigned line; /* physical lines read */
};
#define CONF_LINES(text) ((struct conf_lines){(text), 0})

/* The next logical line, without white space at its end; false at the end. If the first line of a
 * file begins with white space, it is returned as it is; the caller decides what to do with it.
 * first and last (may be null) count from 1. */
bool conf_lines_next(struct conf_lines *l, struct buf *line, unsigned *first, unsigned *last);

/* Splits "name = value" at the first '=' and drops white space around both parts, which point into
 * line. Returns null, or a text that says what is wrong. */
const char *conf_split_setting(struct str line, struct str *name, struct str *value);

/* s begins with '{': the length up to and including the matching brace, or 0 if there is none. */
size_t conf_braces(struct str s);

#endif
