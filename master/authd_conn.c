/*
 * A connection to authd: which command may come when, and how answers go out.
 */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/encode.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/random.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/stream.h"
#include "service/service.h"
#include "task/task.h"

#include "authd.h"

enum {
    /* Of a process that drains: how long it waits for the first word of a connection.
     * Conversations have login_timeout. */
    SILENT_MS = 5000,
    LAST_ANSWERS_MS = 5000, /* the end of a connection waits so long for answers to be read */
};

static struct {
    int64_t silent_until, talk_until; /* 0: we do not drain */
    struct buf mechs; /* the MECH lines of the hand-shake */
    uint32_t last_conn;
    struct list conns;
} state;

static struct str id_key(const uint32_t *id)
{
    return (struct str){(const char *)id, sizeof *id};
}

const char *conn_keep(struct arena *mem, struct str s)
{
    return s.p == NULL || str_find(s, '\0') >= 0 ? "" : arena_strz(mem, s);
}

/* ---- answers */

void conn_break(struct authd_conn *c)
{
    c->broken = true;
    task_wake(c->task);
}

static void write_answers(void *arg)
{
    struct authd_conn *c = arg;
    /* fits: conn_say looks before it adds */
    struct buf now = BUF((size_t)conf.auth_answer_limit);

    while (c->out.n > 0 && !c->broken) {
        buf_swap(&now, &c->out); /* others add to c->out while this one waits */
        if (!stream_write(c->stream, buf_str(&now)))
            conn_break(c);
        buf_clear(&now);
    }
    buf_free(&now);
    c->writer = NULL;
    task_wake(c->task);
}

/* What of it the socket takes at once is cut off. */
static struct str write_now(struct authd_conn *c, struct str line)
{
    short events;

    while (line.n > 0) {
        size_t n = stream_try_write(c->stream, line, &events);
        if (n == 0)
            break;
        line = str_from(line, n);
    }
    if (!stream_writable(c->stream))
        conn_break(c);
    return line;
}

void conn_say(struct authd_conn *c, const struct buf *line)
{
    struct str rest = buf_str(line);

    if (c->broken)
        return;
    if (!buf_ok(line)) {
        msg_warn("an answer is too long; closing the connection");
        conn_break(c);
        return;
    }
    if (c->writer == NULL)
        rest = write_now(c, rest);
    if (rest.n == 0 || c->broken)
        return;
    if (rest.n > (size_t)conf.auth_answer_limit - c->out.n) {
        msg_warn("a client (process %d) does not read its answers: more than auth_answer_limit "
                 "(%lld) bytes wait; closing the connection",
                 (int)c->client, (long long)conf.auth_answer_limit);
        conn_break(c);
        return;
    }
    buf_add(&c->out, rest);
    if (c->writer == NULL)
        c->writer = task_start("answers", write_answers, c);
}

/* ---- commands: true, or false: the connection is over */

static bool cmd_version(struct authd_conn *c, const struct auth_msg *m)
{
    c->state = CONN_VERSION;
    return str_eqz(auth_msg_arg(m, 0), "1");
}

static bool cmd_cpid(struct authd_conn *c, const struct auth_msg *m)
{
    (void)m;
    c->state = CONN_CLIENT;
    return service_may_ask(c->stream, "CPID");
}

static bool is_offered(const struct sasl_mech *mech)
{
    return str_ilisted(conf.auth_mechanisms, strz(mech->name));
}

static void authd_conn_refuse(struct authd_conn *c, uint32_t id, bool temporary, const char *reason)
{
    struct buf line = BUF(AUTH_LINE_MAX);

    auth_wire_begin_id(&line, AUTH_V_FAIL, id);
    if (temporary)
        auth_wire_arg(&line, STR("temp"));
    auth_wire_pair(&line, "reason", strz(reason));
    auth_wire_end(&line);
    conn_say(c, &line);
    buf_free(&line);
}

static bool cmd_auth(struct authd_conn *c, const struct auth_msg *m)
{
    const struct sasl_mech *mech = sasl_find(auth_msg_arg(m, 0));

    c->has_asked = true;
    if (hash_find(c->attempts, id_key(&m->id)) != NULL) {
        msg_warn("client reuses the number of an attempt in progress");
        return false;
    }
    if (mech == NULL || !is_offered(mech)) {
        authd_conn_refuse(c, m->id, false, "Unsupported authentication mechanism.");
    } else if (c->nrunning >= (size_t)conf.auth_request_limit) {
        msg_warn("more than auth_request_limit (%lld) attempts on one connection",
                 (long long)conf.auth_request_limit);
        authd_conn_refuse(c, m->id, true, "Too many logins at a time.");
    } else {
        attempt_start(c, m, mech);
    }
    return true;
}

