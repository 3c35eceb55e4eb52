/*
 * The login itself: SASL with authd, then the hand-over through the mailbox broker.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/msg.h"
#include "base/random.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/proto.h"
#include "login/handover.h"
#include "login/login.h"
#include "login/login_parts.h"
#include "net/peer.h"
#include "net/sock.h"
#include "net/stream.h"
#include "service/client_count.h"
#include "task/task.h"

static struct {
    struct auth_client *auth;
    struct channel *mailbox;
} state;

void login_auth_open(void)
{
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(200);

    buf_addf(&path, "private/%s", conf.auth_service_name);
    state.auth = auth_client_new(path.p);
    buf_free(&path);
    state.mailbox = channel_to("private", conf.mailbox_service_name, 0);
}

void login_auth_close(void)
{
    channel_close_idle(state.mailbox);
}

static int64_t deadline(void)
{
    return task_now() + conf.auth_request_timeout * 1000;
}

void login_mechs(struct login *l, struct buf *names)
{
    unsigned forbid = AUTH_ANONYMOUS | (login_may_plain(l) ? 0u : (unsigned)AUTH_PLAINTEXT);
    struct why why = WHY;

    if (auth_client_mechs(state.auth, forbid, 0, names, deadline(), &why) < 0)
        msg_warn("%s", why_text(&why));
    why_free(&why);
}

/* RFC 1939 7: <process.connection.random.clock@host>, the first two as authd counts us. */
void login_make_stamp(struct login *l)
{
    if (auth_client_has(state.auth, STR("APOP"), 0, 0, deadline(), NULL) <= 0)
        return;
    buf_addc(&l->stamp, '<');
    auth_client_stamp(state.auth, &l->stamp, deadline(), NULL);
    buf_addc(&l->stamp, '.');
    random_token(&l->stamp, 12);
    buf_addf(&l->stamp, ".%lld@%s>", (long long)clock_wall(), conf.myhostname);
    if (!buf_ok(&l->stamp))
        buf_clear(&l->stamp); /* no APOP */
}

/* ---- the hand-over */

static void fill_handover(const struct login *l, const char *tag, struct handover *h)
{
    *h = (struct handover){.service = l->front->service,
                           .tag = tag,
                           .pending = STR(""),
                           .client_address = l->peer->addr_text,
                           .client_port = l->client_port,
                           .server_address = l->server_address,
                           .server_port = l->server_port,
                           .session = l->session,
                           .tls = l->tls,
                           .secured = l->secured};
}

/* Asks the broker to pass fd to the user's session. fd stays ours. */
static int ask_broker(struct login *l, const char *tag, const char *token, struct str pending,
                      int fd, struct why *why)
{
    struct attrs ask = ATTRS(HANDOVER_MAX), answer = ATTRS(HANDOVER_MAX);
    struct handover h;

    fill_handover(l, tag, &h);
    h.pending = pending;
    attrs_putz(&ask, A_REQUEST, REQUEST_OPEN);
    attrs_putz(&ask, A_TOKEN, token);
    handover_put(&ask, &h);
    attrs_put_fd(&ask, fd);
    int result = channel_call(state.mailbox, &ask, &answer, deadline(), why);
    if (result == 0) /* it need not be there */
        l->session_pid = attrs_getn(&answer, A_PID, 0, INT32_MAX);
    attrs_take_fd(&ask);
    attrs_free(&ask);
    attrs_free(&answer);
    return result;
}

/* Plain: the session gets the socket itself. */
static int pass_socket(struct login *l, const char *tag, const char *token, struct why *why)
{
    struct str pending = stream_ahead_str(l->client);

    if (pending.n > HANDOVER_PENDING_MAX)
        return why_set(why, "5.7.0", "too many commands were sent ahead of the login");
    int result = ask_broker(l, tag, token, pending, stream_fd(l->client), why);
    l->perhaps_passed = result < 0;
    return result;
}

/* TLS stays here: the session gets one end of a pair, and login_session relays to the other. */
static int pass_relay(struct login *l, const char *tag, const char *token, struct why *why)
{
    int pair[2];

    if (sock_pair(pair) < 0)
        return why_errno(why, "4.3.0", "socket pair");
    int result = ask_broker(l, tag, token, STR(""), pair[1], why);
    close(pair[1]);
    if (result == 0)
        l->relay = pair[0];
    else
        close(pair[0]);
    return result;
}

/* Whoever was asked may only be slow, and start a session when we have given up. Two that read from
 * one socket would each get some of the client's commands: so from here on nobody does. */
static void cut_off(struct login *l)
{
    l->front->bye(l, "No session: please connect again.");
    stream_flush(l->client);
    shutdown(stream_fd(l->client), SHUT_RDWR);
    stream_fail(l->client, "No session");
}

static void no_session(struct login *l, const char *tag, const struct why *why)
{
    /* The system stops: a session that has the socket already says good-bye itself. */
    if (l->perhaps_passed && task_is_cancelled())
        return;
    l->handed_over = false;
    l->front->refuse(l, tag, AUTH_LATER, "", why_text(why));
    if (l->perhaps_passed)
        cut_off(l);
}

static enum login_next hand_over(struct login *l, const char *tag, const char *mech,
                                 const char *user, const char *token)
{
    struct why why = WHY;

    stream_flush(l->client);
    l->handed_over = true;
    client_count_drop(&l->count);
    int result = l->tls ? pass_relay(l, tag, token, &why) : pass_socket(l, tag, token, &why);
    if (result == 0) {
        login_log_success(l, user, mech, l->session_pid);
    } else {
        msg_warn("%s: %s: no session: %s", l->front->service, user, why_text(&why));
        no_session(l, tag, &why);
    }
    why_free(&why);
    return result < 0 && !l->perhaps_passed ? LOGIN_GO_ON : LOGIN_OVER;
}

