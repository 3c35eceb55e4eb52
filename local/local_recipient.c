/*
 * The order in which a local address is looked for: alias, .forward, mailbox, and the places for
 * those who are nowhere.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "route/resolve.h"
#include "route/rewrite.h"
#include "task/task.h"

#include "content.h"
#include "local.h"
#include "pass.h"

enum { ADDRESS_LIMIT = 64 * 1024 };

/* Back into the queue, with the sender that the expansion gave it. */
static void indirect(struct local *l, const struct address *a)
{
    struct buf text = BUF_TEXT(8192);

    if (local_seen(l, "indirect %s", a->address))
        return;
    if (local_trace_only(l)) {
        buf_addf(&text, "forwards to %s", a->address);
        local_sent(l, a, "2.0.0", text.p);
    } else
        resend_add(l->resend, a);
    buf_free(&text);
}

static enum rcpt_status pass(struct local *l, const struct address *a, const char *transport)
{
    struct rcpt r = *l->rcpt;

    r.address = a->address;
    l->said = true;
    return pass_to(l->job, transport, &r, a->sender);
}

static bool to_luser_relay(struct local *l, const struct address *a)
{
    struct buf address = BUF(ADDRESS_LIMIT);
    struct why why = WHY;
    struct address next = *a;

    if (*conf.luser_relay == 0)
        return false;
    next.unmatched = "";
    if (!local_expand(l, &next, conf.luser_relay, NULL, &address) || !buf_ok(&address)) {
        why_set(&why, "4.3.5", "mail system configuration error");
        local_failed(l, a, &why);
    } else
        local_address(l, &next, address.p);
    buf_free(&address);
    why_free(&why);
    return true;
}

/* 1: there is one and it has had the mail. */
static int to_transport(struct local *l, const struct address *a, struct maps *maps,
                        const char *transport, struct why *why)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    enum dict_answer answer = maps_find(maps, a->user, &value, why);

    if (answer == DICT_FOUND)
        transport = value.p;
    if (answer != DICT_FAILED && *transport != 0)
        l->status = outcome_join(l->status, pass(l, a, transport));
    int status = answer == DICT_FAILED ? -1 : *transport != 0;
    buf_free(&value);
    return status;
}

static void unknown(struct local *l, const struct address *a)
{
    struct why why = WHY;
    int status;

    if (local_seen(l, "unknown %s", a->local))
        return;
    status = to_transport(l, a, local_tables.fallback_transports, conf.fallback_transport, &why);
    if (status < 0)
        local_failed(l, a, &why);
    if (status == 0 && !to_luser_relay(l, a)) {
        if (strcasecmp(a->user, "postmaster") == 0 || strcasecmp(a->user, "mailer-daemon") == 0) {
            msg_warn("required alias not found: %s", a->user);
            local_sent(l, a, "2.0.0", "discarded");
        } else {
            why_set(&why, "5.1.1", "unknown user: \"%s\"", a->user);
            local_failed(l, a, &why);
        }
    }
    why_free(&why);
}

/* A user whose mail another agent keeps. False: none does. */
static bool to_mailbox_transport(struct local *l, const struct address *a)
{
    struct why why = WHY;
    int status;

    if (maps_empty(local_tables.mailbox_transports) && *conf.mailbox_transport == 0)
        return false;
    status = to_transport(l, a, local_tables.mailbox_transports, conf.mailbox_transport, &why);
    if (status < 0)
        local_failed(l, a, &why);
    why_free(&why);
    return status != 0;
}

/* Once, whichever way it is delivered. False: there is no such user. */
static bool to_mailbox(struct local *l, const struct address *a)
{
    if (local_seen(l, "mailbox %s", a->local))
        return true;
    return to_mailbox_transport(l, a) || local_mailbox(l, a);
}

static bool find_alias(struct local *l, struct address *a)
{
    a->unmatched = "";
    if (local_alias(l, a, a->local))
        return true;
    if (*a->ext != 0) {
        if (str_listed(conf.propagate_unmatched_extensions, "alias"))
            a->unmatched = a->ext;
        if (local_alias(l, a, a->user))
            return true;
        a->unmatched = a->ext;
    }
    return false;
}

