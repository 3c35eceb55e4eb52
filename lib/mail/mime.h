/* mime.h - walking through a message as it streams by: parts, headers, bodies. RFC 2045, 2046 */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include <stdint.h>

#include "base/arena.h"

/* Where the walk is: all that came before. bare: line ends without CR. */
struct mime_pos {
    uint64_t bytes, lines, bare;
};

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

struct mime_param { /* as written; RFC 2231 pieces are put together, see mime_params_parse */
    struct str name, value;
    struct mime_param *next;
};
struct mime_type {
    struct str type, subtype; /* as written */
    struct mime_param *params;
};

/*
 * Told in order: begin, field ..., header_end, [bytes ... of a leaf | begin ... end of the
 * parts inside], end. A part that is not ended by its boundary ends with the message. Null members
 * are not called. In value, lines are folded as they came; text is valid during the call.
 */
struct mime_handler {
    void (*begin)(void *self, bool is_message, const struct mime_pos *at);
    void (*field)(void *self, struct str name, struct str value);
    /* type lives in the arena. */
    void (*header_end)(void *self, enum mime_kind kind, const struct mime_type *type,
                       const struct mime_pos *at);
    void (*bytes)(void *self, struct str bytes);
    /* at may lie before the place that header_end told: the part has no body, and the last line end
     * of its header belongs to the boundary behind it. */
    void (*end)(void *self, const struct mime_pos *at);
};

/* A message that nests deeper, or has more parts, is not taken apart further there. Of a header
 * block only the first header bytes are looked at. */
struct mime_limits {
    size_t depth, parts, header; /* 0: 100, 10,000, 1 MiB */
};

struct mime_walk;
struct mime_walk *mime_walk_new(struct arena *mem, const struct mime_limits *limits,
                                const struct mime_handler *handler, void *self);
void mime_walk_put(struct mime_walk *w, struct str bytes);
void mime_walk_end(struct mime_walk *w); /* the rest of the events; w is gone */

/* The value of Content-Type (folded or not). False: no type/subtype. */
bool mime_type_parse(struct arena *mem, struct str value, struct mime_type *out);
/*
 * "; name=value; ..." behind the first word of Content-Type or Content-Disposition. Pieces
 * of RFC 2231 3 (name*0=, name*1=) become one parameter, called "name*" if a piece is encoded: then
 * its value is charset'language'percent-encoded. At most 100 parameters are read.
 */
struct mime_param *mime_params_parse(struct arena *mem, struct str text);
struct str mime_param_find(const struct mime_param *params, const char *name); /* p null: none */
/* A token at the start of *text, after comments and blanks (RFC 2045 5.1); cut off. May be empty.
 */
struct str mime_token(struct str *text);
void mime_skip_comments(struct str *text); /* blanks, line ends, (nested comments) */

#endif
