/* takeover.h - reading what other servers keep beside a Maildir. For lib/store alone */
#ifndef STORE_TAKEOVER_H
#define STORE_TAKEOVER_H

#include "store/folder_state.h"

/*
 * Each reads the text of a file into an empty state: uidnext, and a slot for each file name with
 * its uid and, if the text has it, its size. The names are SLOT_BARE; the next merge finds their
 * files. Returns the uidvalidity; 0: the text is not such a file.
 */
uint32_t takeover_dovecot(struct str text, struct state *state); /* dovecot-uidlist, version 1, 3 */
uint32_t takeover_courier(struct str text, struct state *state); /* courierimapuiddb, version 1 */
void takeover_keywords(struct str text, struct state *state); /* dovecot-keywords */

#endif
