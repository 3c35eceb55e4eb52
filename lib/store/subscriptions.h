/* subscriptions.h - the file of subscribed folders, in Dovecot's format. For lib/store alone */
#ifndef STORE_SUBSCRIPTIONS_H
#define STORE_SUBSCRIPTIONS_H

#include "base/arena.h"
#include "base/why.h"

struct store;

/*
 * "subscriptions" in the root: a name a line, "." between the parts; or, behind a line "V<tab>2"
 * and an empty one, parts parted by tabs. Courier's "courierimapsubscribed" is read if there is no
 * other: there names begin with "INBOX.".
 */
struct subscriptions {
    struct str *at; /* with the store's separator */
    size_t n;
};
int subscriptions_read(struct store *s, struct arena *mem, struct subscriptions *out,
                       struct why *why);

#endif
