/*
 * Tokens: who has logged in. The mailbox broker exchanges the token of a front for a ticket; the
 * program that starts the session redeems the ticket.
 */
#include "auth/auth_client_inside.h"
#include "auth/user.h"
#include "base/arena.h"
#include "base/num.h"
#include "base/str.h"

static const char *keep(struct arena *mem, const struct auth_msg *m, const char *name)
{
    struct str value = auth_msg_get(m, name);
    return value.p == NULL || str_find(value, '\0') >= 0 ? "" : arena_strz(mem, value);
}

/* False: not complete. */
static bool take_user(struct user *u, struct arena *mem, const struct auth_msg *m)
{
    struct str name = auth_msg_arg(m, 0);

    if (name.n == 0 || str_find(name, '\0') >= 0)
        return false;
    *u = (struct user){.name = arena_strz(mem, name),
                       .home = keep(mem, m, "home"),
                       .mail = keep(mem, m, "mail"),
                       .quota_rule = keep(mem, m, "quota_rule")};
    return num_parse_u32(auth_msg_get(m, "uid"), 0, UINT32_MAX - 1, &u->uid) &&
           num_parse_u32(auth_msg_get(m, "gid"), 0, UINT32_MAX - 1, &u->gid) && *u->mail != '\0';
}

static bool take_ticket(struct ticket *t, struct arena *mem, const struct auth_msg *m)
{
    struct str name = auth_msg_arg(m, 0);

    if (name.n == 0 || str_find(name, '\0') >= 0)
        return false;
    *t = (struct ticket){.user = arena_strz(mem, name), .text = keep(mem, m, "ticket")};
    return *t->text != '\0';
}

enum auth_answer auth_redeem_answer(struct auth_login *l, const struct auth_msg *m)
{
    bool complete = false;

    if (m->verb == AUTH_V_TICKET)
        complete = l->ticket != NULL && take_ticket(l->ticket, l->mem, m);
    else
        complete = l->found != NULL && take_user(l->found, l->mem, m);
    return complete ? AUTH_OK : AUTH_LATER;
}

struct question {
    enum auth_verb verb;
    struct ticket *ticket; /* where the answer goes: here, */
    struct user *found; /* or here, */
    struct arena *mem; /* with its texts */
};

/* (waits) */
static enum auth_answer ask(struct auth_client *c, const struct question *q, const char *text,
                            const char *service, int64_t deadline, struct why *why)
{
    struct auth_login *l = auth_login_new(c);
    struct buf line = BUF(AUTH_LINE_MAX);

    l->ticket = q->ticket;
    l->found = q->found;
    l->mem = q->mem;
    auth_wire_begin_id(&line, q->verb, l->id);
    auth_wire_arg(&line, strz(text));
    auth_wire_pair(&line, "service", strz(service));
    auth_wire_end(&line);
    enum auth_answer answer = auth_login_ask(l, &line, deadline, why);
    auth_wipe(&line);
    if (answer == AUTH_DENIED && l->reason.n == 0) {
        why_clear(why);
        why_set(why, "4.7.0", "authd does not know the login, or not any more");
    }
    auth_login_free(&l);
    return answer;
}

enum auth_answer auth_client_exchange(struct auth_client *c, const char *token, const char *service,
                                      int64_t deadline, struct ticket *t, struct arena *mem,
                                      struct why *why)
{
    struct question q = {.verb = AUTH_V_EXCHANGE, .ticket = t, .mem = mem};
    return ask(c, &q, token, service, deadline, why);
}

enum auth_answer auth_client_redeem(struct auth_client *c, const char *ticket, const char *service,
                                    int64_t deadline, struct user *u, struct arena *mem,
                                    struct why *why)
{
    struct question q = {.verb = AUTH_V_REQUEST, .found = u, .mem = mem};
    return ask(c, &q, ticket, service, deadline, why);
}
