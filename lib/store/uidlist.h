/* uidlist.h - dovecot-uidlist beside the journal, for hosts that go back to Dovecot. For lib/store
 */
#ifndef STORE_UIDLIST_H
#define STORE_UIDLIST_H

#include "store/folder.h"

/*
 * A folder that was taken over from Dovecot keeps dovecot-uidlist up to date: a line for each
 * message that is added, all of it anew at a checkpoint. So Dovecot goes on with the same numbers.
 * The journal has a mark (inode, size, sum of the head) of the file as it was written last; if the
 * file is another one, Dovecot was here, or a copy of the mailbox was brought: it is read again.
 * All functions but uidlist_wanted are called under the folder's lock.
 */
bool uidlist_wanted(const struct folder *f); /* there is one, or INBOX of the same store has one */
bool uidlist_changed(const struct folder *f); /* not as the mark says; false if it cannot be told */
/* (waits) What is in the file, as slots of list, and its uidvalidity; 0: there is none, or it is
 * not one. -1 and why: it cannot be read now. */
int uidlist_read(const struct folder *f, struct state *list, uint32_t *uidvalidity,
                 struct why *why);
/* (waits) Loaded: the file is written anew, and the mark set in the state (not in the journal). */
void uidlist_write(struct folder *f);
/* The lines for the messages that the records in out add. */
void uidlist_lines(struct str out, struct buf *lines);
/* Behind what mark says was written; does nothing if the file is another one. */
void uidlist_append(const struct folder *f, struct str lines, const struct journal_list *mark);

#endif
