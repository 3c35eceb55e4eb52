/* dsn_words.h - texts of delivery reports: built-in ones, and template files, see bounce(5) */
#ifndef MAIL_DSN_WORDS_H
#define MAIL_DSN_WORDS_H

#include "base/arena.h"
#include "base/why.h"
#include "mail/dsn_report.h"

enum { DSN_REPORT_KINDS = DSN_REPORT_STATUS + 1 };

struct dsn_words {
    const char *charset; /* of text */
    const char *from, *subject; /* header fields */
    const char *postmaster_subject; /* of the administrator's copy; null: there is none */
    const char *text; /* for people; may hold $name */
};

const char *dsn_words_name(enum dsn_kind kind); /* "failure", "delay", "success", "verify" */
void dsn_words_builtin(struct dsn_words words[DSN_REPORT_KINDS]); /* Postfix's own */

/*
 * Takes the templates of a file, each from "failure_template = <<EOF" to the line "EOF": fields
 * (Charset, From, Subject, Postmaster-Subject), an empty line, the text. Parts that a
 * template leaves out keep their value in words. Strings live in mem. -1: a template is wrong and
 * was skipped; why describes the first such one.
 */
int dsn_words_parse(struct arena *mem, struct str file, struct dsn_words words[DSN_REPORT_KINDS],
                    struct why *why);
void dsn_words_format(const struct dsn_words words[DSN_REPORT_KINDS],
                      struct buf *out); /* appends */

#endif
