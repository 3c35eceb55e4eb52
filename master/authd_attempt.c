/*
 * One attempt to log in, as a task: the mechanism's steps, the tables, the answer.
 */
#include "auth/auth_wire.h"
#include "auth/password.h"
#include "auth/user.h"
#include "base/arena.h"
#include "base/encode.h"
#include "base/hash.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/addr.h"
#include "service/metrics.h"
#include "service/service.h"
#include "task/task.h"

#include "authd.h"

/* What an attempt comes to. */
enum outcome {
    OUTCOME_OK,
    OUTCOME_WRONG, /* has been logged; the answer is delayed */
    OUTCOME_LATER, /* has been logged; nobody can say now */
};

static struct str id_key(const uint32_t *id)
{
    return (struct str){(const char *)id, sizeof *id};
}

static const char *log_name(const struct attempt *a)
{
    return a->name.n > 0 ? a->name.p : a->sasl.user.n > 0 ? a->sasl.user.p : "?";
}

/* As Dovecot's auth logs it: "passwd-file(user,address): text". */
static enum outcome wrong(const struct attempt *a, const char *source, const char *text)
{
    msg_info("%s(%s,%s): %s login by %s failed: %s", source, log_name(a),
             *a->client_address != '\0' ? a->client_address : "unknown", a->service,
             a->sasl.mech->name, text);
    return OUTCOME_WRONG;
}

static enum outcome later(const struct attempt *a, const char *text)
{
    if (!task_is_cancelled()) /* its client has not given it up */
        msg_warn("login of %s put off: %s", log_name(a), text);
    return OUTCOME_LATER;
}

/* ---- answers */

static void authd_attempt_say(struct attempt *a, struct buf *line)
{
    auth_wire_end(line);
    if (a->in_conn)
        conn_say(a->conn, line);
    buf_free(line);
}

static void say_failed(struct attempt *a, bool temporary)
{
    struct buf line = BUF(AUTH_LINE_MAX); /* asked: by conn_say */

    auth_wire_begin_id(&line, AUTH_V_FAIL, a->id);
    if (a->name.n > 0)
        auth_wire_pair(&line, "user", buf_str(&a->name));
    if (temporary)
        auth_wire_arg(&line, STR("temp"));
    if (*a->fail_code != '\0')
        auth_wire_pair(&line, "code", strz(a->fail_code));
    if (*a->fail_reason != '\0')
        auth_wire_pair(&line, "reason", strz(a->fail_reason));
    authd_attempt_say(a, &line);
}

static void say_later(struct attempt *a)
{
    ++*metrics_counter("logins_deferred");
    say_failed(a, true);
}

/* Nothing tells an unknown user from a wrong password, and what the check itself took is part of
 * the delay. */
static void say_wrong(struct attempt *a)
{
    int64_t due = a->started_ms + penalty_failed(a->client_address, task_now());

    ++*metrics_counter("logins_failed");
    while (task_now() < due && !service_draining() && !task_is_cancelled())
        task_park(due);
    say_failed(a, false);
}

static bool needs_token(const struct attempt *a)
{
    return strcmp(a->service, "imap") == 0 || strcmp(a->service, "pop3") == 0;
}

static void say_ok(struct attempt *a)
{
    struct buf line = BUF(AUTH_LINE_MAX); /* asked: by conn_say */
    struct buf token = BUF(TOKEN_MAX); /* fits: token_make has one length */

    if (!a->in_conn) /* the client does not want to know any more */
        return;
    if (needs_token(a) &&
        !token_make(TOKEN_OF_FRONT, buf_str(&a->name), a->service, task_now(), &token)) {
        later(a, "too many logins wait for their sessions");
        say_later(a);
        return;
    }
    ++*metrics_counter("logins");
    penalty_ok(a->client_address);
    auth_wire_begin_id(&line, AUTH_V_OK, a->id);
    auth_wire_pair(&line, "user", buf_str(&a->name));
    if (token.n > 0)
        auth_wire_pair(&line, "token", buf_str(&token));
    buf_free(&token);
    authd_attempt_say(a, &line);
}

static void say_challenge(struct attempt *a, const struct buf *challenge)
{
    struct buf line = BUF(AUTH_LINE_MAX); /* asked: by conn_say */

    auth_wire_begin_id(&line, AUTH_V_CONT, a->id);
    buf_addc(&line, '\t');
    encode_base64(&line, buf_str(challenge));
    authd_attempt_say(a, &line);
}

/* ---- the user's entry */

