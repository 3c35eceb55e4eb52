/* password.h - stored passwords: "{SCHEME}data" as Dovecot and crypt(3) have them */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include "base/why.h"

/*
 * Schemes: CRYPT and the names of its kinds (DES-CRYPT MD5-CRYPT SHA256-CRYPT SHA512-CRYPT
 * BLF-CRYPT; whatever crypt(3) of this system knows, so yescrypt too, and ARGON2I/ARGON2ID if it
 * does), PLAIN CLEAR CLEARTEXT, SHA SHA1 SHA256 SHA512, SSHA SSHA256 SSHA512, SMD5 PLAIN-MD5
 * LDAP-MD5 DIGEST-MD5, CRAM-MD5 HMAC-MD5, PBKDF2. "{SCHEME.b64}", ".base64" and ".hex" say how the
 * data is written. Without a scheme in braces it is of default_scheme, except that "$1$..." and the
 * like are always CRYPT.
 */
enum password_answer {
    PASSWORD_MATCH,
    PASSWORD_MISMATCH,
    PASSWORD_UNKNOWN, /* unknown scheme or malformed hash: the login fails, and the log says so */
};

/* Compares plain with stored, in a time that does not tell where they differ. May take seconds, see
 * password_is_slow. user is needed for DIGEST-MD5. */
enum password_answer password_check(struct str user, struct str plain, struct str stored,
                                    const char *default_scheme, struct why *why);
bool password_is_scheme(const char *name); /* without braces; may have .b64, .base64 or .hex */
/* Is the scheme known, and its data decodable? -1: nobody can log in with it, and why says why. */
int password_understood(struct str stored, const char *default_scheme, struct why *why);
/* True if the check takes too long for the loop of a daemon: do it in a helper process. */
bool password_is_slow(struct str stored, const char *default_scheme);

/* Appends the password if it is stored in clear, for mechanisms that need it. False: it is not. */
bool password_plain(struct str stored, const char *default_scheme, struct buf *plain);
/* Writes the HMAC-MD5 of text with the password as key (16 bytes) to mac. False: the password is
 * stored neither in clear nor as {CRAM-MD5}. */
bool password_cram_md5(struct str stored, const char *default_scheme, struct str text,
                       unsigned char *mac);

/* Appends "{SCHEME}data" for a new password, with a fresh salt. -1: unknown scheme. */
int password_make(const char *scheme, struct str user, struct str plain, struct buf *out,
                  struct why *why);

#endif
