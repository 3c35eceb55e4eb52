/*
 * One attempt to log in: from the mechanism's steps over the tables to the answer.
 */
#include "auth/auth_wire.h"
#include "auth/password.h"
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

static struct {
    struct hash *jobs; /* attempts that wait for a worker, by job */
} state;

static struct str job_key(const uint32_t *job)
{
    return (struct str){(const char *)job, sizeof *job};
}

static const char *log_name(const struct attempt *a)
{
    return a->name.n > 0 ? a->name.p : a->sasl.user.n > 0 ? a->sasl.user.p : "?";
}

/* As Dovecot's auth logs it: "passwd-file(user,address): text". */
static void log_failure(const struct attempt *a, const char *source, const char *text)
{
    msg_info("%s(%s,%s): %s login by %s failed: %s", source, log_name(a),
             *a->client_address != '\0' ? a->client_address : "unknown", a->service,
             a->sasl.mech->name, text);
}

/* ---- answers */

static void say_fail(struct attempt *a, struct buf *out)
{
    auth_wire_begin_id(out, AUTH_V_FAIL, a->id);
    if (a->name.n > 0)
        auth_wire_pair(out, "user", buf_str(&a->name));
    if (a->fail_temp)
        auth_wire_arg(out, STR("temp"));
    if (*a->fail_code != '\0')
        auth_wire_pair(out, "code", strz(a->fail_code));
    if (*a->fail_reason != '\0')
        auth_wire_pair(out, "reason", strz(a->fail_reason));
    auth_wire_end(out);
    conn_finished(a);
}

/* Wrong: the answer is counted and comes later. Nothing tells an unknown user from a wrong
 * password, and what the check itself took is part of the delay. */
static void fail(struct attempt *a, const char *source, const char *text)
{
    int64_t delay = penalty_failed(a->client_address, task_now());

    ++*metrics_counter("logins_failed");
    log_failure(a, source, text);
    a->failed = true;
    conn_wait(a, service_draining() ? task_now() : a->started + delay);
}

static void fail_later(struct attempt *a, const char *text)
{
    ++*metrics_counter("logins_deferred");
    msg_warn("login of %s put off: %s", log_name(a), text);
    a->fail_temp = true;
    say_fail(a, conn_out(a));
}

static bool needs_token(const struct attempt *a)
{
    return strcmp(a->service, "imap") == 0 || strcmp(a->service, "pop3") == 0;
}

