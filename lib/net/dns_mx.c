/*
 * From a domain to the addresses to try: mail exchangers by preference (RFC 5321 5.1), their
 * addresses of both families in turns.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/msg.h"
#include "base/random.h"
#include "base/str.h"
#include "base/vec.h"
#include "net/dns.h"
#include "net/dns_ask.h"
#include "net/dns_hosts.h"

/* Whoever owns a domain may give its exchangers any number of addresses. */
enum { MX_MOST = 100, HOSTS_MOST = 1000 };

struct found {
    VEC(struct dns_host) hosts;
    bool failed; /* some lookup failed temporarily */
    bool cut; /* there were more than HOSTS_MOST */
    bool filtered; /* nothing is left of an answer */
};

static void add_host(struct found *f, const struct dns_host *like, const struct addr *addr)
{
    f->cut = f->cut || f->hosts.n >= HOSTS_MOST;
    if (f->cut)
        return;
    struct dns_host *h = VEC_ADD(&f->hosts);
    *h = *like;
    h->addr = *addr;
}

static bool wants(const struct dns_how *how, const struct addr *a)
{
    return (a->family == AF_INET && (how->families & DNS_INET)) ||
           (a->family == AF_INET6 && (how->families & DNS_INET6));
}

static bool find_native(const struct dns_how *how, const struct dns_host *like, struct found *f)
{
    size_t cursor = 0, before = f->hosts.n;
    const struct hosts_line *l;

    while ((l = hosts_find(like->asked, &cursor)) != NULL)
        if (wants(how, &l->addr))
            add_host(f, like, &l->addr);
    return f->hosts.n > before;
}

/* The two questions about one host. */
struct lookup {
    struct dns_host like;
    struct dns_question *q[2];
    bool asked;
};

static void begin_lookup(struct lookup *l, const struct dns_how *how, struct found *f)
{
    struct addr numeric;

    if (addr_parse(strz(l->like.asked), &numeric)) {
        if (wants(how, &numeric))
            add_host(f, &l->like, &numeric);
        return;
    }
    if ((how->native && find_native(how, &l->like, f)) || !how->dns)
        return;
    l->asked = true;
    if (how->families & DNS_INET)
        l->q[0] = dns_begin(l->like.asked, DNS_A);
    if (how->families & DNS_INET6)
        l->q[1] = dns_begin(l->like.asked, DNS_AAAA);
}

static void end_lookup(struct lookup *l, const struct dns_how *how, struct arena *mem,
                       int64_t deadline, struct found *f, struct why *why)
{
    for (int i = 0; i < 2 && l->asked; i++) {
        struct arena *once = arena_new(NULL); /* a long answer is not kept */
        struct dns_answer answer;
        if (how->families & (i == 0 ? DNS_INET : DNS_INET6)) {
            enum dns_status s =
                dns_await(&l->q[i], once, deadline, &answer, f->failed ? NULL : why);
            if (how->filtered)
                s = dns_filter(&answer, l->like.asked, f->failed ? NULL : why);
            f->failed = f->failed || s == DNS_FAILED;
            f->filtered = f->filtered || answer.filtered;
            struct dns_host like = l->like;
            like.secure = like.secure && answer.ad;
            if (s == DNS_OK && answer.canonical[0] != 0)
                like.name = arena_strz(mem, strz(answer.canonical));
            for (size_t r = 0; r < answer.n; r++)
                add_host(f, &like, &answer.records[r].addr);
        }
        arena_free(&once);
    }
}

static void shuffle(struct dns_host *at, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = random_below((uint32_t)i);
        struct dns_host t = at[i - 1];
        at[i - 1] = at[j];
        at[j] = t;
    }
}

/* The next one of a family from there on, or n. */
static size_t next_of(const struct dns_host *at, size_t n, size_t from, sa_family_t family)
{
    while (from < n && at[from].addr.family != family)
        from++;
    return from;
}

