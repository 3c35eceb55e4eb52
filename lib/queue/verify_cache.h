/* verify_cache.h - what verify(8) remembers of addresses, in memory and as a file */
#ifndef QUEUE_VERIFY_CACHE_H
#define QUEUE_VERIFY_CACHE_H

#include "base/list.h"
#include "queue/verify_client.h"

/* Times are seconds since 1970; 0: never. */
struct verify_entry {
    struct list link; /* of the cache, by when something new was heard */
    char *address;
    enum verify_verdict verdict;
    bool in_flight; /* a probe has been sent and has not come back */
    int64_t probed, updated;
    char *text;
};

struct verify_limits {
    size_t most; /* entries */
    int64_t good_expire, good_refresh, bad_expire, bad_refresh; /* seconds */
    bool keep_bad;
};

/*
 * At most so many entries: those of which nothing was heard for longest make room. A probe counts
 * as lost when VERIFY_PROBE_LIFE has passed. An entry is good until the next call that changes the
 * cache.
 */
enum { VERIFY_PROBE_LIFE = 1000 };
struct verify_cache;
struct verify_cache *verify_cache_new(const struct verify_limits *limits);
void verify_cache_free(struct verify_cache **c);
size_t verify_cache_count(const struct verify_cache *c);
size_t verify_cache_in_flight(const struct verify_cache *c); /* probes */

/* Null: nothing is known, or it has expired. */
struct verify_entry *verify_cache_find(struct verify_cache *c, const char *address, int64_t now_s);
/* Is a new probe to be sent? e: null if nothing is known. */
bool verify_cache_wants_probe(const struct verify_cache *c, const struct verify_entry *e,
                              int64_t now_s);
void verify_cache_probed(struct verify_cache *c, const char *address, int64_t now_s);
/* A probe has come back. One that failed does not replace the good one of an address before it has
 * expired. */
void verify_cache_learn(struct verify_cache *c, const char *address, enum verify_verdict verdict,
                        const char *text, int64_t now_s);
/*
 * The file: a line for each address, oldest first: the address as xtext, a blank, and the value as
 * Postfix's table has it: status (0 good, 1 later, 2 never, 3 pending), ":", when it was probed,
 * ":", updated, ":", the reason. verify_cache_take takes one; what is malformed is false and is
 * left out.
 *
 * verify_cache_save appends the lines of the next n entries to out (null: nowhere), and drops those
 * that have expired. False: that were the last, and the next call begins anew; so it does behind
 * verify_cache_save_anew, for whoever could not write what he got. Between two calls the cache may
 * change: what is heard of meanwhile comes once more, at the end.
 */
bool verify_cache_take(struct verify_cache *c, const char *address, struct str value);
bool verify_cache_take_line(struct verify_cache *c, struct str line);
bool verify_cache_save(struct verify_cache *c, int64_t now_s, size_t n, struct buf *out);
void verify_cache_save_anew(struct verify_cache *c);

#endif
