/*
 * After the login: the mailbox broker exchanges the token of a front for a ticket, and the program
 * that starts sessions redeems the ticket.
 */
#include "auth/user.h"
#include "base/arena.h"
#include "base/msg.h"
#include "base/str.h"
#include "service/service.h"
#include "task/task.h"

#include "authd.h"

static void authd_session_say(struct authd_conn *c, struct buf *line)
{
    auth_wire_end(line);
    conn_say(c, line);
    buf_free(line);
}

static void say_no(struct authd_conn *c, const struct auth_msg *m, bool temporary,
                   const char *reason)
{
    struct buf line = BUF(AUTH_LINE_MAX); /* asked: by conn_say */

    auth_wire_begin_id(&line, AUTH_V_FAIL, m->id);
    if (temporary)
        auth_wire_arg(&line, STR("temp"));
    auth_wire_pair(&line, "reason", strz(reason));
    authd_session_say(c, &line);
}

/* The name that a token or ticket stands for; false: answered, and logged. */
static bool take_token(struct authd_conn *c, const struct auth_msg *m, enum token_kind kind,
                       struct buf *name)
{
    const char *what = kind == TOKEN_OF_FRONT ? "login token" : "session ticket";
    const char *problem =
        token_redeem(kind, auth_msg_arg(m, 0), auth_msg_get(m, "service"), task_now(), name);
    struct buf line = BUF(AUTH_LINE_MAX); /* asked: by conn_say */

    if (problem == NULL)
        return true;
    msg_warn("a %s is refused: %s", what, problem);
    auth_wire_begin_id(&line, AUTH_V_NOTFOUND, m->id);
    authd_session_say(c, &line);
    return false;
}

static void give_ticket(struct authd_conn *c, const struct auth_msg *m, struct str name)
{
    struct buf ticket = BUF(TOKEN_MAX); /* fits: token_make has one length */
    struct buf line = BUF(AUTH_LINE_MAX); /* asked: by conn_say */
    struct arena *mem = arena_new(NULL);
    const char *service = conn_keep(mem, auth_msg_get(m, "service"));

    if (token_make(TOKEN_OF_BROKER, name, service, task_now(), &ticket)) {
        auth_wire_begin_id(&line, AUTH_V_TICKET, m->id);
        auth_wire_arg(&line, name);
        auth_wire_pair(&line, "ticket", buf_str(&ticket));
        authd_session_say(c, &line);
    } else {
        say_no(c, m, true, "too many logins wait for their sessions");
    }
    buf_free(&ticket);
    arena_free(&mem);
}

bool session_exchange(struct authd_conn *c, const struct auth_msg *m)
{
    struct buf name = BUF(SASL_FIELD_MAX); /* fits: user_normalise has made it */

    if (c->state == CONN_VERSION && !service_may_ask(c->stream, "EXCHANGE"))
        return false;
    c->state = CONN_BROKER;
    c->has_asked = true;
    if (take_token(c, m, TOKEN_OF_FRONT, &name))
        give_ticket(c, m, buf_str(&name));
    buf_free(&name);
    return true;
}

static void say_user(struct authd_conn *c, uint32_t id, const struct user *u)
{
    struct buf line = BUF(AUTH_LINE_MAX); /* asked: by conn_say */

    auth_wire_begin_id(&line, AUTH_V_USER, id);
    auth_wire_arg(&line, strz(u->name));
    buf_addf(&line, "\tuid=%u\tgid=%u", u->uid, u->gid);
    auth_wire_pair(&line, "home", strz(u->home));
    auth_wire_pair(&line, "mail", strz(u->mail));
    if (*u->quota_rule != '\0')
        auth_wire_pair(&line, "quota_rule", strz(u->quota_rule));
    authd_session_say(c, &line);
}

/* (waits) */
static void give_user(struct authd_conn *c, const struct auth_msg *m, struct str name)
{
    struct arena *mem = arena_new(NULL);
    struct why why = WHY;
    struct user u;

    switch (users_find(name, mem, &u, &why)) {
    case USER_FOUND:
        say_user(c, m->id, &u);
        break;
    case USER_UNKNOWN:
        msg_warn("%.*s has logged in but has no mailbox: %s", (int)name.n, name.p, why_text(&why));
        say_no(c, m, false, why_text(&why));
        break;
    case USER_LATER:
        msg_warn("%.*s has logged in but cannot be looked up: %s", (int)name.n, name.p,
                 why_text(&why));
        say_no(c, m, true, why_text(&why));
        break;
    }
    arena_free(&mem);
    why_free(&why);
}

bool session_redeem(struct authd_conn *c, const struct auth_msg *m)
{
    struct buf name = BUF(SASL_FIELD_MAX); /* fits: user_normalise has made it */

    if (c->state == CONN_VERSION && !service_may_ask(c->stream, "REQUEST"))
        return false;
    c->state = CONN_OPENER;
    c->has_asked = true;
    if (take_token(c, m, TOKEN_OF_BROKER, &name))
        give_user(c, m, buf_str(&name));
    buf_free(&name);
    return true;
}
