/*
 * NAME
 *     authd - who may log in
 *
 * SYNOPSIS
 *     authd [service options]; started by master
 *
 * DESCRIPTION
 *     Serves Dovecot's authentication protocol to smtpd, pop3d and imapd on private/auth: SASL
 *     mechanisms of auth_mechanisms against the tables of auth_passdb. A login for imap or pop3
 * gets a token. The mailbox broker exchanges it on the same socket for the name of the user and a
 * ticket; imap or pop3, which starts the session, redeems the ticket for ids, home and mail of the
 * user from auth_userdb. Slow password hashes are computed by helper processes.
 *
 * SECURITY
 *     Reads the tables before it locks itself in; after that it reads files of their directories
 *     only, opens no connection and starts no process. The helpers have no right at all. Passwords
 *     are never logged and do not stay in memory. Tokens are exchanged for the mail owner only,
 * tickets are redeemed for root only, which imap and pop3 run as. Each is good once.
 *
 * STANDARDS
 *     RFC 4422, RFC 4616, RFC 2195, RFC 1939 (APOP)
 *
 * SEE ALSO
 *     imapd, pop3d, mailbox, smtpd
 */
#include "authd.h"

#include <sys/socket.h>
#include <unistd.h>

#include "auth/auth_wire.h"
#include "base/arena.h"
#include "base/encode.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/random.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/stream.h"
#include "service/service.h"
#include "task/task.h"

/* Of a process that drains: how long it waits for the first word of a connection. Conversations
 * have login_timeout. */
enum { SILENT_MS = 5000 };

static struct {
    int64_t silent_until, talk_until; /* 0: we do not drain */
    struct buf mechs; /* the MECH lines of the hand-shake */
    uint32_t last_conn;
    unsigned nconns;
    struct list conns;
    bool as_root; /* the suite was started as root: its programs have different users */
} state;

/* Which command may come in which state of a connection; anything else ends it. */
enum conn_state { CONN_NEW, CONN_VERSION, CONN_CLIENT, CONN_BROKER, CONN_OPENER };

struct authd_conn {
    struct list all;
    enum conn_state state;
    struct stream *stream;
    struct task *task;
    bool has_asked; /* something at all */
    struct buf out; /* answers not yet given to the stream, which only our own task touches */
    struct hash *attempts; /* by id */
    struct heap due;
    pid_t client; /* 0: unknown */
    char stamp[STAMP_MAX]; /* pid and number of the connection: what APOP stamps begin with */
};

/* ---- for authd_attempt.c */

static struct str id_key(const uint32_t *id)
{
    return (struct str){(const char *)id, sizeof *id};
}

struct buf *conn_out(struct attempt *a)
{
    return &a->conn->out;
}

void conn_wake(struct attempt *a)
{
    task_wake(a->conn->task);
}

void conn_wait(struct attempt *a, int64_t due)
{
    heap_put(&a->conn->due, &a->due, due);
}

void conn_finished(struct attempt *a)
{
    hash_drop(a->conn->attempts, id_key(&a->id));
    heap_drop(&a->conn->due, &a->due);
    attempt_free(a);
}

/* ---- commands */

static bool cmd_version(struct authd_conn *c, struct auth_msg *m)
{
    c->state = CONN_VERSION;
    return str_eqz(auth_msg_arg(m, 0), "1");
}

static bool cmd_cpid(struct authd_conn *c, struct auth_msg *m)
{
    (void)m;
    c->state = CONN_CLIENT;
    return true;
}

static const char *keep(struct arena *mem, struct str s)
{
    return s.p == NULL || str_find(s, '\0') >= 0 ? "" : arena_strz(mem, s);
}

/* What its stamp must begin with: our name for this connection, or what an earlier process had for
 * one of the same client. */
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

static struct attempt *new_attempt(struct authd_conn *c, const struct auth_msg *m,
                                   const struct sasl_mech *mech)
{
    struct arena *mem = arena_new(NULL);
    struct attempt *a = arena_alloc(mem, sizeof *a);

    c->has_asked = true;
    a->mem = mem;
    a->id = m->id;
    a->conn = c;
    a->name = BUF(SASL_FIELD_MAX);
    a->service = keep(mem, auth_msg_get(m, "service"));
    a->client_address = keep(mem, auth_msg_get(m, "rip"));
    a->fail_code = a->fail_reason = "";
    sasl_server_begin(&a->sasl, mech, conf.myhostname);
    a->sasl.stamp = stamp_of(c, mech, auth_msg_get(m, "resp"), mem);
    hash_put(c->attempts, id_key(&a->id), a);
    return a;
}

