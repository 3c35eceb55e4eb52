/* rules.h - the format that regexp, pcre and cidr tables share: lines, if/endif, "!" and $1 */
#ifndef DICT_RULES_H
#define DICT_RULES_H

#include "dict/dict.h"

/* Positions of the groups of a match in the subject; group 0 is the whole match. */
struct rules_span {
    size_t start, end; /* start > the subject's length: this group took no part */
};
enum { RULES_GROUPS = 100 };
struct rules_hit {
    struct rules_span at[RULES_GROUPS];
    size_t n; /* before: $n is the last that is asked for, 0 if none is */
};

/* RULES_OTHER: neither the pattern nor its negation applies, as for IPv6 and an IPv4 network, or
 * where the second pattern of a rule does not. */
enum rules_answer { RULES_NO, RULES_YES, RULES_OTHER, RULES_BROKEN };

/* Where a pattern stands: before a result, there behind a "!", or behind an IF, where a second one
 * is no part of it. */
enum rules_place { RULES_PLAIN, RULES_NEGATED, RULES_IF };

struct rules_kind {
    const char *name; /* "pcre", for messages */
    bool groups; /* $1 stands for a group; else the text is used as written */
    /* Compiles the pattern at the start of *rest ("/x/i", "10.0.0.0/8") and cuts it off. Null: why
     * says what is wrong, and the rule is skipped. */
    void *(*compile)(struct str *rest, enum rules_place place, size_t *groups, struct why *why);
    /* subject is the argument of rules_find */
    enum rules_answer (*match)(void *pattern, const void *subject, struct rules_hit *hit,
                               struct why *why);
    void (*free)(void *pattern);
};

/* Cuts off what may stand before a pattern, each "!" and blanks. True: it is negated. */
bool rules_negation(struct str *rest);

struct rules;

/*
 * The rules of a table. arg is the name of a file of at most 64 MiB, which d then watches, or the
 * rules themselves: "{ {rule}, {rule} }". Null: why says why they cannot be read. A line that is
 * wrong is skipped, with a warning that names file and line. DICT_NO_GROUPS in flags: $1 is not
 * allowed; DICT_FILE_VALUES: results are names of files.
 */
struct rules *rules_open(struct dict *d, const struct rules_kind *kind, const char *arg,
                         unsigned flags, struct why *why);
/* Writes the text of the first rule that matches to value, with groups replaced. DICT_FAILED: a
 * pattern reached its limit of time or memory; why names the line. */
enum dict_answer rules_find(struct rules *r, struct str key, const void *subject, struct buf *value,
                            struct why *why);
void rules_values(const struct rules *r, dict_value_fn *fn, void *arg); /* the texts of all rules */
void rules_free(struct rules **r);

#endif