static bool cmd_cont(struct authd_conn *c, const struct auth_msg *m)
{
    struct attempt *a = hash_find(c->attempts, id_key(&m->id));

    if (a == NULL || attempt_respond(a, auth_msg_arg(m, 0))) /* null: it has timed out */
        return true;
    msg_warn("client goes on with an attempt that is being judged");
    return false;
}

static bool cmd_cancel(struct authd_conn *c, const struct auth_msg *m)
{
    struct attempt *a = hash_find(c->attempts, id_key(&m->id));

    if (a != NULL)
        attempt_cancel(a);
    return true;
}

/* Which command may come in which state of a connection; anything else ends it. */
static const struct {
    enum auth_verb verb;
    unsigned states; /* 1 << state */
    bool (*run)(struct authd_conn *c, const struct auth_msg *m);
} commands[] = {
    {AUTH_V_VERSION, 1 << CONN_NEW, cmd_version},
    {AUTH_V_CPID, 1 << CONN_VERSION, cmd_cpid},
    {AUTH_V_AUTH, 1 << CONN_CLIENT, cmd_auth},
    {AUTH_V_CONT, 1 << CONN_CLIENT, cmd_cont},
    {AUTH_V_CANCEL, 1 << CONN_CLIENT, cmd_cancel},
    {AUTH_V_EXCHANGE, 1 << CONN_VERSION | 1 << CONN_BROKER, session_exchange},
    {AUTH_V_REQUEST, 1 << CONN_VERSION | 1 << CONN_OPENER, session_redeem},
};

/* False: the connection is over. */
static bool take_line(struct authd_conn *c, struct buf *line)
{
    struct auth_msg m;

    if (!auth_msg_parse(line->p, line->n, &m)) {
        msg_warn("malformed line from a client; closing the connection");
        return false;
    }
    if (m.verb == AUTH_V_UNKNOWN)
        return true; /* of a newer protocol */
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (commands[i].verb == m.verb && (commands[i].states & 1u << c->state) != 0)
            return commands[i].run(c, &m);
    msg_warn("command %s of a client is not allowed in state %d; closing the connection",
             auth_verb_name(m.verb), c->state);
    return false;
}

/* ---- a connection */

static void greet(struct authd_conn *c)
{
    struct buf line = BUF(AUTH_LINE_MAX);
    unsigned char cookie[16];
    uint32_t number = ++state.last_conn;

    /* The protocol 1.1 has a cookie for Dovecot's own login processes; ours use tokens. */
    random_bytes(cookie, sizeof cookie);
    snprintf(c->stamp, sizeof c->stamp, "%d.%u.", (int)getpid(), number);
    buf_addf(&line, "VERSION\t%d\t%d\n%sSPID\t%d\nCUID\t%u\nCOOKIE\t", AUTH_MAJOR, AUTH_MINOR,
             state.mechs.p, (int)getpid(), number);
    for (size_t i = 0; i < sizeof cookie; i++)
        buf_addf(&line, "%02x", cookie[i]);
    buf_addz(&line, "\nDONE\n");
    conn_say(c, &line);
    buf_free(&line);
}

/*
 * When the connection ends if nothing more is said on it; 0: not for that. A process that drains
 * brings conversations to their end. A client that has connected and is about to ask gets an
 * answer: a storm of reloads would else send it from one process to the next.
 */
static int64_t ends_at(const struct authd_conn *c)
{
    if (hash_count(c->attempts) > 0)
        return state.talk_until;
    return c->has_asked && state.silent_until != 0 ? task_now() : state.silent_until;
}

bool conn_ends_soon(const struct authd_conn *c)
{
    size_t cursor = 0;
    struct str key;
    void *value;

    while (hash_next(c->attempts, &cursor, &key, &value))
        if (((struct attempt *)value)->wants_response)
            return false;
    return service_draining() && c->has_asked;
}

/* What has been read is answered first. */
static bool may_end(const struct authd_conn *c)
{
    int64_t at = ends_at(c);

    return at != 0 && task_now() >= at && (stream_ahead(c->stream) == 0 || at == state.talk_until);
}

