/* search_text.h - finding a text in header fields and bodies. For lib/store alone */
#ifndef STORE_SEARCH_TEXT_H
#define STORE_SEARCH_TEXT_H

#include "base/arena.h"
#include "mail/mime.h"
#include "store/search.h"

struct mime_part;

/* Needles are case-folded; all functions compare without case. */
struct search_needles {
    struct arena *mem;
};
/* A copy of the tree with the texts folded; it lives until search_needles_free. */
struct search_key *search_fold(const struct search_key *key, struct search_needles *needles);
void search_needles_free(struct search_needles *needles);
struct str search_needle(const struct search_key *key);
bool search_is_ascii(struct str needle);

/* A message that was read. */
struct search_message {
    struct buf bytes;
    bool is_read; /* bytes is all of it */
    bool has_header; /* bytes is at least the header */
    struct arena *mem;
    struct mime_limits limits; /* zeros: the defaults */
    const struct mime_part *root; /* null until it is needed */
    struct buf decoded, utf8, folded; /* scratch */
};
void search_message_init(struct search_message *m);
void search_message_clear(struct search_message *m); /* ready for the next one */
void search_message_free(struct search_message *m);

struct str search_header(const struct search_message *m); /* the header block */
/* Finds the next field of that name from *at on, and moves *at behind it. False: there is none. */
bool search_field(struct str fields, struct str name, size_t *at, struct str *value);
/* (waits) key: SEARCH_HEADER. As the text is shown: unfolded, blanks in a row are one, also in the
 * needle. fields must stay where they are. */
bool search_in_fields(struct str fields, const struct search_key *key);
/* (waits) Whole fields, with their names. header must stay where it is. */
bool search_in_header(struct str header, struct str needle);
bool search_in_body(struct search_message *m, struct str needle); /* (waits) */

/* BODYSTRUCTURE tells of base64 and the like, or of a charset that is not based on ASCII. */
bool search_is_encoded(struct str structure);
/* A quick test that avoids decoding: false if the bytes certainly hold neither the ASCII needle
 * (line ends may interrupt it) nor an encoded word. */
bool search_raw(struct str bytes, struct str needle);

#endif
