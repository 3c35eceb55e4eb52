/* smtpd_tls_context.h - TLS for those who connect, as the parameters smtpd_tls_* say */
#ifndef SMTPD_SMTPD_TLS_CONTEXT_H
#define SMTPD_SMTPD_TLS_CONTEXT_H

#include <stdbool.h>

struct tls_context;

/* Before the jail. required: TLS is demanded, so that the mandatory protocols and ciphers hold.
 * level: the parameter that asks for it, for a fault. Null: there is none, as logged. */
struct tls_context *smtpd_tls_context(bool required, const char *level);

#endif
