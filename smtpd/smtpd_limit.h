/* smtpd_limit.h - what one client may do, counted in all processes of the service */
#ifndef SMTPD_SMTPD_LIMIT_H
#define SMTPD_SMTPD_LIMIT_H

#include "service/client_rate.h"

#include "smtpd.h"

/* smtpd_limit.c. Clients of smtpd_client_event_limit_exceptions, and those that may say XCLIENT,
 * since all clients of a proxy come from its address, are not counted. */
void smtpd_open_limits(void);
/* (waits) The session of this client begins. False: it has too many, or has made too many
 * connections lately; it was told so. Call smtpd_limit_leave in both cases. */
bool smtpd_limit_enter(struct smtpd *s);
void smtpd_limit_leave(struct smtpd *s);
/* (waits) The client does this once more, which is counted where there is a limit; connections
 * always, for the statistics. False: too often; it was told so. */
bool smtpd_limit_event(struct smtpd *s, enum client_event event);
/* Has it done this too often already? It is not counted as done. */
bool smtpd_limit_reached(struct smtpd *s, enum client_event event);

/* smtpd_statistics.c: the highest counts and rates, for the log. */
void smtpd_start_statistics(void); /* in the jail */
enum { SMTPD_CONNECTIONS = CLIENT_EVENTS }; /* at a time, beside the rates */
void smtpd_statistics_note(const struct smtpd *s, unsigned what, int64_t n);

#endif
