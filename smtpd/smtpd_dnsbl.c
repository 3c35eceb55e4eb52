/*
 * Restrictions that ask DNS lists about the client, what it calls itself, the sender or the
 * recipient. RFC 5782
 */
#include "base/msg.h"
#include "conf/conf.h"
#include "mail/path.h"
#include "task/task.h"

#include "smtpd_check.h"

static VEC(struct restriction) maps_rbl; /* of maps_rbl_domains: each as if in reject_rbl_client */

enum { REASON_MOST = 1000 }; /* bytes of TXT records; the rest is not told */

/* What a restriction asks about. The words are Postfix's. */
enum subject { CLIENT_ADDRESS, CLIENT_NAME, REVERSE_NAME, HELO, SENDER, RCPT };
static const struct kind {
    const char *restriction;
    enum subject subject;
    const char *class;
} kinds[] = {
    {"permit_dnswl_client", CLIENT_ADDRESS, "Client host"},
    {"permit_rhswl_client", CLIENT_NAME, "Client host"},
    {"reject_rbl_client", CLIENT_ADDRESS, "Client host"},
    {"reject_rhsbl_client", CLIENT_NAME, "Client host"},
    {"reject_rhsbl_helo", HELO, "Helo command"},
    {"reject_rhsbl_recipient", RCPT, "Recipient address"},
    {"reject_rhsbl_reverse_client", REVERSE_NAME, "Unverified Client host"},
    {"reject_rhsbl_sender", SENDER, "Sender address"},
};

static const struct kind *kind_of(const struct restriction *r)
{
    size_t i = 0;

    while (strcasecmp(kinds[i].restriction, r->name) != 0)
        i++;
    return &kinds[i];
}

/* Null: there is none yet, or it has no name. */
static const char *subject_of(const struct check *k, enum subject subject)
{
    const struct smtpd *s = k->s;
    const char *name = subject == CLIENT_NAME ? s->peer.name : s->peer.reverse_name;

    switch (subject) {
    case CLIENT_ADDRESS:
        return s->peer.addr_text;
    case CLIENT_NAME:
    case REVERSE_NAME:
        return strcmp(name, "unknown") == 0 ? NULL : name;
    case HELO:
        return s->helo;
    case SENDER:
        return s->mail == NULL ? NULL : s->mail->sender;
    case RCPT:
        return k->rcpt;
    }
    return NULL;
}

/* The name to ask for. False: there is nothing to ask. */
static bool find_question(const struct check *k, const struct restriction *r,
                          const struct kind *kind, struct buf *name)
{
    const char *about = subject_of(k, kind->subject);
    bool is_address = kind->subject == SENDER || kind->subject == RCPT;

    if (about == NULL)
        return false;
    if (kind->subject == CLIENT_ADDRESS)
        return dnsbl_name_of_addr(r->dnsbl, &k->s->peer.addr, name);
    return dnsbl_name_of_domain(r->dnsbl, is_address ? path_domain(strz(about)) : strz(about),
                                name);
}

/* This list's, and those of the lists that stand behind it: they come while we wait. */
static void ask_ahead(const struct check *k)
{
    for (size_t i = k->at; i < k->list->at.n; i++) {
        const struct restriction *r = &k->list->at.at[i];
        struct buf name = BUF(600); /* fits: a domain has at most 255 bytes */
        if (r->dnsbl != NULL && find_question(k, r, kind_of(r), &name))
            smtpd_ask(k->s, name.p);
        buf_free(&name);
    }
}

static enum dict_answer look_up(struct check *k, const struct restriction *r, const char *name)
{
    struct why why = WHY;
    const struct dns_answer *a = smtpd_answer(k->s, name, &why);
    enum dict_answer found = DICT_NONE;

    if (a->status == DNS_FAILED) {
        msg_warn_each("%s: RBL lookup error: %s", name, why_text(&why));
        found = DICT_FAILED;
    }
    for (size_t i = 0; a->status == DNS_OK && i < a->n; i++)
        if (a->records[i].type == DNS_A && dnsbl_counts(r->dnsbl, &a->records[i].addr))
            found = DICT_FOUND;
    why_free(&why);
    return found;
}

/* What the list says of the entry: its TXT records. */
static void find_reason(const char *name, struct buf *reason)
{
    int64_t deadline = task_now() + conf.smtpd_timeout * 1000;
    struct arena *mem = arena_new(NULL);
    struct dns_answer answer;
    struct why why = WHY;

    if (dns_ask(name, DNS_TXT, mem, deadline, &answer, &why) == DNS_OK)
        for (size_t i = 0; i < answer.n; i++)
            if (answer.records[i].type == DNS_TXT && reason->n + 3 < REASON_MOST) {
                buf_addz(reason, reason->n > 0 ? " / " : "");
                buf_add(reason, str_upto(answer.records[i].data, REASON_MOST - reason->n));
            }
    for (size_t i = 0; i < reason->n; i++)
        if (reason->p[i] < ' ' || reason->p[i] > '~')
            reason->p[i] = ' ';
    why_free(&why);
    arena_free(&mem);
}

