/* flush_client.h - which messages wait for a site: fast flush, for ETRN (RFC 1985) */
#ifndef QUEUE_FLUSH_CLIENT_H
#define QUEUE_FLUSH_CLIENT_H

#include "base/why.h"

/*
 * flush(8) keeps a list of queue ids for each domain of fast_flush_domains. qmgr adds messages that
 * are put off; smtpd asks that all of a domain are tried now.
 */
enum flush_answer {
    FLUSH_STARTED,
    FLUSH_NOT_SERVED, /* the domain is not among fast_flush_domains */
    FLUSH_REFUSED, /* flush could not do it */
    FLUSH_DOWN, /* it cannot be reached */
};

void flush_open(void); /* fast_flush_domains; before the jail */
bool flush_serves(const char *site); /* false also if a table fails */
/* (waits) For smtpd. */
enum flush_answer flush_site(const char *site, struct why *why);
/* (waits) For qmgr: the message waits for the domain of this address. Nothing is done if that is
 * not served; a failure costs a warning: the message is still tried at its own time. */
void flush_add(const char *address, const char *queue_id);

#endif