/* Both families in turns, each keeping its order; when one ends, the rest of the other. */
static void take_turns(struct dns_host *at, size_t n, enum dns_family first)
{
    bool inet_first = first == DNS_INET || (first == 0 && random_below(2) == 0);
    const sa_family_t families[2] = {inet_first ? AF_INET : AF_INET6,
                                     inet_first ? AF_INET6 : AF_INET};
    struct dns_host *was = mem_new(n * sizeof *at);
    size_t next[2] = {next_of(at, n, 0, families[0]), next_of(at, n, 0, families[1])};

    memcpy(was, at, n * sizeof *at);
    for (size_t i = 0, turn = 0; i < n; i++, turn = !turn) {
        if (next[turn] == n)
            turn = !turn;
        at[i] = was[next[turn]];
        next[turn] = next_of(was, n, next[turn] + 1, families[turn]);
    }
    free(was);
}

static int by_pref(const void *a, const void *b)
{
    unsigned x = ((const struct dns_host *)a)->pref, y = ((const struct dns_host *)b)->pref;

    return x < y ? -1 : x > y;
}

static void order(struct found *f, const struct dns_how *how)
{
    struct dns_host *at = f->hosts.at;

    if (f->hosts.n == 0)
        return;
    if (how->shuffle)
        shuffle(at, f->hosts.n);
    qsort(at, f->hosts.n, sizeof *at, by_pref);
    for (size_t i = 0, n; i < f->hosts.n; i += n) {
        for (n = 1; i + n < f->hosts.n && at[i + n].pref == at[i].pref; n++)
            ;
        if (how->families == DNS_ALL)
            take_turns(at + i, n, how->first);
    }
}

static void give(struct found *f, const char *name, const struct dns_how *how, struct arena *mem,
                 struct dns_hosts *out)
{
    if (f->cut)
        msg_warn("%s has more than %d addresses: the others are not looked at", name, HOSTS_MOST);
    out->filtered = f->filtered;
    out->n = how->limit > 0 && f->hosts.n > how->limit ? how->limit : f->hosts.n;
    out->at = arena_array(mem, out->n + 1, sizeof *out->at);
    if (out->n > 0)
        memcpy(out->at, f->hosts.at, out->n * sizeof *out->at);
    VEC_FREE(&f->hosts);
}

static enum dns_status verdict(const struct found *f, const char *name, struct why *why)
{
    if (f->hosts.n > 0) {
        if (why != NULL)
            why_clear(why);
        return DNS_OK;
    }
    if (f->failed)
        return DNS_FAILED;
    if (why != NULL && why->code[0] == 0)
        why_set(why, "5.4.4",
                "Host or domain name not found. Name service error for name=%s: "
                "Host not found",
                name);
    return DNS_NO_DATA;
}

enum dns_status dns_addresses(const char *host, const struct dns_how *how, struct arena *mem,
                              int64_t deadline, struct dns_hosts *out, struct why *why)
{
    const char *name = arena_strz(mem, strz(host));
    struct lookup l = {.like = {.name = name, .asked = name, .secure = true}};
    struct found f = {0};
    enum dns_status s;

    *out = (struct dns_hosts){0};
    begin_lookup(&l, how, &f);
    end_lookup(&l, how, mem, deadline, &f, why);
    order(&f, how);
    s = verdict(&f, host, why);
    give(&f, name, how, mem, out);
    return s;
}

/* The addresses of all exchangers: every question is under way before the first is waited for. */
static void find_all(const struct dns_answer *mx, const struct dns_how *how, struct arena *mem,
                     int64_t deadline, struct found *f, struct why *why)
{
    struct lookup *all = arena_array(mem, mx->n + 1, sizeof *all);

    for (size_t i = 0; i < mx->n; i++) {
        const char *name = mx->records[i].name;
        all[i].like = (struct dns_host){
            .name = name, .asked = name, .pref = mx->records[i].pref, .secure = mx->ad};
        begin_lookup(&all[i], how, f);
    }
    for (size_t i = 0; i < mx->n; i++)
        end_lookup(&all[i], how, mem, deadline, f, why);
}

static int by_record_pref(const void *a, const void *b)
{
    unsigned x = ((const struct dns_record *)a)->pref, y = ((const struct dns_record *)b)->pref;

    return x < y ? -1 : x > y;
}

