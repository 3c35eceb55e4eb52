/* password_hash.h - HMAC-MD5 states and PBKDF2, for password.c */
#ifndef AUTH_PASSWORD_HASH_H
#define AUTH_PASSWORD_HASH_H

#include "base/buf.h"

/*
 * The form in which {CRAM-MD5} passwords are stored: the state of MD5 after the outer and after the
 * inner padded key (RFC 2195, RFC 2104 4), each as four little-endian words.
 */
enum { HMAC_MD5_STATE = 32 };
void hmac_md5_state(struct str key, unsigned char state[HMAC_MD5_STATE]);
void hmac_md5_from_state(const unsigned char state[HMAC_MD5_STATE], struct str text,
                         unsigned char mac[16]);

/* PBKDF2 with HMAC-SHA1, written "$1$salt$rounds$hex". False: malformed, or too many rounds. */
bool pbkdf2_check(struct str plain, struct str stored, bool *same);
bool pbkdf2_make(struct str plain, struct buf *out);

#endif
