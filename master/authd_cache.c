/*
 * Slow hashes that were found right, so that the next login of the same user costs little. What is
 * kept is an HMAC under a key that only this process knows: neither password nor hash can be had
 * from it, and a changed hash in the table is another entry.
 */
#include "base/digest.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/random.h"
#include "conf/conf.h"

#include "authd.h"

enum { KEY = 32 };

struct known {
    struct list order; /* oldest first */
    unsigned char key[KEY];
    int64_t until;
};

static struct {
    unsigned char secret[KEY];
    struct hash *table;
    struct list order;
} cache;

void cache_open(void)
{
    random_bytes(cache.secret, sizeof cache.secret);
    cache.table = hash_new();
    list_init(&cache.order);
}

/* Each part with its length in front, so that no two triples give the same text. */
static bool make_key(struct str user, struct str plain, struct str stored,
                     unsigned char key[DIGEST_MAX])
{
    struct buf text = BUF(16 * 1024);

    buf_addf(&text, "%zu:%zu:", user.n, plain.n);
    buf_add(&text, user);
    buf_add(&text, plain);
    buf_add(&text, stored);
    bool ok = buf_ok(&text) && digest_hmac(DIGEST_SHA256, (struct str){(char *)cache.secret, KEY},
                                           buf_str(&text), key);
    if (text.room > 0)
        explicit_bzero(text.p, text.room);
    buf_free(&text);
    return ok;
}

static void authd_cache_forget(struct known *k)
{
    list_drop(&k->order);
    hash_drop(cache.table, (struct str){(char *)k->key, KEY});
    free(k);
}

bool cache_has(struct str user, struct str plain, struct str stored, int64_t now)
{
    unsigned char key[DIGEST_MAX];

    if (conf.auth_cache_size == 0 || !make_key(user, plain, stored, key))
        return false;
    struct known *k = hash_find(cache.table, (struct str){(char *)key, KEY});
    if (k != NULL && k->until < now) {
        authd_cache_forget(k);
        k = NULL;
    }
    return k != NULL;
}

void cache_add(struct str user, struct str plain, struct str stored, int64_t now)
{
    unsigned char key[DIGEST_MAX];

    if (conf.auth_cache_size == 0 || !make_key(user, plain, stored, key))
        return;
    struct known *k = hash_find(cache.table, (struct str){(char *)key, KEY});
    if (k != NULL)
        authd_cache_forget(k);
    while (hash_count(cache.table) >= (size_t)conf.auth_cache_size)
        authd_cache_forget(LIST_OF(cache.order.next, struct known, order));
    k = mem_new(sizeof *k);
    memcpy(k->key, key, KEY);
    k->until = now + conf.auth_cache_ttl * 1000;
    list_add(&cache.order, &k->order);
    hash_put(cache.table, (struct str){(char *)k->key, KEY}, k);
}