static bool is_offered(const struct sasl_mech *mech)
{
    struct str rest = strz(conf.auth_mechanisms);

    for (struct str word; str_word(&rest, " \t,", &word);)
        if (str_ieqz(word, mech->name))
            return true;
    return false;
}

static bool cmd_auth(struct authd_conn *c, struct auth_msg *m)
{
    const struct sasl_mech *mech = sasl_find(auth_msg_arg(m, 0));
    struct str initial = auth_msg_get(m, "resp");

    if (hash_find(c->attempts, id_key(&m->id)) != NULL) {
        msg_warn("client reuses the number of an attempt in progress");
        return false;
    }
    if (mech == NULL || !is_offered(mech) ||
        hash_count(c->attempts) >= (size_t)conf.auth_request_limit) {
        auth_wire_begin_id(&c->out, AUTH_V_FAIL, m->id);
        if (mech != NULL && is_offered(mech)) {
            msg_warn("more than auth_request_limit (%lld) attempts on one connection",
                     (long long)conf.auth_request_limit);
            auth_wire_arg(&c->out, STR("temp"));
        }
        auth_wire_pair(&c->out, "reason", STR("Unsupported authentication mechanism."));
        auth_wire_end(&c->out);
        return true;
    }
    attempt_step(new_attempt(c, m, mech), initial.p != NULL, initial.p != NULL ? initial : STR(""),
                 &c->out);
    return true;
}

static bool cmd_cont(struct authd_conn *c, struct auth_msg *m)
{
    struct attempt *a = hash_find(c->attempts, id_key(&m->id));

    if (a == NULL) /* it has timed out */
        return true;
    if (a->failed || a->job != 0) {
        msg_warn("client goes on with an attempt that is being judged");
        return false;
    }
    heap_drop(&c->due, &a->due);
    attempt_step(a, true, auth_msg_arg(m, 0), &c->out);
    return true;
}

static bool cmd_cancel(struct authd_conn *c, struct auth_msg *m)
{
    struct attempt *a = hash_find(c->attempts, id_key(&m->id));

    if (a != NULL)
        conn_finished(a);
    return true;
}

static bool peer_of(const struct authd_conn *c, struct ucred *who)
{
    socklen_t len = sizeof *who;

    return getsockopt(stream_fd(c->stream), SOL_SOCKET, SO_PEERCRED, who, &len) == 0;
}

/* Of the mail owner's processes. */
static bool may_exchange(const struct authd_conn *c)
{
    struct ucred who;

    return peer_of(c, &who) && (who.uid == 0 || who.uid == geteuid());
}

/* imap and pop3, known by their role. A suite that a plain user has started has one uid for all. */
static bool may_redeem(const struct authd_conn *c)
{
    struct ucred who;

    if (!peer_of(c, &who))
        return false;
    enum role role = trust_role(who.uid, who.gid);
    return role == ROLE_IMAP || role == ROLE_POP3 || role == ROLE_ROOT ||
           (!state.as_root && who.uid == geteuid());
}

static void put_user(struct buf *out, uint32_t id, const struct user *u)
{
    auth_wire_begin_id(out, AUTH_V_USER, id);
    auth_wire_arg(out, strz(u->name));
    buf_addf(out, "\tuid=%u\tgid=%u", u->uid, u->gid);
    auth_wire_pair(out, "home", strz(u->home));
    auth_wire_pair(out, "mail", strz(u->mail));
    if (*u->quota_rule != '\0')
        auth_wire_pair(out, "quota_rule", strz(u->quota_rule));
    auth_wire_end(out);
}

/* The name that a token or ticket stands for; false: answered, and logged. */
static bool take_token(struct authd_conn *c, struct auth_msg *m, enum token_kind kind,
                       struct buf *name)
{
    const char *what = kind == TOKEN_OF_FRONT ? "login token" : "session ticket";
    const char *problem =
        token_redeem(kind, auth_msg_arg(m, 0), auth_msg_get(m, "service"), task_now(), name);

    if (problem == NULL)
        return true;
    msg_warn("a %s is refused: %s", what, problem);
    auth_wire_begin_id(&c->out, AUTH_V_NOTFOUND, m->id);
    auth_wire_end(&c->out);
    return false;
}

static void say_no(struct authd_conn *c, const struct auth_msg *m, bool temporary,
                   const char *reason)
{
    auth_wire_begin_id(&c->out, AUTH_V_FAIL, m->id);
    if (temporary)
        auth_wire_arg(&c->out, STR("temp"));
    auth_wire_pair(&c->out, "reason", strz(reason));
    auth_wire_end(&c->out);
}

