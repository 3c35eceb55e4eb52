/*
 * How many sessions one client address has at a time, in this process.
 */
#include "base/hash.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "dict/match.h"

#include "smtpd.h"

static struct {
    struct hash *clients; /* address text to count */
    struct match *exceptions;
} limits;

void smtpd_open_limits(void)
{
    limits.clients = hash_new();
    limits.exceptions =
        match_open("smtpd_client_event_limit_exceptions", conf.smtpd_client_event_limit_exceptions);
}

static bool excepted(struct smtpd *s)
{
    struct why why = WHY;
    enum dict_answer answer = match_host(limits.exceptions, s->peer.name, s->peer.addr_text, &why);

    if (answer == DICT_FAILED)
        msg_warn("%s", why_text(&why));
    why_free(&why);
    return answer == DICT_FOUND;
}

bool smtpd_limit_enter(struct smtpd *s)
{
    struct str key = strz(s->peer.addr_text);
    uintptr_t n = (uintptr_t)hash_find(limits.clients, key) + 1;

    hash_put(limits.clients, key, (void *)n); /* the pointer is the count itself */
    s->counted = true;
    return conf.smtpd_client_connection_count_limit <= 0 ||
           n <= (uintptr_t)conf.smtpd_client_connection_count_limit || excepted(s);
}

void smtpd_limit_leave(struct smtpd *s)
{
    struct str key = strz(s->peer.addr_text);
    uintptr_t n = s->counted ? (uintptr_t)hash_find(limits.clients, key) : 0;

    if (n > 1)
        hash_put(limits.clients, key, (void *)(n - 1));
    else if (n == 1)
        hash_drop(limits.clients, key);
}
