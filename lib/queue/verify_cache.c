/*
 * Addresses by name, and in the order in which something was heard of them.
 */
#include "queue/verify_cache.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "mail/esmtp_cmd.h"

struct verify_cache {
    struct verify_limits limits;
    struct hash *by_address;
    struct list all;
    struct list
        saved; /* in all: what stands before it has been saved; unlinked between two times */
    size_t in_flight;
};

struct verify_cache *verify_cache_new(const struct verify_limits *limits)
{
    struct verify_cache *c = mem_new(sizeof *c);

    c->limits = *limits;
    c->by_address = hash_new();
    list_init(&c->all);
    list_init(&c->saved);
    return c;
}

static void set_in_flight(struct verify_cache *c, struct verify_entry *e, bool in_flight)
{
    c->in_flight += (size_t)in_flight;
    c->in_flight -= (size_t)e->in_flight;
    e->in_flight = in_flight;
}

static void drop(struct verify_cache *c, struct verify_entry *e)
{
    set_in_flight(c, e, false);
    list_drop(&e->link);
    hash_drop(c->by_address, strz(e->address));
    free(e->address);
    free(e->text);
    free(e);
}

void verify_cache_free(struct verify_cache **c)
{
    if (*c == NULL)
        return;
    list_drop(&(*c)->saved);
    LIST_EACH (&(*c)->all, l)
        drop(*c, LIST_OF(l, struct verify_entry, link));
    hash_free(&(*c)->by_address, NULL);
    free(*c);
    *c = NULL;
}

size_t verify_cache_count(const struct verify_cache *c)
{
    return hash_count(c->by_address);
}

size_t verify_cache_in_flight(const struct verify_cache *c)
{
    return c->in_flight;
}

static bool is_good(const struct verify_entry *e)
{
    return e->verdict == VERIFY_OK;
}

static bool has_expired(const struct verify_cache *c, const struct verify_entry *e, int64_t now)
{
    int64_t life = is_good(e) ? c->limits.good_expire : c->limits.bad_expire;

    if (e->updated == 0) /* only probed */
        return now - e->probed > VERIFY_PROBE_LIFE || e->probed > now;
    return now - e->updated > life || e->updated > now;
}

static bool is_lost(const struct verify_entry *e, int64_t now)
{
    return now - e->probed > VERIFY_PROBE_LIFE || e->probed > now;
}

struct verify_entry *verify_cache_find(struct verify_cache *c, const char *address, int64_t now)
{
    struct verify_entry *e = hash_find(c->by_address, strz(address));

    if (e != NULL && e->in_flight && is_lost(e, now))
        set_in_flight(c, e, false);
    if (e == NULL || !has_expired(c, e, now))
        return e;
    if (!e->in_flight) {
        drop(c, e);
        return NULL;
    }
    e->verdict = VERIFY_PENDING; /* what was known is too old, and the answer is on its way */
    e->updated = 0;
    return e;
}

bool verify_cache_wants_probe(const struct verify_cache *c, const struct verify_entry *e,
                              int64_t now)
{
    int64_t refresh;

    if (e == NULL)
        return true;
    refresh = is_good(e) ? c->limits.good_refresh : c->limits.bad_refresh;
    return !e->in_flight && (e->updated == 0 || now - e->updated > refresh);
}

/* Behind l. Null: there is none. */
static struct verify_entry *entry_behind(const struct verify_cache *c, const struct list *l)
{
    struct list *next = l->next;

    if (next == &c->saved)
        next = next->next;
    return next == &c->all ? NULL : LIST_OF(next, struct verify_entry, link);
}

/* Found or made, and heard of last. */
static struct verify_entry *entry_of(struct verify_cache *c, const char *address)
{
    struct verify_entry *e = hash_find(c->by_address, strz(address));

    if (e == NULL) {
        while (hash_count(c->by_address) >= c->limits.most)
            drop(c, entry_behind(c, &c->all));
        e = mem_new(sizeof *e);
        e->address = mem_dup(address, strlen(address));
        e->text = mem_dup("", 0);
        e->verdict = VERIFY_PENDING;
        list_init(&e->link);
        hash_put(c->by_address, strz(address), e);
    }
    list_drop(&e->link);
    list_add(&c->all, &e->link);
    return e;
}

void verify_cache_probed(struct verify_cache *c, const char *address, int64_t now)
{
    struct verify_entry *e = entry_of(c, address);

    e->probed = now;
    set_in_flight(c, e, true);
}

static void set_text(struct verify_entry *e, struct str text)
{
    free(e->text);
    e->text = mem_dup(text.p, text.n);
    for (char *p = e->text; *p != 0; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
}

void verify_cache_learn(struct verify_cache *c, const char *address, enum verify_verdict verdict,
                        const char *text, int64_t now)
{
    struct verify_entry *e = verify_cache_find(c, address, now);

    if (verdict != VERIFY_OK && e != NULL && is_good(e)) {
        set_in_flight(c, e, false);
        return;
    }
    if (verdict != VERIFY_OK && !c->limits.keep_bad) {
        if (e != NULL)
            drop(c, e);
        return;
    }
    e = entry_of(c, address);
    set_in_flight(c, e, false);
    e->verdict = verdict;
    e->probed = 0;
    e->updated = now;
    set_text(e, str_upto(strz(text), VERIFY_TEXT_MOST));
}

bool verify_cache_take(struct verify_cache *c, const char *address, struct str value)
{
    struct str status, probed, updated;
    int64_t n, at, heard;

    if (*address == 0 || !str_split(&value, ':', &status) || !str_split(&value, ':', &probed) ||
        !str_split(&value, ':', &updated) || value.p == NULL ||
        !num_parse(status, 0, VERIFY_PENDING, &n) || !num_parse(probed, 0, INT64_MAX / 2, &at) ||
        !num_parse(updated, 0, INT64_MAX / 2, &heard) || value.n > VERIFY_TEXT_MOST)
        return false;
    struct verify_entry *e = entry_of(c, address);
    e->verdict = (enum verify_verdict)n;
    e->probed = at;
    e->updated = heard;
    set_text(e, value);
    return true;
}

bool verify_cache_take_line(struct verify_cache *c, struct str line)
{
    struct str text;
    struct buf address = BUF(line.n);

    bool good = str_split(&line, ' ', &text) && line.p != NULL && xtext_decode(text, &address) &&
                buf_ok(&address) && str_find(buf_str(&address), 0) < 0 &&
                verify_cache_take(c, address.p, line);
    buf_free(&address);
    return good;
}

static void put_line(const struct verify_entry *e, struct buf *out)
{
    xtext_encode(strz(e->address), out);
    buf_addf(out, " %d:%lld:%lld:%s\n", (int)e->verdict, (long long)e->probed,
             (long long)e->updated, e->text);
}

void verify_cache_save_anew(struct verify_cache *c)
{
    list_drop(&c->saved);
}

bool verify_cache_save(struct verify_cache *c, int64_t now, size_t n, struct buf *out)
{
    struct verify_entry *e = NULL;

    if (list_empty(&c->saved))
        list_push(&c->all, &c->saved);
    for (; n > 0 && (e = entry_behind(c, &c->saved)) != NULL; n--) {
        list_drop(&c->saved);
        list_push(&e->link, &c->saved);
        e = verify_cache_find(c, e->address, now);
        if (e != NULL && out != NULL)
            put_line(e, out);
    }
    bool more = entry_behind(c, &c->saved) != NULL;
    if (!more)
        verify_cache_save_anew(c);
    return more;
}