static void keep_best(struct dns_answer *mx)
{
    if (mx->n <= MX_MOST)
        return;
    qsort(mx->records, mx->n, sizeof *mx->records, by_record_pref);
    mx->n = MX_MOST;
}

/* RFC 5321 5.1: who finds himself must not try those that are not better. */
static bool cut_at_self(struct found *f, bool (*is_self)(const char *, const struct addr *))
{
    for (size_t i = 0; i < f->hosts.n; i++) {
        const struct dns_host *h = &f->hosts.at[i];
        if (!is_self(h->asked, &h->addr))
            continue;
        size_t keep = 0;
        while (f->hosts.at[keep].pref < h->pref)
            keep++;
        f->hosts.n = keep;
        return true;
    }
    return false;
}

static bool is_null_mx(const struct dns_answer *mx)
{
    return mx->n == 1 && mx->records[0].name[0] == 0;
}

/* RFC 7505 3; the code is the one that log readers know from Postfix. */
static enum dns_status takes_no_mail(const char *domain, struct why *why)
{
    why_set(why, "5.1.0", "Domain %s does not accept mail (nullMX)", domain);
    return DNS_NO_DATA;
}

enum dns_status dns_domain_exists(const char *domain, const struct dns_how *how, struct arena *mem,
                                  int64_t deadline, struct why *why)
{
    struct dns_answer mx;
    struct dns_hosts hosts;
    enum dns_status s = dns_ask(domain, DNS_MX, mem, deadline, &mx, why);

    if (s == DNS_OK && is_null_mx(&mx))
        return takes_no_mail(domain, why);
    if (s == DNS_OK || (s == DNS_FAILED && !mx.filtered))
        return s;
    if (why != NULL && s != DNS_FAILED)
        why_clear(why);
    s = dns_addresses(domain, how, mem, deadline, &hosts, mx.filtered ? NULL : why);
    return s != DNS_OK && mx.filtered ? DNS_FAILED : s;
}

enum dns_status dns_mail_hosts(const char *domain, const struct dns_how *how,
                               bool (*is_self)(const char *host, const struct addr *addr),
                               struct arena *mem, int64_t deadline, struct dns_hosts *out,
                               struct why *why)
{
    struct dns_answer mx;
    struct found f = {0};
    enum dns_status s;

    *out = (struct dns_hosts){0};
    s = dns_ask(domain, DNS_MX, mem, deadline, &mx, why);
    if (s == DNS_FAILED)
        return s;
    if (s == DNS_OK && is_null_mx(&mx))
        return takes_no_mail(domain, why);
    if (s != DNS_OK) { /* RFC 5321 5.1: the domain itself, as if it were its only exchanger */
        if (why != NULL)
            why_clear(why);
        struct lookup l = {.like = {.asked = arena_strz(mem, strz(domain)), .secure = mx.ad}};
        l.like.name = l.like.asked;
        begin_lookup(&l, how, &f);
        end_lookup(&l, how, mem, deadline, &f, why);
    } else {
        out->has_mx = true;
        keep_best(&mx);
        find_all(&mx, how, mem, deadline, &f, why);
    }
    order(&f, how);
    s = verdict(&f, domain, why);
    out->has_self = s == DNS_OK && is_self != NULL && cut_at_self(&f, is_self);
    if (out->has_self && f.hosts.n == 0) {
        why_set(why, "5.4.6", "mail for %s loops back to myself", domain);
        s = DNS_NO_DATA;
    }
    give(&f, domain, how, mem, out);
    return s;
}

enum dns_status dns_name_of(const struct addr *addr, struct arena *mem, int64_t deadline,
                            const char **name, struct why *why)
{
    struct str native = hosts_name_of(addr);
    /* fits: 32 digits, 32 dots and ip6.arpa */
    struct buf reverse = BUF(100);
    struct dns_answer answer;
    enum dns_status s;

    *name = "";
    if (native.n > 0) {
        *name = arena_strz(mem, native);
        return DNS_OK;
    }
    addr_reverse(addr, NULL, &reverse);
    s = dns_ask(reverse.p, DNS_PTR, mem, deadline, &answer, why);
    buf_free(&reverse);
    if (s == DNS_OK)
        *name = answer.records[0].name;
    return s;
}
