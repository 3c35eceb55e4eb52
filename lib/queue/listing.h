/* listing.h - the queue as showq answers it and postqueue prints it */
#ifndef QUEUE_LISTING_H
#define QUEUE_LISTING_H

#include "queue/delivery.h"

/*
 * The stream is Postfix's, because exporters read it: a first list of attributes that names the
 * protocol, a list per message, and an empty list. A list is name\0value\0 ... and an empty name:
 * queue_name queue_id time size forced_expire sender, then recipient and reason for each recipient
 * that is not done ("" if nothing is known of it).
 * Addresses are in external form.
 */
#define LISTING_PROTOCOL "mail_queue_list_protocol"

/* Walks maildrop, active, incoming, deferred and hold; emit gets one list at a time, of any length.
 * If emit returns false, the walk ends. (waits) It reads files, which may take long, and yields in
 * between. */
typedef bool listing_fn(void *arg, struct str list);
void listing_walk(listing_fn *emit, void *arg);

/* One message of a listing. */
struct listed {
    const char *queue, *id, *sender;
    int64_t arrival, size;
    bool forced_expire;
    struct listed_rcpt {
        const char *address, *reason;
    } * rcpts;
    size_t nrcpts;
};
/* Parses one list, with or without its empty name at the end; strings point into list. False: it is
 * malformed. */
bool listing_parse(struct str list, struct arena *mem, struct listed *out);

/* The lines of mailq; begin is called once before the first message. long_ids: the wide form. */
void listing_print_begin(bool long_ids, struct buf *out);
void listing_print(const struct listed *m, bool long_ids, struct buf *out);
/* A JSON object on a line. */
void listing_print_json(const struct listed *m, struct buf *out);

#endif
