/* auth_question.h - what authd asks its helpers that check passwords */
#ifndef AUTH_QUESTION_H
#define AUTH_QUESTION_H

#include <stdbool.h>

#include "base/buf.h"

/* Three texts of any bytes; each is preceded by its length and a colon. */
struct auth_question {
    struct str user, plain, stored; /* plain: as the client gave it; stored: "{SCHEME}..." */
};
/* Appends it; ask buf_ok. */
void auth_question_format(const struct auth_question *q, struct buf *out);
/* The texts are parts of bytes. False: it is none. */
bool auth_question_parse(struct str bytes, struct auth_question *q);

#endif
