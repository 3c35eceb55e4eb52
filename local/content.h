/* content.h - the message in a queue file as lines, and what is put in front of it at home */
#ifndef LOCAL_CONTENT_H
#define LOCAL_CONTENT_H

#include "base/hash.h"

#include "agent.h"

/* Called with pieces of the message, in order; lines end in LF. False ends the copying. */
typedef bool content_fn(void *arg, struct str bytes);
/* 0, or -1: the queue file is damaged (why says so), or fn returned false (why is not changed). */
int content_copy(struct job *job, content_fn *fn, void *arg, struct why *why);

/* Appends the header fields that final delivery adds, RFC 5321 4.4: Return-Path (if sender is not
 * null), X-Original-To (if original is not ""), Delivered-To (if delivered is not ""). Internal
 * forms of addresses. */
void content_prepend(struct buf *out, const char *sender, const char *original,
                     const char *delivered);
/* "From sender  Mon Jan  2 15:04:05 2006", with LF: the line before a message in an mbox. */
void content_from_line(struct buf *out, const char *sender, int64_t wall);

/* The addresses of the Delivered-To: fields in the message's header, for content_is_among; the
 * caller frees the table (hash_free without a function). */
struct hash *content_delivered_to(struct job *job);
/* Is the address (internal form) one of them? Compared without case. */
bool content_is_among(struct hash *delivered_to, const char *address);
/* Both at once, for one question. */
bool content_was_delivered_to(struct job *job, const char *address);

#endif