static void give_ticket(struct authd_conn *c, struct auth_msg *m, struct str name)
{
    struct buf ticket = BUF(TOKEN_MAX);
    struct arena *mem = arena_new(NULL);
    const char *service = keep(mem, auth_msg_get(m, "service"));

    if (token_make(TOKEN_OF_BROKER, name, service, task_now(), &ticket)) {
        auth_wire_begin_id(&c->out, AUTH_V_TICKET, m->id);
        auth_wire_arg(&c->out, name);
        auth_wire_pair(&c->out, "ticket", buf_str(&ticket));
        auth_wire_end(&c->out);
    } else {
        say_no(c, m, true, "too many logins wait for their sessions");
    }
    buf_free(&ticket);
    arena_free(&mem);
}

static bool cmd_exchange(struct authd_conn *c, struct auth_msg *m)
{
    struct buf name = BUF(SASL_FIELD_MAX);

    if (c->state == CONN_VERSION && !may_exchange(c)) {
        msg_warn("a login token is asked about by somebody who is not the mailbox broker");
        return false;
    }
    c->state = CONN_BROKER;
    c->has_asked = true;
    if (take_token(c, m, TOKEN_OF_FRONT, &name))
        give_ticket(c, m, buf_str(&name));
    buf_free(&name);
    return true;
}

static void give_user(struct authd_conn *c, struct auth_msg *m, struct str name)
{
    struct arena *mem = arena_new(NULL);
    struct why why = WHY;
    struct user u;

    if (users_find(name, mem, &u, &why) == 0) {
        put_user(&c->out, m->id, &u);
    } else {
        msg_warn("%.*s has logged in but has no mailbox: %s", (int)name.n, name.p, why_text(&why));
        say_no(c, m, false, why_text(&why));
    }
    arena_free(&mem);
    why_free(&why);
}

static bool cmd_request(struct authd_conn *c, struct auth_msg *m)
{
    struct buf name = BUF(SASL_FIELD_MAX);

    if (c->state == CONN_VERSION && !may_redeem(c)) {
        msg_warn("a session ticket is shown by somebody who may not start sessions");
        return false;
    }
    c->state = CONN_OPENER;
    c->has_asked = true;
    if (take_token(c, m, TOKEN_OF_BROKER, &name))
        give_user(c, m, buf_str(&name));
    buf_free(&name);
    return true;
}

static const struct {
    enum auth_verb verb;
    unsigned states; /* 1 << state */
    bool (*run)(struct authd_conn *c, struct auth_msg *m);
} commands[] = {
    {AUTH_V_VERSION, 1 << CONN_NEW, cmd_version},
    {AUTH_V_CPID, 1 << CONN_VERSION, cmd_cpid},
    {AUTH_V_AUTH, 1 << CONN_CLIENT, cmd_auth},
    {AUTH_V_CONT, 1 << CONN_CLIENT, cmd_cont},
    {AUTH_V_CANCEL, 1 << CONN_CLIENT, cmd_cancel},
    {AUTH_V_EXCHANGE, 1 << CONN_VERSION | 1 << CONN_BROKER, cmd_exchange},
    {AUTH_V_REQUEST, 1 << CONN_VERSION | 1 << CONN_OPENER, cmd_request},
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
    msg_warn("command %d of a client is not allowed in state %d; closing the connection", m.verb,
             c->state);
    return false;
}

/* ---- a connection */

static void greet(struct authd_conn *c)
{
    unsigned char cookie[16];
    uint32_t number = ++state.last_conn;

    /* The protocol 1.1 has a cookie for Dovecot's own login processes; ours use tokens. */
    random_bytes(cookie, sizeof cookie);
    snprintf(c->stamp, sizeof c->stamp, "%d.%u.", (int)getpid(), number);
    buf_addf(&c->out, "VERSION\t%d\t%d\n%sSPID\t%d\nCUID\t%u\nCOOKIE\t", AUTH_MAJOR, AUTH_MINOR,
             state.mechs.p, (int)getpid(), number);
    for (size_t i = 0; i < sizeof cookie; i++)
        buf_addf(&c->out, "%02x", cookie[i]);
    buf_addz(&c->out, "\nDONE\n");
}

/* Answers whose time has come; when the next one is due, 0 for none. */
static int64_t answer_due(struct authd_conn *c)
{
    struct heap_node *first;

    while ((first = heap_first(&c->due)) != NULL) {
        if (first->key > task_now())
            return first->key;
        attempt_due(HEAP_OF(first, struct attempt, due), &c->out);
    }
    return 0;
}

