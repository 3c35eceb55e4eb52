/* dns.h - questions to the DNS, on the loop: cached, with a deadline */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "base/arena.h"
#include "net/addr.h"

/*
 * The resolvers are those of /etc/resolv.conf, read by dns_setup, which must be called before the
 * jail (it also reads /etc/hosts, services need neither file later). Names need not end with a dot
 * and are never completed with a search list. Results live in the caller's arena. The cache keeps
 * positive and negative answers for their TTL (RFC 2308), bounded by count and by cache_ttl.
 */
struct dns_settings {
    const char *servers; /* "127.0.0.1:5300 [::1]:53"; null: as /etc/resolv.conf */
    const char *hosts_file; /* null: /etc/hosts; "": none */
    int timeout_ms; /* of one try: 5000 */
    int tries; /* per server: 2 */
    int cache_size; /* answers kept: 1000; -1: none */
    int64_t cache_ttl; /* seconds, at most: 3600 */
};
int dns_setup(const struct dns_settings *settings, struct why *why); /* null: all defaults */
void dns_shutdown(void); /* for tests: frees all; no question may be under way */

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_TLSA = 52,
};

/* Failed: nobody answered, SERVFAIL, a broken answer; why has 4.4.3 and says so. The other two
 * negative ones are certain: no such name at all, or none of that type; why has 5.4.4. */
enum dns_status { DNS_OK, DNS_NO_NAME, DNS_NO_DATA, DNS_FAILED };

struct dns_record {
    enum dns_type type;
    uint32_t ttl;
    const char *owner; /* after CNAMEs */
    struct addr addr; /* A, AAAA */
    unsigned pref; /* MX, SRV priority */
    unsigned weight, port; /* SRV */
    const char *name; /* MX, PTR, CNAME, NS, SRV: without the last dot; "" is the root */
    struct str data; /* TXT: its strings joined; TLSA and others: the bytes */
};

struct dns_answer {
    enum dns_status status;
    bool ad; /* the resolver says that DNSSEC proved it */
    const char *canonical; /* the name after CNAMEs */
    struct dns_record *records;
    size_t n;
};

/* (waits) Also returns the status. */
enum dns_status dns_ask(const char *name, enum dns_type type, struct arena *mem, int64_t deadline,
                        struct dns_answer *answer, struct why *why)
    __attribute__((warn_unused_result));

/* (waits) Addresses of a host: a numeric one, /etc/hosts if native, then AAAA and A as families
 * says, interleaved beginning with the first family named. */
enum dns_family { DNS_INET = 1, DNS_INET6 = 2, DNS_ALL = 3 };
struct dns_host {
    const char *name; /* of the host, for logs and TLS */
    const char *asked; /* the MX name before CNAMEs */
    struct addr addr; /* port 0 */
    unsigned pref;
    bool secure; /* all answers on the way had AD */
};
struct dns_hosts {
    struct dns_host *at;
    size_t n;
    bool has_mx;
};
struct dns_how {
    unsigned families; /* dns_family bits */
    enum dns_family first; /* 0: any, chosen at random (smtp_address_preference) */
    bool native; /* look into /etc/hosts first, as smtp_host_lookup = native */
    bool dns; /* ask the DNS */
    unsigned limit; /* at most so many hosts: 0 no bound (smtp_mx_address_limit) */
    bool shuffle; /* equal preferences in random order (RFC 5321 5.1) */
};
enum dns_status dns_addresses(const char *host, const struct dns_how *how, struct arena *mem,
                              int64_t deadline, struct dns_hosts *out, struct why *why)
    __attribute__((warn_unused_result));
/* (waits) Mail hosts of a domain: RFC 5321 5.1, null MX RFC 7505 (5.1.0 in why). Hosts are in
 * order of preference. self: names of this host; when one of them is in the list, it and all that
 * are not better are left out (loops: RFC 5321 5.1); null: not looked for. When nothing is left,
 * DNS_NO_DATA and 5.4.6. */
enum dns_status dns_mail_hosts(const char *domain, const struct dns_how *how,
                               bool (*is_self)(const char *host, const struct addr *addr),
                               struct arena *mem, int64_t deadline, struct dns_hosts *out,
                               struct why *why) __attribute__((warn_unused_result));
/* (waits) The name of an address: PTR or /etc/hosts. */
enum dns_status dns_name_of(const struct addr *addr, struct arena *mem, int64_t deadline,
                            const char **name, struct why *why) __attribute__((warn_unused_result));

#endif
