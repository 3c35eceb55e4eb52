/*
 * Records of the journal.
 */
#include "store/journal.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/str.h"

static const char magic[8] = "pombalJ1";

static_assert(sizeof(struct journal_head) == 64, "file format");
static_assert(sizeof(struct journal_rec) == 24, "file format");
static_assert(sizeof(struct journal_check) == 40, "file format");

/*
 * Not against malice: whoever can write the journal can make its sums. Two lanes of multiply and
 * shift find torn and swapped bytes at several gigabytes a second.
 */
uint32_t journal_sum(const void *p, size_t n, uint64_t seed)
{
    const uint64_t k = 0x9e3779b97f4a7c15u;
    const char *c = p;
    uint64_t a = seed ^ n, b = seed * k, w;

    for (; n >= 16; n -= 16, c += 16) {
        memcpy(&w, c, 8);
        a = (a ^ w) * k;
        a ^= a >> 29;
        memcpy(&w, c + 8, 8);
        b = (b ^ w) * k;
        b ^= b >> 31;
    }
    if (n >= 8) {
        memcpy(&w, c, 8);
        a = (a ^ w) * k;
        a ^= a >> 29;
    }
    a = (a ^ (b >> 17 | b << 47)) * k;
    return (uint32_t)(a >> 32);
}

void journal_head_make(struct journal_head *h, uint32_t uidvalidity, uint64_t ino)
{
    *h = (struct journal_head){.order = 0x01020304, .uidvalidity = uidvalidity, .ino = ino};
    memcpy(h->magic, magic, sizeof magic);
    random_bytes(&h->generation, sizeof h->generation);
    h->created = clock_wall();
    journal_head_seal(h);
}

void journal_head_seal(struct journal_head *h)
{
    h->sum = 0;
    h->sum = journal_sum(h, sizeof *h, 0);
}

bool journal_head_ok(const struct journal_head *h)
{
    struct journal_head copy = *h;

    copy.sum = 0;
    return memcmp(h->magic, magic, sizeof magic) == 0 && h->order == 0x01020304 &&
           h->uidvalidity != 0 && journal_sum(&copy, sizeof copy, 0) == h->sum;
}

size_t journal_begin(struct buf *b, enum journal_type type)
{
    struct journal_rec rec = {.type = (uint16_t)type};
    size_t start = b->n;

    buf_add(b, (struct str){(const char *)&rec, sizeof rec});
    return start;
}

static uint32_t rec_sum(const struct journal_rec *rec, const struct journal_head *h, off_t at)
{
    struct journal_rec copy = *rec;

    copy.sum = 0;
    uint32_t first = journal_sum(&copy, sizeof copy, h->generation + (uint64_t)at);
    return first ^ journal_sum(rec + 1, rec->size - sizeof *rec, h->generation ^ (uint64_t)at);
}

void journal_end(struct buf *b, size_t start, const struct journal_head *h, off_t at,
                 uint64_t modseq, uint32_t uidnext)
{
    size_t padding = -(b->n - start) & 7;
    struct journal_rec rec;

    buf_add(b, (struct str){"\0\0\0\0\0\0\0", padding});
    struct journal_tail tail = {(uint32_t)(b->n - start + sizeof tail), 0};
    tail.check = tail.size ^ JOURNAL_TAIL;
    buf_add(b, (struct str){(const char *)&tail, sizeof tail});
    if (!buf_ok(b))
        return;
    memcpy(&rec, b->p + start, sizeof rec);
    rec.size = tail.size;
    rec.padding = (uint16_t)padding;
    rec.uidnext = uidnext;
    rec.modseq = modseq;
    memcpy(b->p + start, &rec, sizeof rec);
    rec.sum = rec_sum((const struct journal_rec *)(void *)(b->p + start), h, at + (off_t)start);
    memcpy(b->p + start, &rec, sizeof rec);
}

const struct journal_rec *journal_parse(const struct journal_head *h, struct str bytes, off_t at,
                                        struct str *payload)
{
    const struct journal_rec *rec = (const void *)bytes.p;
    struct journal_tail tail;

    if (bytes.n < sizeof *rec + sizeof tail || rec->size > bytes.n || rec->size % 8 != 0 ||
        rec->size < sizeof *rec + sizeof tail || rec->padding > 7 ||
        rec->size < sizeof *rec + sizeof tail + rec->padding)
        return NULL;
    memcpy(&tail, bytes.p + rec->size - sizeof tail, sizeof tail);
    if (tail.size != rec->size || tail.check != (tail.size ^ JOURNAL_TAIL) ||
        rec_sum(rec, h, at) != rec->sum)
        return NULL;
    *payload = str_part(bytes, sizeof *rec, rec->size - sizeof *rec - sizeof tail - rec->padding);
    return rec;
}

uint32_t journal_last(struct str bytes)
{
    struct journal_tail tail;

    if (bytes.n < sizeof tail)
        return 0;
    memcpy(&tail, bytes.p + bytes.n - sizeof tail, sizeof tail);
    bool good = tail.check == (tail.size ^ JOURNAL_TAIL) && tail.size % 8 == 0 &&
                tail.size >= sizeof(struct journal_rec) + sizeof tail;
    return good ? tail.size : 0;
}

bool journal_any(const struct journal_head *h, struct str bytes, off_t at)
{
    struct str payload;

    for (size_t i = 0; i + sizeof(struct journal_rec) <= bytes.n; i += 8)
        if (journal_parse(h, str_from(bytes, i), at + (off_t)i, &payload) != NULL)
            return true;
    return false;
}
