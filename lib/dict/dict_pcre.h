/* dict_pcre.h - patterns of PCRE2 with limits, for pcre: tables and regexp: tables */
#ifndef DICT_DICT_PCRE_H
#define DICT_DICT_PCRE_H

#include "dict/rules.h"

/* Before the first pattern of a table and after the last: what matching needs, once per process. */
void pcre_get(void);
void pcre_put(void);

enum pcre_flag {
    PCRE_ANY_CASE = 1,
    PCRE_LINES = 2, /* ^ and $ at each line, no newline in "." */
    PCRE_NO_GROUPS = 4, /* only where the whole match stands; it costs less */
};
/* Null: why says what is wrong. */
void *pcre_compile(struct str pattern, unsigned flags, size_t *groups, struct why *why);
/* RULES_BROKEN: pcre_match_limit or pcre_heap_limit was reached; why. */
enum rules_answer pcre_match(void *pattern, struct str subject, struct rules_hit *hit,
                             struct why *why);
void pcre_free(void *pattern);

#endif
