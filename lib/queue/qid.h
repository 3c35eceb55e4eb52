/* qid.h - queue ids, as Postfix makes them */
#ifndef QUEUE_QID_H
#define QUEUE_QID_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

#define QID_MAX 40 /* letters of an id, at most */

/*
 * Short: microseconds in 5 hex digits, then the inode number in hex: "32C18A72236". Unique as long
 * as the file exists, and may be used again later. Long (enable_long_queue_ids): seconds (6) and
 * microseconds (4) to the base 52, "z", inode to the base 51: "4ZKrLq1y5Zz3Lg1". Never used twice.
 */
void qid_short(struct buf *id, int64_t wall_us, ino_t inode); /* both clear id first */
void qid_long(struct buf *id, int64_t wall_us, ino_t inode);
bool qid_valid(struct str id); /* letters and digits, 6 to QID_MAX of them */
bool qid_is_long(struct str id);
bool qid_inode(struct str id, uint64_t *inode); /* the inode that the name was made for */

/* The hash directories of an id: "A/B/" for depth 2. Those of a long id come from its microseconds.
 */
void qid_hash(struct str id, unsigned depth, struct buf *out);

#endif
