/* why.h - the error type of all modules: a delivery status code and a text */
#ifndef BASE_WHY_H
#define BASE_WHY_H

#include "base/buf.h"

/*
 * code is a status of RFC 3463. Its first digit says what to do: '4' try later, '5' give up; an
 * empty code means that nothing went wrong. text is one line that is fit for the log, an SMTP reply
 * and a report to the sender. A caller that does not need the error passes null.
 */
struct why {
    char code[10];
    struct buf text;
};
#define WHY_MOST 5000 /* bytes: what a server said, up to 4096, and who said it to what */
#define WHY      ((struct why){"", BUF_TEXT(WHY_MOST)})

/* All return -1, so that a function can end with: return why_set(why, ...);
 * A text of more than WHY_MOST bytes is cut; control characters become '?'. */
int why_set(struct why *w, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int why_errno(struct why *w, const char *code, const char *fmt, ...) /* adds ": strerror" */
    __attribute__((format(printf, 3, 4)));
int why_in(struct why *w, const char *fmt, ...) /* puts "while opening x: " in front of the text */
    __attribute__((format(printf, 2, 3)));

bool why_later(const struct why *w); /* is it temporary: code 4.x.x */
const char *why_text(const struct why *w); /* for messages */
void why_copy(struct why *to, const struct why *from); /* to may be null */
void why_clear(struct why *w); /* no reason any more; null is accepted */
void why_free(struct why *w); /* frees the text; w may be used again */

#endif
