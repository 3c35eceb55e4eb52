/* dict_make.h - the source text of tables: logical lines, "key value" and alias entries */
#ifndef DICT_DICT_MAKE_H
#define DICT_DICT_MAKE_H

#include "dict/dict.h"

/*
 * Logical lines: a line that begins with a blank continues the one before; lines that are empty or
 * whose first character is "#" are left out, also between a line and its continuation. A zero byte
 * ends its logical line. number is that of the first physical line.
 */
typedef void logical_line_fn(void *arg, struct str line, int number);
void logical_lines(struct str text, logical_line_fn *fn, void *arg);

enum source { SOURCE_MAP, /* key value */ SOURCE_ALIASES /* key: value, value */ };

/* Calls fn for each entry of a source text. A line that is not an entry is skipped, with a warning
 * that names path and line. If fn returns false, reading ends. */
typedef bool source_entry_fn(void *arg, const char *key, const char *value, int number);
bool source_read(enum source kind, const char *path, struct str text, source_entry_fn *fn,
                 void *arg);

/* Parses one line "key value" or "key: value". -1: why says what is wrong. A line that is only
 * doubtful (alias format in a map) returns 0 and sets why as a warning. */
int source_entry(enum source kind, struct str line, struct buf *key, struct buf *value,
                 struct why *why);

/* Puts all entries of a source text into an open table. Alias tables get the additional keys that
 * Sendmail and NIS expect ("@", YP_LAST_MODIFIED, YP_MASTER_NAME). With DICT_FILE_VALUES the values
 * are names of files. */
int dict_make(struct dict *d, enum source kind, const char *path, struct str text, struct why *why);

/* Appends the contents of the files in names (separated by commas or blanks), joined with newlines,
 * in base64. -1: why. */
int dict_file_value(const char *names, struct buf *base64, struct why *why);

#endif