/* ---- SASL */

static void login_auth_refuse(struct login *l, const char *tag, enum auth_answer answer,
                              const struct auth_login *a, const struct why *why)
{
    if (answer == AUTH_LATER)
        msg_warn("%s: %s", l->front->service, why_text(why));
    else
        l->attempts++;
    l->front->refuse(l, tag, answer, auth_login_code(a), auth_login_reason(a));
}

/* The client's answer to "+ challenge"; false: the connection is over, or "*" (then line is "*").
 */
static bool converse(struct login *l, const char *challenge, struct buf *line)
{
    stream_putf(l->client, "+ %s\r\n", challenge);
    return login_line(l, line) && !str_eqz(buf_str(line), "*");
}

static enum login_next run_sasl(struct login *l, const char *tag, struct str mech,
                                struct str initial)
{
    struct auth_ask ask = {.service = l->front->service,
                           .mech = mech,
                           .initial = initial,
                           .client_address = l->peer->addr_text,
                           .client_port = l->client_port,
                           .server_address = l->server_address,
                           .server_port = l->server_port,
                           .tls = l->tls,
                           .secured = l->secured};
    /* asked: by login_line */
    struct buf line = BUF((size_t)conf.login_max_line_length);
    struct auth_login *a;
    struct why why = WHY;
    enum login_next next = LOGIN_GO_ON;

    l->method = arena_strz(l->mem, mech);
    l->refused = NULL;
    enum auth_answer answer = auth_login_start(state.auth, &ask, deadline(), &a, &why);
    while (answer == AUTH_MORE) {
        l->in_sasl = true;
        bool said = converse(l, auth_login_challenge(a), &line);
        l->in_sasl = !said;
        if (!said) {
            if (str_eqz(buf_str(&line), "*"))
                l->front->refuse(l, tag, AUTH_MORE, "", "Authentication cancelled.");
            else
                next = LOGIN_OVER;
            break;
        }
        answer = auth_login_reply(a, buf_str(&line), deadline(), &why);
    }
    l->name = arena_str(l->mem, strz(auth_login_user(a)));
    if (answer == AUTH_OK) {
        const char *name = l->method, *user = arena_strz(l->mem, l->name);
        const char *token = arena_strz(l->mem, strz(auth_login_token(a)));
        auth_login_free(&a);
        next = hand_over(l, tag, name, user, token);
    } else if (answer != AUTH_MORE) {
        login_auth_refuse(l, tag, answer, a, &why);
    }
    auth_login_free(&a);
    if (line.room > 0)
        explicit_bzero(line.p, line.room);
    buf_free(&line);
    why_free(&why);
    return next;
}

enum login_next login_sasl(struct login *l, const char *tag, struct str mech, struct str initial)
{
    unsigned forbid =
        AUTH_ANONYMOUS | AUTH_PRIVATE | (login_may_plain(l) ? 0u : (unsigned)AUTH_PLAINTEXT);

    int has = auth_client_has(state.auth, mech, forbid, 0, deadline(), NULL);

    /* If authd does not answer, the login says so, and it is no mistake of the client. */
    if (has != 0)
        return run_sasl(l, tag, mech, initial);
    /* Either not known at all, or not now: the second case has a code of its own, RFC 5530 3. */
    bool known = auth_client_has(state.auth, mech, AUTH_PRIVATE, 0, deadline(), NULL) > 0;
    l->method = arena_strz(l->mem, mech);
    l->refused = known ? "tried to use disallowed plaintext auth"
                       : "tried to use unsupported auth mechanism";
    l->front->refuse(l, tag, AUTH_DENIED, known ? "privacyrequired" : "unsupported",
                     known ? "Plaintext authentication disallowed on non-secure (SSL/TLS) "
                             "connections."
                           : "Unsupported authentication mechanism.");
    l->refusals++;
    return LOGIN_GO_ON;
}

enum login_next login_raw(struct login *l, const char *tag, const char *mech, struct str response)
{
    struct buf text = BUF(SASL_FIELD_MAX * 6);

    encode_base64(&text, response);
    if (!buf_ok(&text))
        buf_setz(&text, "*"); /* no base64: it is refused as malformed */
    enum login_next next = run_sasl(l, tag, strz(mech), buf_str(&text));
    if (text.room > 0)
        explicit_bzero(text.p, text.room);
    buf_free(&text);
    return next;
}

enum login_next login_plain(struct login *l, const char *tag, struct str user, struct str password)
{
    struct buf response = BUF(SASL_FIELD_MAX * 4);

    if (!login_may_plain(l)) {
        l->front->refuse(l, tag, AUTH_DENIED, "privacyrequired",
                         "Plaintext authentication disallowed on non-secure (SSL/TLS) "
                         "connections.");
        l->refused = "tried to use disallowed plaintext auth";
        l->refusals++;
        return LOGIN_GO_ON;
    }
    buf_addc(&response, '\0');
    buf_add(&response, user);
    buf_addc(&response, '\0');
    buf_add(&response, password);
    if (!buf_ok(&response))
        buf_clear(&response); /* what has not fitted is no password of anybody */
    enum login_next next = login_raw(l, tag, "PLAIN", buf_str(&response));
    if (response.room > 0)
        explicit_bzero(response.p, response.room);
    buf_free(&response);
    return next;
}
