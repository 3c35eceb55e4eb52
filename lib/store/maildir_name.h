/* maildir_name.h - file names of a Maildir: base, sizes, flags */
#ifndef STORE_MAILDIR_NAME_H
#define STORE_MAILDIR_NAME_H

#include <stdint.h>

#include "base/buf.h"

/*
 * "BASE:2,FLAGS". The base may hold ",S=bytes" and ",W=bytes with CRLF" (Maildir++, Dovecot). Flags
 * are letters, each at most once: D F P R S T, and a to z for the first 26 keywords. Letters are
 * kept as bits: 0 to 25 for a to z, then D F P R S T.
 */
enum {
    KEYWORD_LETTERS = 26,
    LETTER_DRAFT = KEYWORD_LETTERS,
    LETTER_FLAGGED,
    LETTER_PASSED,
    LETTER_REPLIED,
    LETTER_SEEN,
    LETTER_TRASHED,
};

struct maildir_name {
    struct str base; /* the whole name if odd */
    bool bare; /* no ":2," */
    bool odd; /* cannot be put together again from base and letters */
    uint32_t letters;
};

/* False: not the name of a message: hidden, empty, longer than 255 bytes, with a slash, LF or NUL.
 */
bool maildir_name_parse(struct str name, struct maildir_name *out);
/* Of a base; 0: not told. */
uint64_t maildir_name_size(struct str base);
uint64_t maildir_name_vsize(struct str base);
/* Can a file of size bytes have vsize with CRLF? */
bool maildir_size_fits(uint64_t size, uint64_t vsize);
void maildir_name_format(struct str base, bool bare, uint32_t letters, struct buf *out);

/* IMAP flags (enum msg_flag) and keyword bits. */
uint32_t maildir_letters(uint32_t flags, uint64_t keywords);
uint32_t maildir_flags(uint32_t letters);
uint64_t maildir_keywords(uint32_t letters);

#endif
