/* dns_ask.h - inside lib/net: questions that are under way side by side */
#ifndef NET_DNS_ASK_H
#define NET_DNS_ASK_H

#include "net/dns.h"

/* Begin any number, then wait for each of them; each begun one must be ended by dns_await. Equal
 * questions of several tasks are asked once. */
struct dns_question;
struct dns_question *dns_begin(const char *name, enum dns_type type);
enum dns_status dns_await(struct dns_question **q, struct arena *mem, int64_t deadline,
                          struct dns_answer *answer, struct why *why); /* (waits) */

#endif