static bool is_allowed_from(struct str nets, const char *address)
{
    struct addr from;

    if (!addr_parse(strz(address), &from))
        return false;
    for (struct str net; str_word(&nets, ",", &net);) {
        struct prefix p;
        if (str_ieqz(net, "local") && addr_is_loopback(&from))
            return true;
        if (prefix_parse(net, &p, NULL) == 0 && prefix_has(&p, &from))
            return true;
    }
    return false;
}

/* Users who may not log in whatever their password. */
static enum outcome check_allowed(struct attempt *a, const struct passwd_entry *e, const char *kind)
{
    if (e->nologin.p != NULL) {
        a->fail_code = "user_disabled";
        a->fail_reason = arena_strz(a->mem, e->nologin);
        return wrong(a, kind, "nologin is set");
    }
    if (e->allow_nets.p != NULL && !is_allowed_from(e->allow_nets, a->client_address))
        return wrong(a, kind, "allow_nets does not list the address");
    return OUTCOME_OK;
}

/* (waits) */
static enum outcome find_entry(struct attempt *a, struct passwd_entry *e, const char **kind)
{
    struct why why = WHY;
    enum outcome outcome = OUTCOME_OK;

    *kind = "auth";
    if (user_normalise(buf_str(&a->sasl.user), &a->name, &why) < 0) {
        outcome = wrong(a, *kind, why_text(&why));
    } else if (a->sasl.authz.n > 0 && !str_eq(buf_str(&a->sasl.authz), buf_str(&a->sasl.user))) {
        a->fail_code = "authz";
        outcome = wrong(a, *kind, "acting as another user is not allowed");
    } else {
        enum user_found found = users_password(buf_str(&a->name), a->mem, e, kind, &why);
        if (found == USER_FOUND)
            outcome = check_allowed(a, e, *kind);
        else
            outcome =
                found == USER_UNKNOWN ? wrong(a, *kind, "unknown user") : later(a, why_text(&why));
    }
    why_free(&why);
    return outcome;
}

/* (waits) A slow hash: remembered, or computed by a worker. -1: nobody can say. */
static int check_slow(struct attempt *a, struct str stored, struct why *why)
{
    struct str user = buf_str(&a->name), plain = buf_str(&a->sasl.password);

    if (cache_has(user, plain, stored, task_now()))
        return PASSWORD_MATCH;
    int answer = workers_check(user, plain, stored, why);
    if (answer == PASSWORD_MATCH)
        cache_add(user, plain, stored, task_now());
    return answer;
}

static int check_stored(struct attempt *a, struct str stored, struct why *why)
{
    const char *scheme = conf.auth_default_pass_scheme;

    if (password_is_slow(stored, scheme))
        return check_slow(a, stored, why);
    return (int)password_check(buf_str(&a->name), buf_str(&a->sasl.password), stored, scheme, why);
}

static enum outcome judge(const struct attempt *a, const char *kind, int answer,
                          const struct why *why)
{
    switch (answer) {
    case PASSWORD_MATCH:
        return OUTCOME_OK;
    case PASSWORD_MISMATCH:
        return wrong(a, kind, "wrong password");
    case PASSWORD_UNKNOWN:
        msg_warn("%s(%s): %s", kind, log_name(a), why_text(why));
        return wrong(a, kind, why_text(why));
    default:
        return later(a, why_text(why));
    }
}

static enum outcome check_password(struct attempt *a)
{
    struct passwd_entry e;
    struct why why = WHY;
    const char *kind;

    enum outcome outcome = find_entry(a, &e, &kind);
    if (outcome == OUTCOME_OK && !e.nopassword)
        outcome = judge(a, kind, check_stored(a, e.password, &why), &why);
    why_free(&why);
    return outcome;
}

static enum outcome check_secret(struct attempt *a)
{
    struct passwd_entry e;
    const char *kind;

    enum outcome outcome = find_entry(a, &e, &kind);
    if (outcome != OUTCOME_OK)
        return outcome;
    if (!e.nopassword &&
        sasl_server_secret(&a->sasl, e.password, conf.auth_default_pass_scheme) == SASL_OK)
        return OUTCOME_OK;
    return wrong(a, kind, "wrong digest, or the password is not stored in a form that fits");
}

/* ---- the conversation */

/* Gives the mechanism what the client has said. */
static enum sasl_step take_step(struct attempt *a, struct buf *challenge)
{
    struct buf raw = BUF(AUTH_LINE_MAX);
    enum sasl_step step = SASL_BAD;

    a->started_ms = task_now();
    buf_clear(challenge);
    if (!a->has_response || decode_base64(&raw, buf_str(&a->response)))
        step = sasl_server_step(&a->sasl, a->has_response, buf_str(&raw), challenge);
    if (raw.room > 0)
        explicit_bzero(raw.p, raw.room);
    if (a->response.room > 0)
        explicit_bzero(a->response.p, a->response.room);
    buf_free(&raw);
    buf_clear(&a->response);
    a->has_response = false;
    return step;
}

