/* hash.h - a hash table with byte-string keys, seeded at random so that outsiders cannot make it
 * slow */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/buf.h"

/* Owns copies of the keys; the values are the caller's pointers. */
struct hash;

struct hash *hash_new(void);
void hash_free(struct hash **h, void (*free_value)(void *value)); /* free_value may be null */
size_t hash_count(const struct hash *h);

void *hash_find(const struct hash *h, struct str key); /* null: not there */
void *hash_put(struct hash *h, struct str key,
               void *value); /* returns the value replaced, or null */
void *hash_drop(struct hash *h, struct str key); /* returns the value, or null */
/* Walks in no particular order; *cursor starts at 0. The current entry may be dropped. */
bool hash_next(const struct hash *h, size_t *cursor, struct str *key, void **value);

#endif
