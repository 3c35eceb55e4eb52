/*
 * Requests on that connection and their answers: an attempt to log in, step by step.
 */
#include "auth/auth_client_inside.h"
#include "base/hash.h"
#include "base/str.h"
#include "task/task.h"

static void set_field(struct buf *b, const struct auth_msg *m, const char *name)
{
    struct str value = auth_msg_get(m, name);
    if (value.p != NULL && str_find(value, '\0') < 0)
        buf_set(b, value);
}

void auth_login_answer(struct auth_client *c, const struct auth_msg *m)
{
    struct auth_login *l = hash_find(c->logins, auth_id_key(&m->id));

    if (l == NULL || l->state != LOGIN_ASKED)
        return; /* given up in the meantime */
    set_field(&l->user, m, "user");
    if (m->verb == AUTH_V_CONT) {
        l->answer = AUTH_MORE;
        buf_set(&l->challenge, auth_msg_arg(m, 0));
    } else if (m->verb == AUTH_V_USER || m->verb == AUTH_V_TICKET) {
        l->answer = auth_redeem_answer(l, m);
    } else if (m->verb == AUTH_V_OK) {
        l->answer = l->user.n > 0 ? AUTH_OK : AUTH_LATER;
        set_field(&l->token, m, "token");
    } else {
        l->answer = auth_msg_has(m, "temp") ? AUTH_LATER : AUTH_DENIED;
        set_field(&l->code, m, "code");
        set_field(&l->reason, m, "reason");
    }
    if (m->verb != AUTH_V_CONT)
        hash_drop(c->logins, auth_id_key(&m->id));
    l->state = LOGIN_ANSWERED;
    if (l->task != NULL)
        task_wake(l->task);
}

void auth_login_lost(struct auth_login *l)
{
    l->state = LOGIN_LOST;
    if (l->task != NULL)
        task_wake(l->task);
}

static bool is_base64(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '+' && c != '/' && c != '=')
            return false;
    }
    return true;
}

static enum auth_answer denied(struct auth_login *l, const char *reason, struct why *why)
{
    buf_setz(&l->reason, reason);
    why_set(why, "5.7.8", "%s", reason);
    return AUTH_DENIED;
}

/* Of a server that has said nothing at all since it was asked, nobody knows whether it is still
 * there: a firewall may have forgotten the connection, or its host may have gone without a word. */
static void give_up(struct auth_login *l)
{
    if (l->client->fd < 0 || l->client->heard != l->heard)
        return;
    hash_drop(l->client->logins, auth_id_key(&l->id));
    l->state = LOGIN_IDLE;
    auth_client_hang_up(l->client);
}

/* (waits) for the server's word on what has been sent. */
static enum auth_answer wait_answer(struct auth_login *l, int64_t deadline, struct why *why)
{
    enum wait w = WAIT_READY;

    l->task = task_self();
    while (l->state == LOGIN_ASKED && w != WAIT_TIMEOUT && w != WAIT_CANCELLED)
        w = task_park(deadline);
    l->task = NULL;
    if (l->state == LOGIN_ASKED && w == WAIT_TIMEOUT)
        give_up(l);
    if (l->state != LOGIN_ANSWERED) {
        auth_no_answer(l->client, why);
        return AUTH_LATER;
    }
    if (l->answer == AUTH_LATER)
        why_set(why, "4.7.0", "%s",
                l->reason.n > 0 ? l->reason.p : "temporary authentication failure");
    else if (l->answer == AUTH_DENIED)
        why_set(why, "5.7.8", "%s", l->reason.n > 0 ? l->reason.p : "authentication failed");
    return l->answer;
}

static void pair_if(struct buf *out, const char *name, const char *value)
{
    if (value != NULL && *value != '\0')
        auth_wire_pair(out, name, strz(value));
}

static void format_ask(struct buf *out, uint32_t id, const struct auth_ask *ask)
{
    auth_wire_begin_id(out, AUTH_V_AUTH, id);
    auth_wire_arg(out, ask->mech);
    auth_wire_pair(out, "service", strz(ask->service));
    if (ask->secured)
        auth_wire_arg(out, STR("secured"));
    if (ask->tls)
        auth_wire_arg(out, STR("tls"));
    pair_if(out, "rip", ask->client_address);
    pair_if(out, "rport", ask->client_port);
    pair_if(out, "lip", ask->server_address);
    pair_if(out, "lport", ask->server_port);
    if (ask->initial.p != NULL)
        auth_wire_pair(out, "resp", str_eqz(ask->initial, "=") ? STR("") : ask->initial);
    auth_wire_end(out);
}