/* (waits) False: it has not come in time, or the client has given up, or cannot say any more. */
static bool wait_response(struct attempt *a)
{
    int64_t until = task_now() + conf.login_timeout * 1000;

    a->wants_response = true;
    while (!a->has_response && !a->conn->over && task_now() < until && !task_is_cancelled())
        task_park(until);
    a->wants_response = false;
    return a->has_response && !task_is_cancelled();
}

/* (waits) Until the mechanism has all that it needs, or never will. */
static enum sasl_step converse(struct attempt *a)
{
    /* asked: by sasl_server_step */
    struct buf challenge = BUF(AUTH_LINE_MAX);
    enum sasl_step step = take_step(a, &challenge);

    while (step == SASL_MORE) {
        say_challenge(a, &challenge);
        if (!wait_response(a))
            break;
        step = take_step(a, &challenge);
    }
    buf_free(&challenge);
    return step;
}

static enum outcome run_attempt(struct attempt *a)
{
    switch (converse(a)) {
    case SASL_PASSWORD:
        return check_password(a);
    case SASL_SECRET:
        return check_secret(a);
    case SASL_MORE:
        return later(a, "the client has not gone on");
    case SASL_OK:
    case SASL_BAD:
        break;
    }
    return wrong(a, "auth", "malformed response");
}

static void leave_conn(struct attempt *a)
{
    if (a->in_conn)
        hash_drop(a->conn->attempts, id_key(&a->id));
    a->in_conn = false;
}

static void attempt(void *arg)
{
    struct attempt *a = arg;
    struct authd_conn *c = a->conn;
    struct arena *mem = a->mem; /* a is in it */

    switch (run_attempt(a)) {
    case OUTCOME_OK:
        say_ok(a);
        break;
    case OUTCOME_WRONG:
        say_wrong(a);
        break;
    case OUTCOME_LATER:
        if (!conn_ends_soon(c)) /* else the client asks the next process: an attempt of one step */
            say_later(a);
        break;
    }
    leave_conn(a);
    sasl_server_end(&a->sasl);
    buf_free(&a->name);
    buf_free(&a->response);
    arena_free(&mem);
    c->nrunning--;
    task_wake(c->task);
}

bool attempt_respond(struct attempt *a, struct str base64)
{
    if (!a->wants_response || a->has_response)
        return false;
    buf_set(&a->response, base64);
    a->has_response = true;
    task_wake(a->task);
    return true;
}

void attempt_cancel(struct attempt *a)
{
    leave_conn(a);
    task_cancel(a->task);
}

/* What an APOP stamp must begin with: our name for this connection, or what an earlier process had
 * for one of the same client. */
static const char *stamp_of(const struct authd_conn *c, const struct sasl_mech *mech,
                            struct str response, struct arena *mem)
{
    struct buf raw = BUF(AUTH_LINE_MAX);
    const char *stamp = NULL;

    if (strcmp(mech->name, "APOP") == 0 && decode_base64(&raw, response) && raw.n > 0)
        stamp = stamp_find(str_from(buf_str(&raw), 1), c->client, task_now(), mem);
    buf_free(&raw);
    return stamp != NULL ? stamp : c->stamp;
}

void attempt_start(struct authd_conn *c, const struct auth_msg *m, const struct sasl_mech *mech)
{
    struct arena *mem = arena_new(NULL);
    struct attempt *a = arena_alloc(mem, sizeof *a);
    struct str initial = auth_msg_get(m, "resp");

    *a = (struct attempt){.id = m->id,
                          .conn = c,
                          .mem = mem,
                          .name = BUF(SASL_FIELD_MAX), /* asked: by user_normalise */
                          .response = BUF(AUTH_LINE_MAX), /* fits: a part of a line */
                          .has_response = initial.p != NULL,
                          .in_conn = true,
                          .service = conn_keep(mem, auth_msg_get(m, "service")),
                          .client_address = conn_keep(mem, auth_msg_get(m, "rip")),
                          .fail_code = "",
                          .fail_reason = ""};
    buf_add(&a->response, initial.p != NULL ? initial : STR(""));
    sasl_server_begin(&a->sasl, mech, conf.myhostname);
    a->sasl.stamp = stamp_of(c, mech, initial, mem);
    hash_put(c->attempts, id_key(&a->id), a);
    c->nrunning++;
    a->task = task_start("attempt", attempt, a);
}
