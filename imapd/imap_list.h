/* imap_list.h - what LIST asks for, parsed. RFC 3501 6.3.8, RFC 5258 (LIST-EXTENDED) */
#ifndef IMAP_LIST_H
#define IMAP_LIST_H

#include "imap_parse.h"

enum list_select { /* bits: which folders */
                   LIST_SUBSCRIBED = 1,
                   LIST_SPECIAL_USE = 2, /* RFC 6154 */
                   LIST_REMOTE = 4, /* accepted; there are none */
                   LIST_RECURSIVE =
                       8, /* also parents of such folders that the patterns do not name */
};
enum list_return { /* bits: what is told of them */
                   LIST_GIVE_SUBSCRIBED = 1,
                   LIST_GIVE_CHILDREN = 2,
                   LIST_GIVE_SPECIAL_USE = 4,
                   LIST_GIVE_STATUS = 8, /* RFC 5819 */
};

struct list_request {
    struct str reference;
    struct str *patterns; /* with the reference in front; of a plain LIST there is one */
    size_t n;
    bool extended; /* anything of RFC 5258 was used: other attributes are told */
    unsigned select, give;
    unsigned status; /* imap_take_status_items */
    bool *row; /* room for list_matches: a pattern's length and one more */
    uint64_t steps; /* that list_matches has made */
};

enum { LIST_PATTERNS_MAX = 1000 };

/* Behind "LIST" or "LSUB"; extended: RFC 5258 is allowed. Returns what is wrong, or null. The
 * request lives in the arena of a. */
const char *list_parse(struct imap_args *a, char separator, bool extended,
                       struct list_request *out);
/* Does the name match one of the patterns? "*" is anything, "%" anything but the separator. Takes
 * at most two steps for each byte of the name and each byte of the patterns. */
bool list_matches(struct list_request *l, struct str name, char separator);

/* "(MESSAGES UNSEEN)": bits of the items of STATUS; 0: not understood. RFC 3501 6.3.10 */
unsigned imap_take_status_items(struct imap_args *a);
extern const char *const imap_status_names[]; /* by bit; ends with null */

#endif
