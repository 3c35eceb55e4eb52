/* maildrop.h - handing a message to postdrop, record by record: for sendmail */
#ifndef TOOLS_MAILDROP_H
#define TOOLS_MAILDROP_H

#include "base/buf.h"
#include "queue/qrec.h"

/*
 * Runs command_directory/postdrop with a pipe. A failed write sticks. maildrop_commit returns an
 * exit status of sysexits.h and the text that postdrop printed: 0 and the name of its file in
 * maildrop if the message is on stable storage, else an error message.
 */
struct maildrop;
struct maildrop *maildrop_begin(void);
void maildrop_put(struct maildrop *d, enum rec type, struct str body);
void maildrop_line(struct maildrop *d, struct str line); /* of content, without its end */
int maildrop_commit(struct maildrop **d, struct buf *text);
void maildrop_abort(struct maildrop **d);

#endif
