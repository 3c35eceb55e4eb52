/* resolver.h - the resolver as main.cf wants it */
#ifndef SERVICE_RESOLVER_H
#define SERVICE_RESOLVER_H

/* dns_setup (net/dns.h) with dns_servers, dns_timeout, dns_tries, dns_cache_size and
 * dns_cache_time. From service.open; ends the process if it cannot be done. */
void resolver_open(void);

/* The tables of a parameter like smtp_dns_reply_filter decide which records of answers count
 * (dns_set_filter). From service.open, behind resolver_open; the tables need jail_read_tables. */
void resolver_filter(const char *parameter, const char *tables);

#endif