static enum verdict reject_listed(struct check *k, const struct restriction *r)
{
    const struct kind *kind = kind_of(r);
    struct buf name = BUF(600); /* fits: a domain has at most 255 bytes */
    struct buf reason = BUF(REASON_MOST); /* fits: see find_reason */
    enum verdict v = VERDICT_DUNNO;

    ask_ahead(k);
    if (find_question(k, r, kind, &name) && look_up(k, r, name.p) == DICT_FOUND) {
        find_reason(name.p, &reason);
        v = check_deny_listed(k, r, kind->class, subject_of(k, kind->subject), reason.p);
    }
    buf_free(&name);
    buf_free(&reason);
    return v;
}

/* reject_rbl_client for each of maps_rbl_domains: how it was written before Postfix 2.1. */
static enum verdict reject_maps_rbl(struct check *k, const struct restriction *r)
{
    struct buf name = BUF(600); /* fits: a domain has at most 255 bytes */
    enum verdict v = VERDICT_DUNNO;

    (void)r;
    VEC_EACH (&maps_rbl, list) {
        buf_clear(&name);
        if (find_question(k, list, kind_of(list), &name))
            smtpd_ask(k->s, name.p);
    }
    buf_free(&name);
    for (size_t i = 0; i < maps_rbl.n && v == VERDICT_DUNNO; i++)
        v = reject_listed(k, &maps_rbl.at[i]);
    return v;
}

void smtpd_open_maps_rbl(void)
{
    struct str rest = strz(conf.maps_rbl_domains), word;
    struct dnsbl list;
    struct why why = WHY;

    while (str_word(&rest, ", \t\r\n", &word)) {
        if (dnsbl_parse(word, &list, &why) < 0) {
            conf_fault("maps_rbl_domains", "%s", why_text(&why));
            continue;
        }
        struct restriction *r = VEC_ADD(&maps_rbl);
        r->name = mem_dupz("reject_rbl_client");
        r->arg = mem_dup(word.p, word.n);
        r->dnsbl = mem_new(sizeof list);
        *r->dnsbl = list;
    }
    why_free(&why);
}

/* Nobody shall relay because he stands in a list of good clients. Behind RCPT that is decided. */
static enum verdict may_permit(struct check *k)
{
    return k->rcpt == NULL || strcmp(k->s->where, "RCPT") != 0
               ? VERDICT_PERMIT
               : check_permit_auth_destination(k, NULL);
}

static enum verdict permit_listed(struct check *k, const struct restriction *r)
{
    const struct kind *kind = kind_of(r);
    struct buf name = BUF(600); /* fits: a domain has at most 255 bytes */
    struct buf text = BUF_TEXT(1000);
    enum dict_answer found = DICT_NONE;
    enum verdict v = may_permit(k);

    if (v != VERDICT_PERMIT)
        return v;
    ask_ahead(k);
    if (find_question(k, r, kind, &name))
        found = look_up(k, r, name.p);
    if (found == DICT_FAILED) { /* whoever is not let through now may be in the list */
        buf_addf(&text, "<%s>: %s rejected: Service unavailable", subject_of(k, kind->subject),
                 kind->class);
        check_defer_if_reject(k, 450, "4.7.1", text.p);
    }
    buf_free(&name);
    buf_free(&text);
    return found == DICT_FOUND ? VERDICT_PERMIT : VERDICT_DUNNO;
}

const struct restriction_def smtpd_dnsbl_restrictions[] = {
    {"permit_dnswl_client", permit_listed, RESTRICTION_DNSBL},
    {"permit_rhswl_client", permit_listed, RESTRICTION_DNSBL},
    {"reject_maps_rbl", reject_maps_rbl},
    {"reject_rbl_client", reject_listed, RESTRICTION_DNSBL},
    {"reject_rhsbl_client", reject_listed, RESTRICTION_DNSBL},
    {"reject_rhsbl_helo", reject_listed, RESTRICTION_DNSBL},
    {"reject_rhsbl_recipient", reject_listed, RESTRICTION_DNSBL},
    {"reject_rhsbl_reverse_client", reject_listed, RESTRICTION_DNSBL},
    {"reject_rhsbl_sender", reject_listed, RESTRICTION_DNSBL},
    {.name = NULL},
};
