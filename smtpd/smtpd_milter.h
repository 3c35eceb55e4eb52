/* smtpd_milter.h - mail filters in the session of a client */
#ifndef SMTPD_SMTPD_MILTER_H
#define SMTPD_SMTPD_MILTER_H

#include "base/str.h"

#include "smtpd.h"

/* smtpd_milters, smtpd_milter_maps. Before the jail; smtpd_milter_paths in service.paths. */
void smtpd_open_milters(void);
void smtpd_milter_paths(void);

/* The filters of this client; they are connected at SMTPD_CONNECT. False: a table failed, as
 * logged. */
bool smtpd_begin_milters(struct smtpd *s);
void smtpd_end_milters(struct smtpd *s); /* (waits) says good-bye to them */

/* (waits) The subscriber of smtpd_event. True: a filter has refused; s->denial is set and logged.
 */
bool smtpd_milter_event(struct smtpd *s, enum smtpd_stage stage, const struct smtpd_facts *facts);
/* (waits) Tells filters that asked for it of a recipient whom s->denial refuses. */
void smtpd_milter_refused_rcpt(struct smtpd *s, const struct smtpd_facts *facts);
/* Has a filter refused the whole session? Then s->denial is what to say, to commands of which no
 * filter hears. Not logged. */
bool smtpd_milters_refuse(struct smtpd *s);
/* Sets s->denial to an SMTP reply, "550 5.7.1 text", lines parted by LF. */
void smtpd_deny_as(struct smtpd *s, struct str reply);

/* smtpd_milter_macro.c: the values of macros, a milter_macro_fn; arg is the session. */
const char *smtpd_milter_macro(void *arg, struct str name);
/* The client's name, or "[address]" if it has none. */
const char *smtpd_milter_client(struct smtpd *s);

#endif