/* The parts of the address; the text is folded for all lookups here. */
static void split(struct local *l, struct address *a)
{
    const char *at = strrchr(a->address, '@');
    struct str whole = {a->address, at != NULL ? (size_t)(at - a->address) : strlen(a->address)};
    char *local = arena_strz(l->mem, whole);

    str_lower(local, whole.n);
    size_t user = addr_user_length(strz(local));
    a->local = local;
    a->user = arena_strz(l->mem, (struct str){local, user});
    a->ext = local[user] != 0 ? local + user + 1 : "";
    a->domain = at != NULL ? at + 1 : "";
    if (*a->delivered == 0)
        a->delivered = a->address;
}

/* Mail that has been here before, says its Delivered-To. */
static bool is_loop(struct local *l, const struct address *a)
{
    struct why why = WHY;

    if (l->delivered_to == NULL)
        l->delivered_to = content_delivered_to(l->job);
    if (!content_is_among(l->delivered_to, a->address))
        return false;
    why_set(&why, "5.4.6", "mail forwarding loop for %s", a->address);
    local_failed(l, a, &why);
    why_free(&why);
    return true;
}

/* "\\user" in a table or file of this host: that user's mailbox, whatever aliases and .forward
 * files there are, as in Postfix. ("\user" is only another spelling of user, RFC 5322 3.2.4.) */
static bool take_backslash(struct address *a)
{
    if (a->level == 0 || a->local[0] != '\\')
        return false;
    a->local++;
    a->user += a->user[0] == '\\';
    a->address = strchr(a->address, '\\') + 1;
    return true;
}

void local_recipient(struct local *l, const struct address *from)
{
    struct address a = *from;

    if (local_visited(l, from))
        return;
    if (from->level > 0)
        task_yield(); /* a long list is not to keep other deliveries waiting */
    if (is_loop(l, &a))
        return;
    split(l, &a);
    if (take_backslash(&a)) {
        if (!to_mailbox(l, &a))
            unknown(l, &a);
        return;
    }
    if (find_alias(l, &a))
        return;
    /* What somebody forwards gets a record of its own in the queue. */
    if (a.origin == FROM_INCLUDE || (*a.owner != 0 && strcasecmp(a.owner, a.user) != 0)) {
        indirect(l, &a);
        return;
    }
    if (!local_forward(l, &a) && !to_mailbox(l, &a))
        unknown(l, &a);
}

/* Puts the extension that nothing has matched yet into the new address. */
static const char *with_extension(struct local *l, const struct address *a, const char *address)
{
    const char *at = strrchr(address, '@');

    if (*a->unmatched == 0 || at == NULL || *conf.recipient_delimiter == 0)
        return arena_strz(l->mem, strz(address));
    return arena_printf(l->mem, "%.*s%c%s%s", (int)(at - address), address,
                        *conf.recipient_delimiter, a->unmatched, at);
}

void local_address(struct local *l, const struct address *a, const char *text)
{
    struct buf address = BUF(ADDRESS_LIMIT);
    struct route route = ROUTE;
    struct why why = WHY;
    struct address next = *a;

    rewrite_address(REWRITE_LOCAL, text, &address);
    if (resolve_address(RESOLVE_MAIL, a->sender, address.p, &route, &why) < 0) {
        why_set(&why, "4.3.0", "address resolver failure");
        local_failed(l, a, &why);
    } else if (route.bad_address || !buf_ok(&address)) {
        why_set(&why, "5.1.3", "bad recipient address syntax: %s", text);
        local_failed(l, a, &why);
    } else {
        next.address = with_extension(l, a, route.recipient.p);
        if (strcmp(route.transport.p, l->job->outcome.relay) == 0) {
            next.level++;
            local_recipient(l, &next);
        } else
            indirect(l, &next);
    }
    buf_free(&address);
    route_free(&route);
    why_free(&why);
}
