/* rules.h - tables of patterns: the lines, if/endif, "!" and $1 that regexp, pcre and cidr share */
#ifndef DICT_RULES_H
#define DICT_RULES_H

#include "dict/dict.h"

/* Where the groups of a match stand in the subject; 0 is the whole. */
struct rules_span {
    size_t start, end; /* start > the subject's length: this group took no part */
};
enum { RULES_GROUPS = 100 };
struct rules_hit {
    struct rules_span at[RULES_GROUPS];
    size_t n;
};

/* RULES_OTHER: the subject is of a kind that neither the pattern nor its negation speaks of. */
enum rules_answer { RULES_NO, RULES_YES, RULES_OTHER, RULES_BROKEN };

struct rules_kind {
    const char *name; /* "pcre", for messages */
    bool groups; /* $1 means something; else the text is taken as it is */
    /* Compiles what stands at the start of *rest ("/x/i", "10.0.0.0/8") and cuts it off. Null: why
     * says what is wrong with it, and the rule is left out. */
    void *(*compile)(struct str *rest, size_t *groups, struct why *why);
    /* subject is what prepare made of the key */
    enum rules_answer (*match)(void *pattern, const void *subject, struct rules_hit *hit,
                               struct why *why);
    void (*free)(void *pattern);
};

struct rules;

/*
 * Reads the text of a table's rules: of the file arg, which d then watches, or arg itself is
 * "{ {rule}, {rule} }", a rule a line. -1: why says what is wrong with the file or the braces.
 */
int rules_read(struct dict *d, const char *arg, struct buf *text, struct why *why);
/* Never fails: a line that is wrong is left out with a warning that names path and line. */
struct rules *rules_load(const struct rules_kind *kind, const char *path, struct str text,
                         bool no_substitution);
/* The first rule that matches gives the text, with the groups of key filled in. DICT_FAILED: a
 * pattern could not be tried to its end (limits); why names the line. */
enum dict_answer rules_find(struct rules *r, struct str key, const void *subject, struct buf *value,
                            struct why *why);
void rules_free(struct rules **r);

#endif
