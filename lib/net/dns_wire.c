#include "net/dns_wire.h"

#include <stdint.h>

#include "base/str.h"

enum { NAME_MOST = 255, LABEL_MOST = 63, RECORDS_MOST = 500, CHAIN_MOST = 16, TEXT_MOST = 1024 };

struct reader {
    const unsigned char *p;
    size_t n, at;
    bool bad; /* sticks */
};

static unsigned get8(struct reader *r)
{
    if (r->bad || r->at >= r->n) {
        r->bad = true;
        return 0;
    }
    return r->p[r->at++];
}

static unsigned get16(struct reader *r)
{
    unsigned high = get8(r);

    return high << 8 | get8(r);
}

static uint32_t get32(struct reader *r)
{
    uint32_t high = get16(r);

    return high << 16 | get16(r);
}

/* RFC 1035 5.1: a dot or backslash in a label, and what does not print, as \. or \DDD. */
static void add_label(struct buf *text, const unsigned char *p, size_t n)
{
    if (text->n > 0)
        buf_addc(text, '.');
    for (size_t i = 0; i < n; i++)
        if (p[i] == '.' || p[i] == '\\')
            buf_addf(text, "\\%c", p[i]);
        else if (p[i] <= ' ' || p[i] >= 127)
            buf_addf(text, "\\%03u", p[i]);
        else
            buf_addc(text, (char)p[i]);
}

/* RFC 1035 4.1.4. text may be null. */
static void get_name(struct reader *r, struct buf *text)
{
    struct reader at = *r;
    size_t total = 0, before = r->at;
    bool jumped = false;

    if (text != NULL)
        buf_clear(text);
    for (;;) {
        unsigned n = get8(&at);
        if (n >= 0xc0) {
            size_t to = (n & 0x3f) << 8 | get8(&at);
            if (!jumped)
                r->at = at.at;
            jumped = true;
            at.bad = at.bad || to >= before; /* strictly backwards: no loop */
            before = at.at = to;
        } else if (n > LABEL_MOST || (total += n + 1) > NAME_MOST || at.at + n > at.n) {
            at.bad = true;
        } else if (n > 0) {
            if (text != NULL)
                add_label(text, at.p + at.at, n);
            at.at += n;
        }
        if (at.bad || n == 0)
            break;
    }
    r->bad = r->bad || at.bad || (text != NULL && !buf_ok(text));
    if (!jumped)
        r->at = at.at;
}

static const char *name_at(struct reader *r, struct arena *mem)
{
    /* fits: get_name makes r bad if not */
    struct buf text = BUF(TEXT_MOST);
    const char *name;

    get_name(r, &text);
    name = arena_strz(mem, buf_str(&text));
    buf_free(&text);
    return name;
}

static struct str get_strings(struct reader *r, struct arena *mem)
{
    /* fits: as long as the message at most */
    struct buf all = BUF(65535);

    while (!r->bad && r->at < r->n) {
        size_t n = get8(r);
        if (r->at + n > r->n)
            r->bad = true;
        else
            buf_add(&all, (struct str){(const char *)r->p + r->at, n});
        r->at += n;
    }
    struct str copy = arena_str(mem, buf_str(&all));
    buf_free(&all);
    return copy;
}

static void get_addr(struct reader *r, struct dns_record *rec)
{
    size_t n = rec->type == DNS_A ? 4 : 16;

    rec->addr.family = rec->type == DNS_A ? AF_INET : AF_INET6;
    r->bad = r->bad || r->n - r->at != n;
    for (size_t i = 0; i < n; i++)
        rec->addr.ip[i] = (unsigned char)get8(r);
}

/* The data of one record: RFC 1035 3.3, 3.4; RFC 3596; RFC 2782. */
static void get_data(struct reader *r, struct dns_record *rec, struct arena *mem)
{
    switch (rec->type) {
    case DNS_A:
    case DNS_AAAA:
        get_addr(r, rec);
        break;
    case DNS_MX:
        rec->pref = get16(r);
        rec->name = name_at(r, mem);
        break;
    case DNS_SRV:
        rec->pref = get16(r);
        rec->weight = get16(r);
        rec->port = get16(r);
        rec->name = name_at(r, mem);
        break;
    case DNS_CNAME:
    case DNS_PTR:
    case DNS_NS:
        rec->name = name_at(r, mem);
        break;
    case DNS_TXT:
        rec->data = get_strings(r, mem);
        break;
    case DNS_TLSA:
    default:
        rec->data = arena_str(mem, (struct str){(const char *)r->p + r->at, r->n - r->at});
    }
}

/* One record. False at damage; a class that is not IN, or a type not asked for, gives type 0. */
static bool get_record(struct reader *r, enum dns_type wanted, struct dns_record *rec,
                       struct arena *mem)
{
    struct reader data;
    size_t n;

    *rec = (struct dns_record){.owner = name_at(r, mem)};
    unsigned type = get16(r), class = get16(r);
    rec->ttl = get32(r);
    if (rec->ttl > INT32_MAX) /* RFC 2181 8 */
        rec->ttl = 0;
    n = get16(r);
    if (r->bad || r->at + n > r->n)
        return false;
    data = (struct reader){.p = r->p, .n = r->at + n, .at = r->at};
    r->at += n;
    if (class != 1 || (type != wanted && type != DNS_CNAME))
        return true;
    rec->type = type;
    get_data(&data, rec, mem);
    return !data.bad;
}

static bool same_name(const char *a, const char *b)
{
    struct str x = strz(a), y = strz(b);

    if (str_ends(y, STR(".")))
        y = str_upto(y, y.n - 1);
    return str_ieq(x, y);
}

