/* sasl_mechs.h - the functions of each mechanism. Used by the table in sasl.c only */
#ifndef AUTH_SASL_MECHS_H
#define AUTH_SASL_MECHS_H

#include "auth/sasl.h"

enum sasl_step sasl_plain_server(struct sasl_server *s, struct str in, struct buf *out);
enum sasl_step sasl_plain_client(struct sasl_client *c, struct str in, struct buf *out);
enum sasl_step sasl_login_server(struct sasl_server *s, struct str in, struct buf *out);
enum sasl_step sasl_login_client(struct sasl_client *c, struct str in, struct buf *out);

enum sasl_step sasl_cram_server(struct sasl_server *s, struct str in, struct buf *out);
enum sasl_step sasl_cram_secret(struct sasl_server *s, struct str stored,
                                const char *default_scheme);
enum sasl_step sasl_cram_client(struct sasl_client *c, struct str in, struct buf *out);

enum sasl_step sasl_apop_server(struct sasl_server *s, struct str in, struct buf *out);
enum sasl_step sasl_apop_secret(struct sasl_server *s, struct str stored,
                                const char *default_scheme);

#endif
