/* dns.h - DNS lookups by tasks, with a cache and a deadline */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "base/arena.h"
#include "net/addr.h"

/*
 * The name servers are those of /etc/resolv.conf. dns_setup reads this file and /etc/hosts; call it
 * before the jail, in which they cannot be read. Names need no dot at the end, and no search list
 * is used. Results live in the caller's arena. The cache keeps positive and negative answers for
 * their TTL (RFC 2308), at most cache_size of them, and no longer than cache_ttl. deadline is
 * task_now() in ms; 0: none.
 */
struct dns_settings {
    const char *servers; /* "127.0.0.1:5300 [::1]:53"; null: as /etc/resolv.conf */
    const char *hosts_file; /* null: /etc/hosts; "": none */
    int timeout_ms; /* of one attempt; 0: 5000 */
    int tries; /* attempts for each server; 0: 2 */
    int cache_size; /* number of answers; 0: 1000; -1: no cache */
    int64_t cache_ttl; /* longest time in seconds; 0: 3600 */
};
int dns_setup(const struct dns_settings *settings, struct why *why); /* null: all defaults */
void dns_shutdown(void); /* for tests: frees everything; no lookup may be in progress */

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

/* DNS_FAILED: no answer, SERVFAIL, or a malformed answer; why is 4.4.3. DNS_NO_NAME (the name does
 * not exist) and DNS_NO_DATA (it has no record of this type) are certain; why is 5.4.4. */
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
    uint32_t ttl; /* seconds that it holds, also one that there is nothing (RFC 2308) */
    bool ad; /* AD bit: the name server has validated it with DNSSEC */
    bool filtered; /* DNS_FAILED because dns_set_filter has left nothing */
    const char *canonical; /* the name after CNAMEs */
    struct dns_record *records;
    size_t n;
};

/*
 * A filter of answers (smtp_dns_reply_filter): told of each record as a line "name. ttl IN type
 * value", with the preference before the value of an MX record. 1: the record is left out; 0: it
 * stays; -1: it cannot be said, and why has the reason. It may wait. An answer of which nothing is
 * left is DNS_FAILED with 4.7.0. It counts for dns_ask, but not for PTR records, for dns_mail_hosts
 * and dns_domain_exists, and where struct dns_how asks for it. Null: none.
 */
typedef int dns_filter_fn(const char *record, struct why *why);
void dns_set_filter(dns_filter_fn *filter);

/* (waits) Asks for the records of one type. Fills in answer, and returns its status. */
enum dns_status dns_ask(const char *name, enum dns_type type, struct arena *mem,
                        int64_t deadline_ms, struct dns_answer *answer, struct why *why)
    __attribute__((warn_unused_result));

/* How to look up addresses of hosts: see struct dns_how. IPv4 and IPv6 addresses of one host are
 * interleaved, beginning with how->first. */
enum dns_family { DNS_INET = 1, DNS_INET6 = 2, DNS_ALL = 3 };
struct dns_host {
    const char *name; /* of the host, for logs and TLS */
    const char *asked; /* the name in the MX record, before CNAMEs */
    struct addr addr; /* port 0 */
    unsigned pref;
    bool secure; /* all answers that led to it had the AD bit */
};
struct dns_hosts {
    struct dns_host *at;
    size_t n;
    bool has_mx;
    bool has_self; /* dns_mail_hosts: is_self has found this host among them */
    bool filtered; /* nothing is left of an answer: see dns_set_filter */
};
struct dns_how {
    unsigned families; /* dns_family bits */
    enum dns_family first; /* 0: any, chosen at random (smtp_address_preference) */
    bool native; /* look into /etc/hosts first, as smtp_host_lookup = native */
    bool dns; /* ask the DNS */
    bool filtered; /* dns_set_filter counts for the addresses */
    unsigned limit; /* largest number of addresses; 0: no limit (smtp_mx_address_limit) */
    bool shuffle; /* equal preferences in random order (RFC 5321 5.1) */
};
/* (waits) The addresses of a host name, or a numeric address. */
enum dns_status dns_addresses(const char *host, const struct dns_how *how, struct arena *mem,
                              int64_t deadline_ms, struct dns_hosts *out, struct why *why)
    __attribute__((warn_unused_result));
/* The families that a list like inet_protocols names: dns_family bits; 0: none. */
unsigned dns_families(const char *protocols);
/* (waits) A connection to a service: to the first of at most 10 addresses of its host that takes
 * one, from /etc/hosts or the DNS, IPv4 first; each has its share of the time. The descriptor, or
 * -1 and why. */
int dns_connect(const char *host, in_port_t port, unsigned families, int64_t deadline_ms,
                struct why *why);
/* (waits) The mail hosts of a domain in order of preference (RFC 5321 5.1). A null MX (RFC 7505)
 * gives 5.1.0 in why. is_self tells whether a host is this one: then it and all hosts that are not
 * better are left out, to prevent loops; null: not checked. If no host is left: DNS_NO_DATA
 * and 5.4.6. */
enum dns_status dns_mail_hosts(const char *domain, const struct dns_how *how,
                               bool (*is_self)(const char *host, const struct addr *addr),
                               struct arena *mem, int64_t deadline_ms, struct dns_hosts *out,
                               struct why *why) __attribute__((warn_unused_result));
/* (waits) Does the domain exist, as far as mail is concerned: has it a mail exchanger, of whatever
 * name, or an address? A null MX gives DNS_NO_DATA and 5.1.0 in why. */
enum dns_status dns_domain_exists(const char *domain, const struct dns_how *how, struct arena *mem,
                                  int64_t deadline_ms, struct why *why)
    __attribute__((warn_unused_result));
/* (waits) The name of an address, from its PTR record or /etc/hosts. */
enum dns_status dns_name_of(const struct addr *addr, struct arena *mem, int64_t deadline_ms,
                            const char **name, struct why *why) __attribute__((warn_unused_result));

#endif
