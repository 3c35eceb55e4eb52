/* sasl_mechs.h - the functions of each mechanism. Used by the table in sasl.c only */
#ifndef AUTH_SASL_MECHS_H
#define AUTH_SASL_MECHS_H

#include "auth/sasl.h"

/*
 * The functions of struct sasl_mech. _server takes what the client has sent and appends the next
 * challenge to out; _client takes a challenge and appends the answer. _secret decides, after
 * SASL_SECRET, with what passdb has stored for the user: SASL_OK or SASL_BAD.
 */
/* PLAIN (RFC 4616), and LOGIN, which asks for user and password one after the other. */
enum sasl_step sasl_plain_server(struct sasl_server *s, struct str in, struct buf *out);
enum sasl_step sasl_plain_client(struct sasl_client *c, struct str in, struct buf *out);
enum sasl_step sasl_login_server(struct sasl_server *s, struct str in, struct buf *out);
enum sasl_step sasl_login_client(struct sasl_client *c, struct str in, struct buf *out);

/* CRAM-MD5: RFC 2195. */
enum sasl_step sasl_cram_server(struct sasl_server *s, struct str in, struct buf *out);
enum sasl_step sasl_cram_secret(struct sasl_server *s, struct str stored,
                                const char *default_scheme);
enum sasl_step sasl_cram_client(struct sasl_client *c, struct str in, struct buf *out);

/* APOP: RFC 1939 7. The server has sent its stamp in the greeting of POP3. */
enum sasl_step sasl_apop_server(struct sasl_server *s, struct str in, struct buf *out);
enum sasl_step sasl_apop_secret(struct sasl_server *s, struct str stored,
                                const char *default_scheme);

#endif
