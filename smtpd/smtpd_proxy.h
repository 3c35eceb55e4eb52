/* smtpd_proxy.h - the before-queue filter: smtpd_proxy_filter takes mail in the place of cleanup */
#ifndef SMTPD_SMTPD_PROXY_H
#define SMTPD_SMTPD_PROXY_H

#include "smtpd.h"

/*
 * The filter gets our own EHLO, XFORWARD, DATA and QUIT, and the client's MAIL and RCPT as they
 * came, one message a connection, without pipelining (SMTPD_PROXY_README of Postfix). What it says
 * to the end of the content is what the client is told; only then is the mail taken. A filter that
 * fails is a 451: strangers learn nothing of it.
 *
 * smtpd_proxy_options = speed_adjust: it is connected when the content is there. We have no files:
 * content of more than smtpd_proxy_hold_limit bytes is passed on from then on as it comes.
 */
void smtpd_open_proxy(void);
void smtpd_proxy_paths(void); /* before the jail */
bool smtpd_has_proxy(void);

/* Commands that we have accepted, as they came. (waits) */
void smtpd_proxy_mail(struct smtpd *s);
bool smtpd_proxy_rcpt(struct smtpd *s); /* false: refused, and replied */
bool smtpd_proxy_data(struct smtpd *s); /* the same; before our own 354 */
/* Content; a piece of a line, or its end. A failure is told by smtpd_proxy_end. (waits) */
void smtpd_proxy_put(struct smtpd *s, struct str piece, bool ends);
void smtpd_proxy_end(struct smtpd *s); /* (waits) the end of the content, and the reply */
/* (waits) Ends the connection; a message that was begun and not ended is thrown away. */
void smtpd_proxy_close(struct smtpd_mail *m);

#endif
