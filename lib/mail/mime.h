/* mime.h - a parser that reports the parts of a message while its bytes pass. RFC 2045, 2046 */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include <stdint.h>

#include "base/arena.h"

/* A position: the bytes and lines before it. bare: number of line ends without CR. */
struct mime_pos {
    uint64_t bytes, lines, bare;
};

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

struct mime_param { /* as written; pieces of RFC 2231 are joined, see mime_params_parse */
    struct str name, value;
    struct mime_param *next;
};
struct mime_type {
    struct str type, subtype; /* as written */
    struct mime_param *params;
};

/*
 * Functions that are called for each part, in this order: begin, field ..., header_end, then bytes
 * ... (of a leaf) or begin ... end for each part inside, then end. A part without its closing
 * boundary ends with the message. Members may be null. value is not unfolded. Text is valid during
 * the call only.
 */
struct mime_handler {
    void (*begin)(void *self, bool is_message, const struct mime_pos *at);
    void (*field)(void *self, struct str name, struct str value);
    /* type lives in the arena. */
    void (*header_end)(void *self, enum mime_kind kind, const struct mime_type *type,
                       const struct mime_pos *at);
    void (*bytes)(void *self, struct str bytes);
    /* at may be before the position of header_end: then the part has no body, and the last line end
     * of its header belongs to the boundary that follows. */
    void (*end)(void *self, const struct mime_pos *at);
    /* Of a header block, what is behind limits.header is not read: once for each, after the field
     * that is cut. */
    void (*header_cut)(void *self);
};

/* Parts that are nested deeper, or beyond this number, are not reported: they count as text of the
 * part around them. So do those that follow when what is kept of the others takes 32 MiB of the
 * arena. Of a header block only the first header bytes are read. */
struct mime_limits {
    size_t depth, parts, header; /* 0: 100, 10,000, 1 MiB */
};

struct mime_walk;
struct mime_walk *mime_walk_new(struct arena *mem, const struct mime_limits *limits,
                                const struct mime_handler *handler, void *self);
void mime_walk_put(struct mime_walk *w, struct str bytes);
void mime_walk_end(struct mime_walk *w); /* the last calls; frees w */

enum { MIME_PARAMS_MAX = 200 };

/* Parses the value of Content-Type, which may be folded. False: it has no type/subtype. */
bool mime_type_parse(struct arena *mem, struct str value, struct mime_type *out);
/*
 * Parses "; name=value; ...", the parameters of Content-Type or Content-Disposition. Pieces of RFC
 * 2231 3 (name*0=, name*1=) are joined to one parameter. It is called "name*" if a piece is
 * encoded; its value is then charset'language'percent-encoded. At most MIME_PARAMS_MAX parameters
 * are read; of what stands behind them nothing is.
 */
struct mime_param *mime_params_parse(struct arena *mem, struct str text);
struct str mime_param_find(const struct mime_param *params, const char *name); /* p null: none */
/* Cuts a token off the start of *text, with comments and blanks before it (RFC 2045 5.1). It may be
 * empty. */
struct str mime_token(struct str *text);
void mime_skip_comments(struct str *text); /* also blanks and line ends */

#endif