/* RFC 2308 5: how long a negative answer holds, from the SOA of the authority section. */
static uint32_t negative_ttl(struct reader *r, unsigned count)
{
    enum { SOA = 6 };

    while (count-- > 0 && !r->bad) {
        get_name(r, NULL);
        unsigned type = get16(r);
        get16(r);
        uint32_t ttl = get32(r);
        size_t n = get16(r), end = r->at + n;
        if (r->bad || end > r->n)
            return 0;
        if (type == SOA && n >= 20) {
            struct reader last = {.p = r->p, .n = end, .at = end - 4};
            uint32_t minimum = get32(&last);
            return ttl < minimum ? ttl : minimum;
        }
        r->at = end;
    }
    return 0;
}

/* Follows the CNAMEs from the name that was asked for; sets canonical, lowers ttl. */
static bool follow(const struct dns_record *recs, size_t n, struct dns_answer *answer,
                   uint32_t *ttl)
{
    for (int hops = 0; hops < CHAIN_MOST; hops++) {
        const struct dns_record *next = NULL;
        for (size_t i = 0; i < n && next == NULL; i++)
            if (recs[i].type == DNS_CNAME && same_name(recs[i].owner, answer->canonical))
                next = &recs[i];
        if (next == NULL)
            return true;
        answer->canonical = next->name;
        *ttl = next->ttl < *ttl ? next->ttl : *ttl;
    }
    return false;
}

static void pick(struct dns_record *recs, size_t n, enum dns_type type, struct dns_answer *answer,
                 uint32_t *ttl)
{
    answer->records = recs;
    for (size_t i = 0; i < n; i++)
        if (recs[i].type == type && same_name(recs[i].owner, answer->canonical)) {
            *ttl = recs[i].ttl < *ttl ? recs[i].ttl : *ttl;
            recs[answer->n++] = recs[i];
        }
}

static bool question_is(struct reader *r, const char *name, enum dns_type type)
{
    /* fits: get_name makes r bad if not */
    struct buf text = BUF(TEXT_MOST);
    bool same;

    get_name(r, &text);
    same = same_name(text.p, name);
    buf_free(&text);
    return get16(r) == (unsigned)type && get16(r) == 1 && same && !r->bad;
}

enum dns_status dns_wire_parse(struct str message, const char *name, enum dns_type type,
                               struct arena *mem, struct dns_answer *answer, uint32_t *ttl)
{
    enum { NXDOMAIN = 3 };
    struct reader r = {.p = (const unsigned char *)message.p, .n = message.n, .at = 2};
    unsigned flags = get16(&r), questions = get16(&r), answers = get16(&r), others = get16(&r);
    unsigned rcode = flags & 15;
    size_t n = 0;

    *answer = (struct dns_answer){.status = DNS_FAILED, .canonical = name};
    *ttl = UINT32_MAX;
    get16(&r);
    /* QR must be set and TC not: RFC 1035 4.1.1. */
    if (r.bad || (flags & 0x8000) == 0 || (flags & 0x0200) || questions != 1 ||
        (rcode != 0 && rcode != NXDOMAIN) || !question_is(&r, name, type))
        return DNS_FAILED;
    answer->ad = flags & 0x0020;
    struct dns_record *recs =
        arena_array(mem, answers < RECORDS_MOST ? answers + 1 : RECORDS_MOST, sizeof *recs);
    for (unsigned i = 0; i < answers; i++) {
        if (n == RECORDS_MOST)
            return DNS_FAILED;
        if (!get_record(&r, type, &recs[n], mem))
            return DNS_FAILED;
        n += recs[n].type != 0;
    }
    if (type != DNS_CNAME && !follow(recs, n, answer, ttl))
        return DNS_FAILED;
    pick(recs, n, type, answer, ttl);
    if (rcode == NXDOMAIN || answer->n == 0) {
        uint32_t negative = negative_ttl(&r, others);
        *ttl = negative < *ttl ? negative : *ttl;
        answer->n = 0;
        return answer->status = rcode == NXDOMAIN ? DNS_NO_NAME : DNS_NO_DATA;
    }
    return answer->status = DNS_OK;
}

bool dns_wire_name_ok(const char *name)
{
    size_t label = 0, total = 1;

    for (const char *c = name; *c; c++) {
        if (*c == '.' && label == 0)
            return false;
        if (*c <= ' ' || *c == '\\' || *c == 127)
            return false;
        label = *c == '.' ? 0 : label + 1;
        if (label > LABEL_MOST || ++total > NAME_MOST)
            return false;
    }
    return total > 1;
}

bool dns_wire_query(struct buf *out, unsigned id, const char *name, enum dns_type type, bool edns)
{
    struct str rest = strz(name), label;

    if (!dns_wire_name_ok(name))
        return false;
    /* RD, and AD: tell whether DNSSEC proved it (RFC 6840 5.7). */
    const unsigned char head[] = {
        (unsigned char)(id >> 8), (unsigned char)id, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, edns};
    buf_add(out, (struct str){(const char *)head, sizeof head});
    while (str_split(&rest, '.', &label) && label.n > 0) {
        buf_addc(out, (char)label.n);
        buf_add(out, label);
    }
    const unsigned char tail[] = {0, (unsigned char)(type >> 8), (unsigned char)type, 0, 1};
    buf_add(out, (struct str){(const char *)tail, sizeof tail});
    /* RFC 6891 6.1.2: no larger than fits through every path. */
    static const unsigned char opt[] = {0, 0, 41, 1232 >> 8, 1232 & 255, 0, 0, 0, 0, 0, 0};
    if (edns)
        buf_add(out, (struct str){(const char *)opt, sizeof opt});
    return buf_ok(out);
}
