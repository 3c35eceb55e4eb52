/* imap_criteria.h - the keys of SEARCH as a tree. RFC 3501 6.4.4 */
#ifndef IMAP_CRITERIA_H
#define IMAP_CRITERIA_H

#include "store/search.h"

#include "imap_parse.h"

enum criteria { CRITERIA_OK, CRITERIA_BAD, CRITERIA_BADCHARSET };
enum { CRITERIA_DEPTH = 100 }; /* of lists and of NOT and OR in turns; the task's stack is small */

struct criteria_context {
    uint32_t star_number, star_uid; /* what * stands for */
    size_t set_limit; /* ranges in a set */
    size_t key_limit;
};

/* Everything behind "SEARCH ": maybe CHARSET, then keys that must all match. The tree lives in the
 * arena of a, but for its sets: criteria_free. error: a text for the client. */
enum criteria criteria_parse(struct imap_args *a, const struct criteria_context *context,
                             struct search_key **out, const char **error);
void criteria_free(struct search_key *key);

#endif