static void succeed(struct attempt *a)
{
    struct buf *out = conn_out(a), token = BUF(TOKEN_MAX);

    if (needs_token(a) &&
        !token_make(TOKEN_OF_FRONT, buf_str(&a->name), a->service, task_now(), &token)) {
        fail_later(a, "too many logins wait for their sessions");
        return;
    }
    ++*metrics_counter("logins");
    penalty_ok(a->client_address);
    auth_wire_begin_id(out, AUTH_V_OK, a->id);
    auth_wire_pair(out, "user", buf_str(&a->name));
    if (token.n > 0)
        auth_wire_pair(out, "token", buf_str(&token));
    buf_free(&token);
    auth_wire_end(out);
    conn_finished(a);
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

/* Who may not log in whatever the password. True: the attempt has failed. */
static bool is_barred(struct attempt *a, const struct passwd_entry *e, const char *source)
{
    if (e->nologin.p != NULL) {
        a->fail_code = "user_disabled";
        a->fail_reason = arena_strz(a->mem, e->nologin);
        fail(a, source, "nologin is set");
        return true;
    }
    if (e->allow_nets.p != NULL && !is_allowed_from(e->allow_nets, a->client_address)) {
        fail(a, source, "allow_nets does not list the address");
        return true;
    }
    return false;
}

/* False: the attempt has been answered. */
static bool find_entry(struct attempt *a, struct passwd_entry *e, const char **source)
{
    struct why why = WHY;

    *source = "auth";
    if (user_normalise(buf_str(&a->sasl.user), &a->name, &why) < 0) {
        fail(a, *source, why_text(&why));
        why_free(&why);
        return false;
    }
    if (a->sasl.authz.n > 0 && !str_eq(buf_str(&a->sasl.authz), buf_str(&a->sasl.user))) {
        a->fail_code = "authz";
        fail(a, *source, "acting as another user is not allowed");
        return false;
    }
    switch (users_password(buf_str(&a->name), a->mem, e, source)) {
    case USER_FOUND:
        return !is_barred(a, e, *source);
    case USER_UNKNOWN:
        fail(a, *source, "unknown user");
        return false;
    default:
        fail_later(a, "the table cannot be read");
        return false;
    }
}

static void judge(struct attempt *a, const char *source, enum password_answer answer,
                  const char *problem)
{
    if (answer == PASSWORD_MATCH)
        succeed(a);
    else if (answer == PASSWORD_MISMATCH)
        fail(a, source, "wrong password");
    else {
        msg_warn("%s(%s): %s", source, log_name(a), problem);
        fail(a, source, problem);
    }
}

static void ask_worker(struct attempt *a, struct str stored)
{
    struct str user = buf_str(&a->name), plain = buf_str(&a->sasl.password);

    if (cache_has(user, plain, stored, task_now())) {
        succeed(a);
        return;
    }
    a->job = workers_ask(user, plain, stored);
    if (a->job == 0) {
        fail_later(a, "too many passwords are being checked");
        return;
    }
    if (state.jobs == NULL)
        state.jobs = hash_new();
    a->stored = arena_strz(a->mem, stored);
    hash_put(state.jobs, job_key(&a->job), a);
    conn_wait(a, task_now() + conf.auth_request_timeout * 1000);
}

static void check_password(struct attempt *a)
{
    struct passwd_entry e;
    struct why why = WHY;
    const char *source, *scheme = conf.auth_default_pass_scheme;

    if (!find_entry(a, &e, &source))
        return;
    if (e.nopassword)
        succeed(a);
    else if (password_is_slow(e.password, scheme))
        ask_worker(a, e.password);
    else
        judge(
            a, source,
            password_check(buf_str(&a->name), buf_str(&a->sasl.password), e.password, scheme, &why),
            why_text(&why));
    why_free(&why);
}

static void check_secret(struct attempt *a)
{
    struct passwd_entry e;
    const char *source;

    if (!find_entry(a, &e, &source))
        return;
    if (!e.nopassword &&
        sasl_server_secret(&a->sasl, e.password, conf.auth_default_pass_scheme) == SASL_OK)
        succeed(a);
    else
        fail(a, source, "wrong digest, or the password is not stored in a form that fits");
}

void attempt_step(struct attempt *a, bool has_in, struct str in, struct buf *out)
{
    struct buf raw = BUF(AUTH_LINE_MAX), challenge = BUF(AUTH_LINE_MAX);
    enum sasl_step step = SASL_BAD;

    a->started = task_now();
    if (!has_in || decode_base64(&raw, in))
        step = sasl_server_step(&a->sasl, has_in, buf_str(&raw), &challenge);
    if (raw.room > 0)
        explicit_bzero(raw.p, raw.room);
    buf_free(&raw);
    switch (step) {
    case SASL_MORE:
        auth_wire_begin_id(out, AUTH_V_CONT, a->id);
        buf_addc(out, '\t');
        encode_base64(out, buf_str(&challenge));
        auth_wire_end(out);
        conn_wait(a, task_now() + conf.login_timeout * 1000);
        break;
    case SASL_PASSWORD:
        check_password(a);
        break;
    case SASL_SECRET:
        check_secret(a);
        break;
    case SASL_OK:
    case SASL_BAD:
        fail(a, "auth", "malformed response");
        break;
    }
    buf_free(&challenge);
}

void attempt_checked(uint32_t job, int answer, const char *problem)
{
    struct attempt *a = state.jobs != NULL ? hash_drop(state.jobs, job_key(&job)) : NULL;

    if (a == NULL)
        return; /* its client has gone */
    a->job = 0;
    if (answer == PASSWORD_MATCH)
        cache_add(buf_str(&a->name), buf_str(&a->sasl.password), strz(a->stored), task_now());
    conn_wake(a);
    judge(a, "passwd-file", (enum password_answer)answer, problem);
}

void attempt_due(struct attempt *a, struct buf *out)
{
    if (!a->failed) {
        msg_warn("login of %s: no end after its time", log_name(a));
        a->fail_temp = true;
    }
    say_fail(a, out);
}

void attempt_free(struct attempt *a)
{
    if (a->job != 0)
        hash_drop(state.jobs, job_key(&a->job));
    sasl_server_end(&a->sasl);
    buf_free(&a->name);
    struct arena *mem = a->mem; /* a itself is in it */
    arena_free(&mem);
}