/* (waits) Sends the line as a request of this attempt, then waits for the answer. */
static enum auth_answer ask(struct auth_login *l, const struct buf *line, int64_t deadline,
                            struct why *why)
{
    struct auth_client *c = l->client;

    if (!buf_ok(line))
        return denied(l, "authentication response too long", why);
    if (!auth_client_send(c, line)) {
        l->state = LOGIN_LOST;
        auth_no_answer(c, why);
        return AUTH_LATER;
    }
    if (hash_find(c->logins, auth_id_key(&l->id)) == NULL)
        hash_put(c->logins, auth_id_key(&l->id), l);
    l->state = LOGIN_ASKED;
    l->heard = c->heard;
    return wait_answer(l, deadline, why);
}

void auth_wipe(struct buf *line)
{
    if (line->room > 0)
        explicit_bzero(line->p, line->room);
    buf_free(line);
}

/* (waits) The same for the first line of an attempt: it stands for itself, so it can be sent again
 * when the connection ends without an answer, as it does when the server is started anew. */
enum auth_answer auth_login_ask(struct auth_login *l, const struct buf *line, int64_t deadline,
                                struct why *why)
{
    enum auth_answer answer;
    int attempts = 0;

    do {
        l->state = LOGIN_IDLE;
        answer = auth_client_ready(l->client, deadline, why) < 0 ? AUTH_LATER
                                                                 : ask(l, line, deadline, why);
    } while (l->state == LOGIN_LOST && ++attempts < ATTEMPTS && !task_is_cancelled());
    if (answer == AUTH_OK || answer == AUTH_MORE)
        why_clear(why);
    return answer;
}

struct auth_login *auth_login_new(struct auth_client *c)
{
    struct auth_login *l = mem_new(sizeof *l);

    l->client = c;
    l->challenge = BUF(AUTH_LINE_MAX); /* fits: a part of a line */
    /* fits: or is left out whole; without a name the login is put off */
    l->user = l->token = l->code = l->reason = BUF(SASL_FIELD_MAX);
    do
        l->id = ++c->last_id;
    while (l->id == 0 || hash_find(c->logins, auth_id_key(&l->id)) != NULL);
    return l;
}

enum auth_answer auth_login_start(struct auth_client *c, const struct auth_ask *what,
                                  int64_t deadline, struct auth_login **login, struct why *why)
{
    struct auth_login *l = *login = auth_login_new(c);
    struct buf line = BUF(AUTH_LINE_MAX);

    if (!is_base64(what->initial))
        return denied(l, "malformed authentication response", why);
    format_ask(&line, l->id, what);
    enum auth_answer answer = auth_login_ask(l, &line, deadline, why);
    auth_wipe(&line);
    return answer;
}

enum auth_answer auth_login_reply(struct auth_login *l, struct str base64, int64_t deadline,
                                  struct why *why)
{
    struct buf line = BUF(AUTH_LINE_MAX); /* asked: by ask() */

    if (l->state != LOGIN_ANSWERED || l->answer != AUTH_MORE) {
        auth_no_answer(l->client, why);
        return AUTH_LATER;
    }
    if (!is_base64(base64))
        return denied(l, "malformed authentication response", why);
    auth_wire_begin_id(&line, AUTH_V_CONT, l->id);
    auth_wire_arg(&line, base64);
    auth_wire_end(&line);
    enum auth_answer answer = ask(l, &line, deadline, why);
    auth_wipe(&line);
    return answer;
}

void auth_login_free(struct auth_login **login)
{
    struct auth_login *l = *login;
    struct buf line = BUF(64);

    if (l == NULL)
        return;
    *login = NULL;
    if (l->id != 0 && hash_drop(l->client->logins, auth_id_key(&l->id)) != NULL &&
        l->client->fd >= 0) {
        auth_wire_begin_id(&line, AUTH_V_CANCEL, l->id);
        auth_wire_end(&line);
        auth_client_send(l->client, &line);
        buf_free(&line);
    }
    buf_free(&l->challenge);
    buf_free(&l->user);
    buf_free(&l->token);
    buf_free(&l->code);
    buf_free(&l->reason);
    free(l);
}

const char *auth_login_challenge(const struct auth_login *l)
{
    return l->challenge.p;
}

const char *auth_login_user(const struct auth_login *l)
{
    return l->user.p;
}

const char *auth_login_token(const struct auth_login *l)
{
    return l->token.p;
}

const char *auth_login_code(const struct auth_login *l)
{
    return l->code.p;
}

const char *auth_login_reason(const struct auth_login *l)
{
    return l->reason.p;
}
