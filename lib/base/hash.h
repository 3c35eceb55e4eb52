/* hash.h - a hash table with byte strings as keys. Its hash function has a random seed, so nobody
 * can choose keys that collide */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/buf.h"

/* The table owns copies of the keys. Values are pointers of the caller and are not freed here. */
struct hash;

struct hash *hash_new(void); /* to be freed with hash_free */
void hash_free(
    struct hash **h,
    void (*free_value)(void *value)); /* free_value is called for each value; may be null */
size_t hash_count(const struct hash *h); /* keys */

void *hash_find(const struct hash *h, struct str key); /* null: no such key */
void *hash_put(struct hash *h, struct str key,
               void *value); /* returns the old value of the key, or null */
void *hash_drop(struct hash *h, struct str key); /* removes; returns the value, or null */
/* Walks through all entries in no particular order: start with *cursor = 0; false at the end. The
 * current entry may be dropped; nothing may be put. */
bool hash_next(const struct hash *h, size_t *cursor, struct str *key, void **value);

#endif
