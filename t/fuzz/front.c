#include "front.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/encode.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "login/login.h"
#include "login/login_parts.h"
#include "net/peer.h"
#include "net/stream.h"
#include "service/client_count.h"
#include "task/task.h"

struct front {
    const struct login_front *front;
    int fd;
};

static volatile char seen;

/* Reads every byte, for the sanitizers. */
static void use(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        seen = s.p[i];
}

void login_auth_open(void)
{
}

void login_auth_close(void)
{
}

void login_mechs(struct login *l, struct buf *names)
{
    buf_addz(names, login_may_plain(l) ? "PLAIN LOGIN CRAM-MD5" : "CRAM-MD5");
}

void login_make_stamp(struct login *l)
{
    buf_addz(&l->stamp, "<1.2@fuzz>");
}

static enum login_next fail(struct login *l, const char *tag)
{
    l->attempts++;
    l->front->refuse(l, tag, AUTH_DENIED, "", "");
    return LOGIN_GO_ON;
}

enum login_next login_sasl(struct login *l, const char *tag, struct str mech, struct str initial)
{
    struct buf line = BUF((size_t)conf.login_max_line_length);
    bool more = initial.p != NULL;

    use(mech);
    use(initial);
    stream_putz(l->client, "+ \r\n");
    more = more || login_line(l, &line);
    use(buf_str(&line));
    buf_free(&line);
    return more ? fail(l, tag) : LOGIN_OVER;
}

enum login_next login_plain(struct login *l, const char *tag, struct str user, struct str password)
{
    use(user);
    use(password);
    return fail(l, tag);
}

enum login_next login_raw(struct login *l, const char *tag, const char *mech, struct str response)
{
    use(strz(mech));
    use(response);
    return fail(l, tag);
}

static void sink(const char *level __attribute__((unused)),
                 const char *text __attribute__((unused)))
{
}

static void serve(void *arg)
{
    const struct front *f = arg;
    struct arena *mem = arena_new(NULL);
    struct stream *client = stream_new(f->fd);
    struct peer peer;

    peer_init(&peer);
    login_session(f->front, client, &peer, mem);
    stream_free(&client);
    arena_free(&mem);
}

void front_run(const struct login_front *front, const uint8_t *data, size_t size)
{
    enum { ROOM = 100000 }; /* of the socket, for sure */
    static bool opened;
    int pair[2];

    conf.login_max_line_length = 512;
    conf.login_max_commands = 200;
    conf.login_max_attempts = 5;
    conf.login_timeout = 1;
    conf.login_greeting = "Ready.";
    conf.login_syslog_name = "";
    conf.imap_capability = "";
    conf.imap_id_send = "name * version *";
    if (!opened)
        client_count_open(32, 84);
    opened = true;
    msg_capture(sink);
    if (size > ROOM || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
        return;
    if (write(pair[1], data, size) < 0 || shutdown(pair[1], SHUT_WR) < 0)
        abort();
    struct front f = {front, pair[0]};
    task_start("front", serve, &f);
    task_loop();
    close(pair[1]);
}
