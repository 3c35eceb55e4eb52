/* smtpd_proxy_talk.h - one conversation with the before-queue filter: commands and replies */
#ifndef SMTPD_SMTPD_PROXY_TALK_H
#define SMTPD_SMTPD_PROXY_TALK_H

#include "smtpd.h"

/*
 * A conversation that has failed stays so: nothing more is sent, and its reply is
 * "451 4.3.0 Error: queue file write error", as Postfix says it. The log says what has happened.
 * Null is a conversation that could not be had, with the same reply.
 */
struct proxy_talk;

bool proxy_talk_open(void); /* reads smtpd_proxy_filter; false: there is none */
void proxy_talk_paths(void); /* before the jail */

/* (waits) Connects, reads the greeting, says EHLO and XFORWARD. Null: that failed. */
struct proxy_talk *proxy_talk_start(struct smtpd *s);
/* (waits) A command, and its reply. False: it failed, or the first digit of the reply is not
 * wanted (0: any), which is logged. */
bool proxy_talk_say(struct proxy_talk *t, int wanted, const char *command);
void proxy_talk_content(struct proxy_talk *t, struct str bytes); /* (waits) as they are */
/* The last reply; failed: there is none, and what the others tell is ours. */
bool proxy_talk_failed(const struct proxy_talk *t);
int proxy_talk_code(const struct proxy_talk *t);
const char *proxy_talk_dsn(const struct proxy_talk *t);
struct str proxy_talk_text(const struct proxy_talk *t); /* lines, without codes */
void proxy_talk_print(const struct proxy_talk *t, struct buf *out); /* in one line */
void proxy_talk_fail(struct proxy_talk **t, const char *why); /* null is accepted, and stays */
void proxy_talk_break(struct proxy_talk *t); /* nothing more is said, not even QUIT */
void proxy_talk_end(struct proxy_talk **t); /* (waits) QUIT; null is accepted */

#endif
