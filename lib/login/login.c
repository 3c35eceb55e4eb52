/*
 * A connection before login: greeting, TLS, the loop over commands, and its limits.
 */
#include "login/login.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/msg.h"
#include "base/random.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/match.h"
#include "login/login_parts.h"
#include "login/relay.h"
#include "net/peer.h"
#include "net/stream.h"
#include "net/tls.h"
#include "service/client_count.h"
#include "service/metrics.h"
#include "service/service.h"
#include "task/task.h"

static struct {
    struct tls_context *tls; /* null: no certificate is set */
    struct match *exceptions; /* login_client_event_limit_exceptions */
} state;

static bool is_set(const char *text)
{
    return text != NULL && *text != '\0' && strcmp(text, "none") != 0;
}

/* TLS from the first byte, and no certificate: each client is cut off. */
static void tell_no_tls(void)
{
    msg_warn("TLS is wanted from the first byte, but login_tls_cert_file is not set");
}

void login_open(const struct login_front *front)
{
    struct why why = WHY;
    struct tls_settings settings = {
        .server = true,
        .cert_file = conf.login_tls_cert_file,
        .key_file = conf.login_tls_key_file,
        .chain_files = conf.login_tls_chain_files,
        .protocols = conf.login_tls_protocols,
        .ciphers = conf.login_tls_ciphers,
        .high_ciphers = conf.tls_high_cipherlist,
        .medium_ciphers = conf.tls_medium_cipherlist,
        .session_life = 3600,
        .prefer_own_ciphers = conf.tls_preempt_cipherlist,
        .ssl_options = conf.tls_ssl_options,
    };

    if (is_set(settings.cert_file) || is_set(settings.chain_files)) {
        state.tls = tls_context_new(&settings, &why);
        if (state.tls == NULL)
            msg_fatal("login_tls_cert_file: %s", why_text(&why));
    } else if (front->wrappermode()) {
        tell_no_tls();
    }
    client_count_open(conf.login_client_ipv4_prefix_length, conf.login_client_ipv6_prefix_length);
    state.exceptions = match_open_hosts("login_client_event_limit_exceptions",
                                        conf.login_client_event_limit_exceptions);
    login_auth_open();
    why_free(&why);
}

void login_drain(void)
{
    login_auth_close();
}

bool login_may_plain(const struct login *l)
{
    return l->secured || !conf.disable_plaintext_auth;
}

/* From the host itself: through the loopback, or to and from the same address. */
static bool is_local(const struct peer *p)
{
    return addr_is_loopback(&p->addr) || addr_same_host(&p->addr, &p->local);
}

static bool is_excepted(const struct peer *p)
{
    struct why why = WHY;
    enum dict_answer answer = match_host(state.exceptions, p->name, p->addr_text, &why);

    if (answer == DICT_FAILED)
        msg_warn("%s", why_text(&why));
    why_free(&why);
    return answer == DICT_FOUND;
}

/* One host must not take all places of those that have not logged in. */
static bool too_many(struct login *l)
{
    int64_t most = conf.login_client_connection_count_limit, all;

    l->count = client_count_add(&l->peer->addr, &all);
    return most > 0 && all > most && !is_excepted(l->peer);
}

static void login_begin(struct login *l, const struct login_front *front, struct stream *client,
                        const struct peer *peer, struct arena *mem)
{
    /* fits: random_token gives so many */
    struct buf id = BUF(sizeof l->session - 1);

    *l = (struct login){.front = front,
                        .client = client,
                        .peer = peer,
                        .mem = mem,
                        .secured = is_local(peer),
                        .may_start_tls = state.tls != NULL,
                        .relay = -1,
                        .began = task_now(),
                        .method = "",
                        /* asked: by login_make_stamp */
                        .stamp = BUF(400)};
    random_token(&id, sizeof l->session - 1);
    memcpy(l->session, id.p, id.n + 1);
    buf_free(&id);
    addr_text(&peer->local, l->server_address);
    snprintf(l->client_port, sizeof l->client_port, "%u", peer->addr.port);
    snprintf(l->server_port, sizeof l->server_port, "%u", peer->local.port);
    stream_set_deadline(client, task_now() + conf.login_timeout * 1000);
}