static void serve(struct authd_conn *c)
{
    struct buf line = BUF(AUTH_LINE_MAX);

    while (!c->broken && !may_end(c)) {
        enum wait w = stream_wait(c->stream, ends_at(c));
        if (w == WAIT_CANCELLED)
            break;
        if (w != WAIT_READY)
            continue;
        enum line end = stream_line(c->stream, &line);
        bool going = (end == LINE_LF || end == LINE_CRLF) && take_line(c, &line);
        explicit_bzero(line.p, line.n);
        if (!going)
            break;
    }
    buf_free(&line);
}

/* All, or only those that wait for a word of the client. */
static void cancel_attempts(struct authd_conn *c, bool all)
{
    size_t cursor = 0;
    struct str key;
    void *value;

    while (hash_next(c->attempts, &cursor, &key, &value)) {
        struct attempt *a = value;
        if (!all && (!a->wants_response || a->has_response))
            continue;
        attempt_cancel(a);
        cursor = 0;
    }
}

static bool has_gone(const struct authd_conn *c)
{
    struct pollfd look = {.fd = stream_fd(c->stream)};

    return poll(&look, 1, 0) > 0;
}

/* (waits) for a task of the connection's, which wakes this one when it ends. One that was cancelled
 * may still wait for a worker or a table: to look again and again would keep a CPU busy. */
static void wait_for_others(int64_t until)
{
    if (task_is_cancelled())
        task_park_anyway(0);
    else
        task_park(until);
}

/* (waits) for attempts whose answers somebody may still read: a client that has said all that it
 * will say may have closed its own direction only. */
static void end_attempts(struct authd_conn *c)
{
    bool reads = !c->broken && stream_state(c->stream) == STREAM_EOF && !has_gone(c);

    c->over = true;
    cancel_attempts(c, !reads);
    while (c->nrunning > 0) {
        cancel_attempts(c, c->broken || task_is_cancelled());
        wait_for_others(0);
    }
}

/* (waits) until all answers are out, or will never be. */
static void end_writer(struct authd_conn *c)
{
    int64_t until = task_now() + LAST_ANSWERS_MS;

    while (c->writer != NULL) {
        bool over = c->broken || task_is_cancelled() || task_now() >= until;
        if (over)
            task_cancel(c->writer);
        wait_for_others(over ? 0 : until);
    }
}

static pid_t client_of(struct stream *s)
{
    struct ucred who;
    socklen_t len = sizeof who;

    return getsockopt(stream_fd(s), SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 ? who.pid : 0;
}

static bool offers_apop(void)
{
    const struct sasl_mech *apop = sasl_find(STR("APOP"));

    return apop != NULL && is_offered(apop);
}

void conn_session(struct stream *client)
{
    struct authd_conn c = {.stream = client,
                           .task = task_self(),
                           /* fits: conn_say looks before it adds */
                           .out = BUF((size_t)conf.auth_answer_limit),
                           .attempts = hash_new(),
                           .client = client_of(client)};

    list_add(&state.conns, &c.all);
    greet(&c);
    serve(&c);
    if (c.state == CONN_CLIENT && service_draining() && offers_apop())
        stamp_keep(c.stamp, c.client, task_now());
    list_drop(&c.all);
    end_attempts(&c);
    end_writer(&c);
    hash_free(&c.attempts, NULL);
    buf_free(&c.out);
}

/* Those that wait to be refused have waited long enough. */
static void wake_attempts(struct authd_conn *c)
{
    size_t cursor = 0;
    struct str key;
    void *value;

    while (hash_next(c->attempts, &cursor, &key, &value)) {
        struct attempt *a = value;
        task_wake(a->task);
    }
}

/* Idle connections end at once; their owners connect to the next process. */
void conn_drain(void)
{
    state.silent_until = task_now() + SILENT_MS;
    state.talk_until = task_now() + conf.login_timeout * 1000;
    LIST_EACH (&state.conns, l) {
        struct authd_conn *c = LIST_OF(l, struct authd_conn, all);
        wake_attempts(c);
        task_wake(c->task);
    }
}

void conn_open(void)
{
    struct str rest = strz(conf.auth_mechanisms);

    list_init(&state.conns);
    state.mechs = BUF(4096);
    for (struct str word; str_word(&rest, ", \t\r\n", &word);) {
        const struct sasl_mech *m = sasl_find(word);
        if (m == NULL)
            continue; /* auth_check_words has refused it */
        buf_addf(&state.mechs, "MECH\t%s", m->name);
        sasl_put_traits(&state.mechs, m->traits, '\t');
        buf_addc(&state.mechs, '\n');
    }
    if (!buf_ok(&state.mechs))
        msg_fatal("auth_mechanisms: too many");
}
