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

/* What the tables say of the user of a ticket. */
struct lookup {
    enum user_found found;
    struct arena *mem;
    struct user u;
    struct why why;
};

/* (waits) False: there will be no answer. A process that a table keeps out drains, and the next one
 * is asked for the same ticket: so the ticket must not have been used up. */
static bool look_up(const struct auth_msg *m, struct lookup *l)
{
    struct buf name = BUF(SASL_FIELD_MAX); /* fits: user_normalise has made it */
    bool answers = true;

    if (token_peek(TOKEN_OF_BROKER, auth_msg_arg(m, 0), auth_msg_get(m, "service"), task_now(),
                   &name)) {
        l->found = users_find(buf_str(&name), l->mem, &l->u, &l->why);
        answers = l->found != USER_LATER || !service_draining();
    }
    buf_free(&name);
    return answers;
}

static void give_user(struct authd_conn *c, const struct auth_msg *m, struct str name,
                      const struct lookup *l)
{
    switch (l->found) {
    case USER_FOUND:
        say_user(c, m->id, &l->u);
        break;
    case USER_UNKNOWN:
        msg_warn("%.*s has logged in but has no mailbox: %s", (int)name.n, name.p,
                 why_text(&l->why));
        say_no(c, m, false, why_text(&l->why));
        break;
    case USER_LATER:
        msg_warn("%.*s has logged in but cannot be looked up: %s", (int)name.n, name.p,
                 why_text(&l->why));
        say_no(c, m, true, why_text(&l->why));
        break;
    }
}

bool session_redeem(struct authd_conn *c, const struct auth_msg *m)
{
    struct buf name = BUF(SASL_FIELD_MAX); /* fits: user_normalise has made it */
    struct lookup l = {.found = USER_LATER, .why = WHY};

    if (c->state == CONN_VERSION && !service_may_ask(c->stream, "REQUEST"))
        return false;
    c->state = CONN_OPENER;
    c->has_asked = true;
    l.mem = arena_new(NULL);
    bool answers = look_up(m, &l);
    if (answers && take_token(c, m, TOKEN_OF_BROKER, &name))
        give_user(c, m, buf_str(&name), &l);
    buf_free(&name);
    arena_free(&l.mem);
    why_free(&l.why);
    return answers;
}
