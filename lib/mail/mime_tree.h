/* mime_tree.h - the tree of a message's parts, with positions and sizes, for IMAP. RFC 2045, 2046,
 * 3501 */
#ifndef MAIL_MIME_TREE_H
#define MAIL_MIME_TREE_H

#include <stdint.h>

#include "mail/mime.h"

/*
 * Built while the bytes of the message pass. Positions and sizes count the bytes as they are (LF or
 * CR LF); vsize is the size with CR LF everywhere. A message/rfc822 part has one child, the inner
 * message; a multipart has its parts as children. Beyond the limits of depth and number, parts are
 * not told apart. Of a header block, limits.header bytes are read; fields behind them count in the
 * sizes, but are not in the tree, and header_cut says so.
 */
struct mime_span {
    uint64_t at, size; /* in bytes */
    uint64_t vsize;
    uint64_t lines; /* line ends */
};

/* Header fields for ENVELOPE. p is null if a field is missing. Values are not unfolded. Of several
 * fields with one name the last one counts; for addresses all are joined to one list. */
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
    bool header_cut; /* its header is longer than limits.header */
    bool is_mime; /* has MIME-Version or Content-Type, or is part of a multipart */
};

struct mime_builder;
struct mime_builder *mime_builder_new(struct arena *mem, const struct mime_limits *limits);
void mime_builder_put(struct mime_builder *b, struct str bytes);
/* Ends the message, frees b, and returns the root, which lives in the arena. */
struct mime_part *mime_builder_end(struct mime_builder *b);

/* A whole message at once. */
struct mime_part *mime_tree_parse(struct arena *mem, const struct mime_limits *limits,
                                  struct str message);

/*
 * Finds the part of BODY[1.2.3], with path {1, 2, 3} and depth 3. Part 1 of a message that is not a
 * multipart is its body. depth 0: the root. Null: there is no such part.
 */
const struct mime_part *mime_tree_find(const struct mime_part *root, const uint32_t *path,
                                       size_t depth);

#endif
