/* The client of authd against a server in the same process that ends when the test wants it. */
#include "auth/auth_client.h"
#include "auth/user.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/msg.h"
#include "base/str.h"
#include "net/stream.h"

#include "unix_server.h"

static struct {
    struct unix_server at;
    int asked; /* requests that were read */
    bool ends; /* after each answer, before anything else happens */
    int mute, deaf; /* the first so many connections: no hand-shake; no answers */
    struct task *next; /* woken when a server has ended */
    int done; /* tests' tasks that are through */
} server;

/* The token is good once. */
static void answer(struct stream *s, const char *line)
{
    unsigned id;

    if (sscanf(line, "REQUEST\t%u\t", &id) != 1)
        return;
    if (server.asked++ < 2)
        stream_putf(s, "USER\t%u\tuser%u\tuid=1\tgid=1\thome=/h\tmail=maildir:/m\n", id, id);
    else
        stream_putf(s, "NOTFOUND\t%u\n", id);
}

static void serve(void *arg)
{
    struct stream *s = stream_new((int)(intptr_t)arg);
    struct buf line = BUF(1000);
    int before = server.asked;

    bool mute = server.mute-- > 0, deaf = server.deaf-- > 0;

    if (!mute)
        stream_putz(s, "VERSION\t1\t1\nSPID\t1\nCUID\t1\nDONE\n");
    while (stream_line(s, &line) == LINE_LF) {
        if (!mute && !deaf)
            answer(s, line.p);
        if (server.ends && server.asked > before)
            break;
    }
    stream_free(&s);
    buf_free(&line);
    if (server.next != NULL)
        task_wake(server.next);
}

static struct task *start_server(void)
{
    memset(&server, 0, sizeof server);
    return unix_server_start(&server.at, "test_auth_client", serve);
}

static void redeem(struct auth_client *c)
{
    struct arena *mem = arena_new(NULL);
    struct why why = WHY;
    struct user u;

    assert_int_equal(auth_client_redeem(c, "token", "imap", task_now() + 5000, &u, mem, &why),
                     AUTH_OK);
    why_free(&why);
    arena_free(&mem);
    server.done++;
}

static void redeem_first(void *arg)
{
    redeem(arg);
}

/* Asks when the server of the first has answered it and gone, and nobody has read that yet. */
static void redeem_second(void *arg)
{
    server.next = task_self();
    task_park(0);
    server.next = NULL;
    redeem(arg);
}

static void answer_before_the_end(void *arg)
{
    struct task *acceptor = start_server();
    struct auth_client *c = auth_client_new_tokens(server.at.path);

    (void)arg;
    server.ends = true;
    task_start("first", redeem_first, c);
    task_start("second", redeem_second, c);
    while (server.done < 2)
        task_sleep(task_now() + 5);
    assert_int_equal(server.asked, 2);
    auth_client_free(&c);
    task_cancel(acceptor);
    unlink(server.at.path);
}

TEST(what_a_server_answered_before_it_went_holds)
{
    msg_to_stderr(false);
    task_start("test", answer_before_the_end, NULL);
    task_loop();
}

/* A server that says nothing is asked again on a new connection: the old one may have been
 * forgotten by whatever stands in between. */
static void silence(void *arg)
{
    struct task *acceptor = start_server();
    struct auth_client *c = auth_client_new_tokens(server.at.path);
    struct arena *mem = arena_new(NULL);
    struct why why = WHY;
    struct user u;

    server.mute = arg == &server.mute;
    server.deaf = arg == &server.deaf;
    assert_int_equal(auth_client_redeem(c, "token", "imap", task_now() + 100, &u, mem, &why),
                     AUTH_LATER);
    assert_string_equal(why.code, "4.7.0");
    redeem(c);
    auth_client_free(&c);
    task_cancel(acceptor);
    unlink(server.at.path);
    arena_free(&mem);
    why_free(&why);
}

TEST(a_connection_without_a_greeting_is_given_up)
{
    msg_to_stderr(false);
    task_start("test", silence, &server.mute);
    task_loop();
}

TEST(a_connection_without_an_answer_is_given_up)
{
    msg_to_stderr(false);
    task_start("test", silence, &server.deaf);
    task_loop();
}

RUN_TESTS(T(what_a_server_answered_before_it_went_holds),
          T(a_connection_without_a_greeting_is_given_up),
          T(a_connection_without_an_answer_is_given_up))
