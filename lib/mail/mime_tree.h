/* mime_tree.h - the parts of a message with their places and sizes, for IMAP. RFC 2045, 2046, 3501
 */
#ifndef MAIL_MIME_TREE_H
#define MAIL_MIME_TREE_H

#include <stdint.h>

#include "base/arena.h"

/*
 * Built while the message streams by. Offsets and sizes are counted in the bytes that came (LF or
 * CR LF); vsize is what they are with CR LF everywhere. A message within a message has one child,
 * the inner message; a multipart has its parts as children. A message that nests deeper, or has
 * more parts, than the limits is not taken apart further there. Header blocks are told apart
 * up to 1 MiB each; what is longer counts in the sizes, but its fields are not looked at.
 */
struct mime_span {
    uint64_t at, size; /* in bytes */
    uint64_t vsize;
    uint64_t lines; /* line ends */
};

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

struct mime_param { /* decoded from RFC 2231 only where asked: raw here */
    struct str name, value;
    struct mime_param *next;
};

/* Header fields as IMAP wants them; a field that is missing has p null. Values of envelope fields
 * are raw (may be folded) but trimmed. */
struct mime_envelope {
    struct str date, subject, from, sender, reply_to, to, cc, bcc, in_reply_to, message_id;
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
};

struct mime_limits {
    size_t depth, parts; /* 0: 100, 10,000 */
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
struct str mime_param_find(const struct mime_param *params, const char *name); /* p null: none */

#endif