/*
 * When the connection ends if nothing more is said on it; 0: not for that. A process that drains
 * brings conversations to their end. Who has been accepted and is about to ask gets an answer: a
 * storm of reloads would else send him from one process to the next.
 */
static int64_t ends_at(const struct authd_conn *c)
{
    if (hash_count(c->attempts) > 0)
        return state.talk_until;
    return c->has_asked && state.silent_until != 0 ? task_now() : state.silent_until;
}

/* What has been read is answered first. */
static bool may_end(const struct authd_conn *c)
{
    int64_t at = ends_at(c);

    return at != 0 && task_now() >= at && (stream_ahead(c->stream) == 0 || at == state.talk_until);
}

/* Of two times, 0 for never. */
static int64_t earlier(int64_t a, int64_t b)
{
    return b != 0 && (a == 0 || b < a) ? b : a;
}

static void serve(struct authd_conn *c)
{
    struct buf line = BUF(AUTH_LINE_MAX);
    bool going = true;

    while (going) {
        int64_t next = answer_due(c);
        stream_put(c->stream, buf_str(&c->out));
        buf_clear(&c->out);
        if (may_end(c))
            break;
        if (stream_ahead(c->stream) == 0) {
            enum wait w = stream_wait(c->stream, earlier(next, ends_at(c)));
            if (w == WAIT_CANCELLED)
                break;
            if (w != WAIT_READY)
                continue;
        }
        enum line end = stream_line(c->stream, &line);
        going = end == LINE_LF || end == LINE_CRLF ? take_line(c, &line) : false;
        explicit_bzero(line.p, line.n);
    }
    buf_free(&line);
}

static void drop_attempts(struct authd_conn *c)
{
    size_t cursor = 0;
    struct str key;
    void *value;

    while (hash_next(c->attempts, &cursor, &key, &value)) {
        conn_finished(value);
        cursor = 0;
    }
}

static void session(struct stream *client, const struct peer *peer, struct arena *mem)
{
    struct authd_conn *c = arena_alloc(mem, sizeof *c);
    struct ucred who;

    (void)peer;
    c->stream = client;
    c->client = peer_of(c, &who) ? who.pid : 0;
    c->task = task_self();
    c->out = BUF(1024 * 1024);
    c->attempts = hash_new();
    list_add(&state.conns, &c->all);
    greet(c);
    serve(c);
    if (c->state == CONN_CLIENT && service_draining() && is_offered(sasl_find(STR("APOP"))))
        stamp_keep(c->stamp, c->client, task_now());
    list_drop(&c->all);
    drop_attempts(c);
    hash_free(&c->attempts, NULL);
    heap_free(&c->due);
    buf_free(&c->out);
}

/* Who waits for a refusal has waited long enough. */
static void hurry(struct authd_conn *c)
{
    size_t cursor = 0;
    struct str key;
    void *value;

    while (hash_next(c->attempts, &cursor, &key, &value)) {
        struct attempt *a = value;
        if (a->failed)
            conn_wait(a, task_now());
    }
}

/* Idle connections end at once; their owners connect to the next process. */
static void drain(void)
{
    state.silent_until = task_now() + SILENT_MS;
    state.talk_until = task_now() + conf.login_timeout * 1000;
    LIST_EACH (&state.conns, l) {
        struct authd_conn *c = LIST_OF(l, struct authd_conn, all);
        hurry(c);
        task_wake(c->task);
    }
}

/* ---- start */

static void make_mech_lines(void)
{
    struct str rest = strz(conf.auth_mechanisms);

    state.mechs = BUF(4096);
    for (struct str word; str_word(&rest, " \t,", &word);) {
        const struct sasl_mech *m = sasl_find(word);
        if (m == NULL)
            msg_fatal("auth_mechanisms: unknown mechanism \"%.*s\"", (int)word.n, word.p);
        buf_addf(&state.mechs, "MECH\t%s", m->name);
        sasl_put_traits(&state.mechs, m->traits, '\t');
        buf_addc(&state.mechs, '\n');
    }
}

static void open_all(void)
{
    state.as_root = geteuid() == 0;
    make_mech_lines();
    list_init(&state.conns);
    users_open();
    cache_open();
    char *shared = service_shared(tokens_size() + stamps_size());
    tokens_open(shared);
    stamps_open(shared + tokens_size());
    if (!service_trying())
        workers_start();
}

int main(int argc, char **argv)
{
    static const struct service authd = {.name = "authd",
                                         .rights = RIGHT_READ,
                                         .sole = true,
                                         .open = open_all,
                                         .paths = users_paths,
                                         .start = workers_watch,
                                         .session = session,
                                         .drain = drain};

    return service_main(&authd, argc, argv);
}
