/* why.h - the one error type: what went wrong, said as a delivery status */
#ifndef BASE_WHY_H
#define BASE_WHY_H

#include "base/buf.h"

/*
 * code is an RFC 3463 status and its first digit is the decision: '4' later,
 * '5' never, 0 nothing went wrong. text is one clean line that is fit for
 * the log, an SMTP reply and a report to the sender. A null why is accepted
 * everywhere: the caller does not care.
 */
struct why {
    char code[10];
    struct buf text;
};
#define WHY ((struct why){"", BUF(500)})

/* Both return -1, so a function ends with: return why_set(why, ...);
 * Text over 500 bytes is cut, control characters become '?'. */
int why_set(struct why *w, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int why_errno(struct why *w, const char *code, const char *fmt, ...) /* adds ": strerror" */
    __attribute__((format(printf, 3, 4)));
int why_in(struct why *w, const char *fmt, ...) /* "while opening x: " goes in front */
    __attribute__((format(printf, 2, 3)));

bool why_later(const struct why *w);
const char *why_text(const struct why *w); /* for messages */
void why_copy(struct why *to, const struct why *from);
void why_clear(struct why *w);
void why_free(struct why *w);

#endif
