/*
 * tls_server_sni_maps: keys and certificates by the name that a client asks for (SNI), for smtpd
 * and postscreen.
 */
#ifndef SMTPD_SNI_H
#define SMTPD_SNI_H

#include <stdbool.h>

struct buf;
struct tls_info;
struct why;

void sni_open(void); /* before the jail; a trial run looks at all keys and certificates */
bool sni_has_tables(void);
int sni_chain(const char *name, struct buf *pem, struct why *why); /* (waits) net/tls.h: chain_of */
/* If the client asked for a name that the tables do not have; who: "name[address]". */
void sni_log(const struct tls_info *t, const char *who);

#endif
