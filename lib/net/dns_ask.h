/* dns_ask.h - several DNS questions at the same time */
#ifndef NET_DNS_ASK_H
#define NET_DNS_ASK_H

#include "net/dns.h"

/* Begin any number of questions, and then call dns_await or dns_drop once for each of them. If
 * several tasks ask the same question at the same time, it is sent once. A name in UTF-8 is asked
 * for in its ASCII form (RFC 5890). Null: it is not a name; dns_await says so. */
struct dns_question;
struct dns_question *dns_begin(const char *name, enum dns_type type);
enum dns_status dns_await(struct dns_question **q, struct arena *mem, int64_t deadline_ms,
                          struct dns_answer *answer, struct why *why); /* (waits) */
/* (waits) Leaves out of a good answer what the filter wants (dns_set_filter); the new status. */
enum dns_status dns_filter(struct dns_answer *answer, const char *name, struct why *why);
const char *dns_type_name(enum dns_type type); /* "MX"; "record": one that is not known here */
void dns_drop(struct dns_question **q); /* nobody wants to know any more; null is accepted */

#endif
