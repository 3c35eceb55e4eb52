/*
 * smtp_dns_reply_filter and its like: which records of an answer are left out.
 */
#include "base/msg.h"
#include "base/str.h"
#include "net/dns_ask.h"
#include "task/task.h"

static dns_filter_fn *filter;

void dns_set_filter(dns_filter_fn *fn)
{
    filter = fn;
}

static void add_bytes(struct buf *line, struct str bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        buf_addf(line, "%02X", (unsigned char)bytes.p[i]);
}

/* RFC 6698 2.2: three numbers, and the data. */
static void add_tlsa(struct buf *line, struct str data)
{
    if (data.n < 3)
        return;
    buf_addf(line, "%u %u %u ", (unsigned char)data.p[0], (unsigned char)data.p[1],
             (unsigned char)data.p[2]);
    add_bytes(line, str_from(data, 3));
}

static void describe(const struct dns_record *r, struct buf *line)
{
    char text[ADDR_TEXT];

    buf_addf(line, "%s. %u IN %s ", r->owner, (unsigned)r->ttl, dns_type_name(r->type));
    switch (r->type) {
    case DNS_A:
    case DNS_AAAA:
        buf_addz(line, addr_text(&r->addr, text));
        break;
    case DNS_MX:
        buf_addf(line, "%u %s.", r->pref, r->name);
        break;
    case DNS_SRV:
        buf_addf(line, "%u %u %u %s.", r->pref, r->weight, r->port, r->name);
        break;
    case DNS_TXT:
        buf_add(line, r->data);
        break;
    case DNS_TLSA:
        add_tlsa(line, r->data);
        break;
    default:
        buf_addf(line, "%s.", r->name != NULL ? r->name : "");
    }
}

/* (waits) when it takes long: whoever owns a domain may give it hundreds of records, and each is
 * looked for in all patterns. 1: it is left out; -1: nobody can say. */
static int ask_filter(const struct dns_record *r, struct why *why)
{
    struct buf line = BUF(70000);
    int result;

    describe(r, &line);
    if (!buf_ok(&line))
        result = why_set(why, "4.7.0", "a record is too long");
    else
        result = filter(line.p, why);
    if (result > 0)
        msg_info("ignoring DNS RR: %s", line.p);
    buf_free(&line);
    task_yield_if_long();
    return result;
}

static enum dns_status fail(struct dns_answer *answer, const char *name, const char *code,
                            const char *text, struct why *why)
{
    why_set(why, code, "Error looking up name=%s type=%s: %s", name,
            dns_type_name(answer->records[0].type), text);
    answer->n = 0;
    return answer->status = DNS_FAILED;
}

enum dns_status dns_filter(struct dns_answer *answer, const char *name, struct why *why)
{
    struct why asked = WHY;
    size_t kept = 0;
    int result = 0;

    if (filter == NULL || answer->status != DNS_OK || answer->n == 0)
        return answer->status;
    for (size_t i = 0; i < answer->n && result >= 0; i++) {
        result = ask_filter(&answer->records[i], &asked);
        if (result == 0)
            answer->records[kept++] = answer->records[i];
    }
    if (result < 0)
        msg_warn("%s", why_text(&asked));
    why_free(&asked);
    if (result < 0)
        return fail(answer, name, "4.4.3", "Invalid DNS reply filter syntax", why);
    answer->n = kept;
    answer->filtered = kept == 0;
    return kept > 0 ? DNS_OK
                    : fail(answer, name, "4.7.0", "DNS reply filter drops all results", why);
}
