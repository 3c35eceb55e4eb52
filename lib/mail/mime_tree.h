/* mime_tree.h - the parts of a message with their places and sizes, for IMAP. RFC 2045, 2046, 3501
 */
#ifndef MAIL_MIME_TREE_H
#define MAIL_MIME_TREE_H

#include <stdint.h>

#include "mail/mime.h"

/*
 * Built while the message streams by. Offsets and sizes are counted in the bytes that came (LF or
 * CR LF); vsize is what they are with CR LF everywhere. A message within a message has one child,
 * the inner message; a multipart has its parts as children. A message that nests deeper, or has
 * more parts, than the limits is not taken apart further there. Header blocks are told apart
 * up to limits.header each; what is longer counts in the sizes, but its fields are not looked at.
 */
struct mime_span {
    uint64_t at, size; /* in bytes */
    uint64_t vsize;
    uint64_t lines; /* line ends */
};

/* Header fields as IMAP wants them; a field that is missing has p null. Values are raw (may be
 * folded). Of several fields of one name the last one counts, but addresses are one list. */
struct mime_values {
    struct str value;
    struct mime_values *next;
};
struct mime_envelope {
    struct str date, subject, in_reply_to, message_id;
    struct mime_values *from, *sender, *reply_to, *to, *cc, *bcc;
};

struct mime_part {
    struct mime_part *parent, *child, *next;
    enum mime_kind kind;
    bool is_message; /* the root, or the child of a MIME_MESSAGE: it has an envelope */
    struct mime_span header; /* with the empty line that ends it */
    struct mime_span body; /* without the line end before a boundary */
    struct str type, subtype; /* as written; defaults are filled in */
    struct mime_param *params;
    struct str id, description, encoding, md5; /* p null: no such field */
    struct str disposition; /* its first word */
    struct mime_param *disposition_params;
    struct str language[8]; /* RFC 3282 */
    size_t languages;
    struct str location;
    struct mime_envelope *envelope; /* if is_message */
    bool is_mime; /* has MIME-Version or Content-Type, or is part of a multipart */
};

struct mime_builder;
struct mime_builder *mime_builder_new(struct arena *mem, const struct mime_limits *limits);
void mime_builder_put(struct mime_builder *b, struct str bytes);
/* Ends the message and returns the root; it lives in the arena. b is gone. */
struct mime_part *mime_builder_end(struct mime_builder *b);

/* A whole message at once. */
struct mime_part *mime_tree_parse(struct arena *mem, const struct mime_limits *limits,
                                  struct str message);

/*
 * The part of BODY[1.2.3]: numbers count from 1. Part 1 of a message that is not multipart is its
 * body. Null: no such part. depth 0 gives the root.
 */
const struct mime_part *mime_tree_find(const struct mime_part *root, const uint32_t *path,
                                       size_t depth);

#endif
