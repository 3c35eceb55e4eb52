/* takeover.h - reading what other servers keep beside a Maildir. For lib/store alone */
#ifndef STORE_TAKEOVER_H
#define STORE_TAKEOVER_H

#include "store/folder_state.h"

struct folder;

/*
 * Each reads the text of a file into an empty state: uidnext, and a slot for each file name with
 * its uid and, if the text has it, its size. The names are SLOT_BARE; the next merge finds their
 * files. Returns the uidvalidity; 0: the text is not such a file. In a daemon the first two (wait)
 * now and then.
 */
uint32_t takeover_dovecot(struct str text, struct state *state); /* dovecot-uidlist, version 1, 3 */
uint32_t takeover_courier(struct str text, struct state *state); /* courierimapuiddb, version 1 */
void takeover_keywords(struct str text, struct state *state); /* dovecot-keywords */

/* (waits) A file beside the folder's messages. 1: out has it; 0: there is none, or none of use (not
 * ours to read, too large). -1 and why: it cannot be read now. */
int takeover_read_file(const struct folder *f, const char *name, struct buf *out, struct why *why);

#endif
