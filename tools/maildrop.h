/* maildrop.h - handing a message to postdrop, record by record: for sendmail */
#ifndef TOOLS_MAILDROP_H
#define TOOLS_MAILDROP_H

#include "base/buf.h"
#include "queue/qrec.h"

/*
 * Runs command_directory/postdrop with a pipe. Writes stick; maildrop_commit gives the exit status
 * of sysexits.h, and what postdrop said of it: 0 when the message is on stable storage, and the
 * name of its file in maildrop.
 */
struct maildrop;
struct maildrop *maildrop_begin(void);
void maildrop_put(struct maildrop *d, enum rec type, struct str body);
void maildrop_line(struct maildrop *d, struct str line); /* of content, without its end */
int maildrop_commit(struct maildrop **d, struct buf *text);
void maildrop_abort(struct maildrop **d);

#endif