bool login_start_tls(struct login *l)
{
    struct why why = WHY;

    if (tls_context_stale(state.tls))
        service_refresh("the certificate");
    service_may_evict(true);
    int result = tls_accept(l->client, state.tls, NULL, &why);
    service_may_evict(false);
    if (result < 0) {
        msg_info("%s: TLS handshake with %s failed: %s", l->front->service, l->peer->addr_text,
                 why_text(&why));
        why_free(&why);
        return false;
    }
    why_free(&why);
    l->tls = l->secured = true;
    l->may_start_tls = false;
    return true;
}

static void give_up(struct login *l, const char *text)
{
    l->front->bye(l, text);
    stream_flush(l->client);
}

/* Evicted to make room for a new client; not a shutdown. */
static bool was_evicted(const struct login *l)
{
    return stream_state(l->client) == STREAM_CANCELLED && !service_draining();
}

bool login_line(struct login *l, struct buf *line)
{
    service_may_evict(true);
    enum line kind = stream_line(l->client, line);
    service_may_evict(false);
    switch (kind) {
    case LINE_CRLF:
    case LINE_LF: /* all servers of the field take it */
        return true;
    case LINE_TOO_LONG:
        give_up(l, "Line too long.");
        return false;
    case LINE_NONE:
        break;
    }
    if (stream_state(l->client) == STREAM_TIMEOUT)
        give_up(l, "Disconnected for inactivity.");
    else if (was_evicted(l))
        give_up(l, "Too many connections, and you had not logged in.");
    else if (stream_state(l->client) == STREAM_CANCELLED)
        give_up(l, "Server shutting down.");
    return false;
}

static const char *how_it_ended(const struct login *l)
{
    if (was_evicted(l))
        return "Connection queue full";
    switch (stream_state(l->client)) {
    case STREAM_OK:
        return "Input line too long";
    case STREAM_EOF:
        return "Connection closed";
    case STREAM_TIMEOUT:
        return "Inactivity";
    case STREAM_CANCELLED:
        return "Shutting down";
    case STREAM_ERROR:
        break;
    }
    return stream_error(l->client);
}

static void end_without_login(const struct login *l, const char *how)
{
    ++*metrics_counter("connections_without_login");
    login_log_end(l, how);
}

/* Commands until one of them ends it. */
static void login_run(struct login *l)
{
    struct buf line = BUF((size_t)conf.login_max_line_length);
    enum login_next next = LOGIN_GO_ON;
    const char *text = NULL;

    while (next == LOGIN_GO_ON) {
        if (!login_line(l, &line))
            break;
        if (++l->commands > conf.login_max_commands) {
            give_up(l, "Too many commands before login.");
            text = "Too many commands";
            break;
        }
        next = l->front->command(l, buf_str(&line));
        explicit_bzero(line.p, line.n);
        if (next == LOGIN_GO_ON && l->attempts + l->refusals >= conf.login_max_attempts) {
            give_up(l, "Too many wrong passwords.");
            text = "Too many wrong passwords";
            break;
        }
    }
    if (line.room > 0)
        explicit_bzero(line.p, line.room);
    buf_free(&line);
    if (!l->handed_over)
        end_without_login(l, next == LOGIN_BYE ? "Aborted login by logging out"
                             : text != NULL    ? text
                                               : how_it_ended(l));
}

/* Everything up to the first command. */
static bool welcome(struct login *l)
{
    if (too_many(l)) {
        msg_warn_each("%s: more than login_client_connection_count_limit (%lld) connections from "
                      "%s that have not logged in",
                      l->front->service, (long long)conf.login_client_connection_count_limit,
                      l->peer->addr_text);
        if (!l->front->wrappermode())
            give_up(l, "Too many connections from your address.");
        return false;
    }
    if (l->front->wrappermode()) {
        if (state.tls == NULL)
            tell_no_tls();
        if (state.tls == NULL || !login_start_tls(l))
            return false;
    }
    l->front->greet(l);
    return true;
}

void login_session(const struct login_front *front, struct stream *client, const struct peer *peer,
                   struct arena *mem)
{
    struct login l;

    login_begin(&l, front, client, peer, mem);
    if (welcome(&l))
        login_run(&l);
    client_count_drop(&l.count);
    buf_free(&l.stamp);
    arena_wipe(mem); /* passwords: a relay may live for days */
    if (l.relay >= 0)
        relay_run(client, l.relay);
}
