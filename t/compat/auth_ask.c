/*
 * auth_ask SOCKET: for the comparison with Dovecot. Each line of standard input is an attempt, all
 * on one connection: "MECHANISM USER PASSWORD"; each answer a line: "ok NAME", "denied CODE",
 * "later". "mechs" lists the mechanisms. The attempts run at once; answers come in their order.
 */
#include <stdio.h>

#include "auth/auth_client.h"
#include "base/encode.h"
#include "base/msg.h"
#include "base/str.h"
#include "task/task.h"

enum { PATIENCE_MS = 300000, ATTEMPTS = 1000 };

struct attempt {
    char mech[32], user[200], password[200];
    char answer[300];
};

static struct {
    struct auth_client *client;
    struct attempt *all;
    size_t n;
} state;

static void put_mechs(struct attempt *a)
{
    struct buf names = BUF(250);

    if (auth_client_mechs(state.client, 0, 0, &names, task_now() + PATIENCE_MS, NULL) < 0)
        snprintf(a->answer, sizeof a->answer, "later");
    else
        snprintf(a->answer, sizeof a->answer, "%s", names.p);
    buf_free(&names);
}

/* What the client's mechanism says to a challenge in base64, as base64. */
static bool step(struct sasl_client *c, const char *challenge, struct buf *out)
{
    struct buf raw = BUF(4096), said = BUF(4096);
    bool ok = decode_base64(&raw, strz(challenge)) &&
              sasl_client_step(c, buf_str(&raw), &said) != SASL_BAD;

    buf_clear(out);
    encode_base64(out, buf_str(&said));
    buf_free(&raw);
    buf_free(&said);
    return ok;
}

static void attempt(void *arg)
{
    struct attempt *a = arg;
    const struct sasl_mech *mech = sasl_find(strz(a->mech));
    struct auth_ask ask = {.service = "smtp",
                           .mech = strz(a->mech),
                           .client_address = "127.0.0.1",
                           .server_address = "127.0.0.1",
                           .secured = true};
    struct buf text = BUF(8192);
    struct auth_login *l;
    struct sasl_client c;
    int64_t deadline = task_now() + PATIENCE_MS;

    if (strcmp(a->mech, "mechs") == 0) {
        put_mechs(a);
        return;
    }
    sasl_client_begin(&c, mech, strz(a->user), strz(a->password));
    if (mech->client_first && step(&c, "", &text))
        ask.initial = buf_str(&text);
    enum auth_answer answer = auth_login_start(state.client, &ask, deadline, &l, NULL);
    while (answer == AUTH_MORE && step(&c, auth_login_challenge(l), &text))
        answer = auth_login_reply(l, buf_str(&text), deadline, NULL);
    if (answer == AUTH_OK)
        snprintf(a->answer, sizeof a->answer, "ok %s", auth_login_user(l));
    else if (answer == AUTH_LATER)
        snprintf(a->answer, sizeof a->answer, "later");
    else
        snprintf(a->answer, sizeof a->answer, "denied %s", auth_login_code(l));
    auth_login_free(&l);
    buf_free(&text);
}

int main(int argc, char **argv)
{
    static struct attempt all[ATTEMPTS];

    if (argc != 2)
        msg_fatal("usage: auth_ask SOCKET");
    state.client = auth_client_new(argv[1]);
    state.all = all;
    while (state.n < ATTEMPTS && scanf("%31s", all[state.n].mech) == 1) {
        struct attempt *a = &all[state.n++];
        if (strcmp(a->mech, "mechs") != 0 && scanf("%199s %199s", a->user, a->password) != 2)
            msg_fatal("MECHANISM USER PASSWORD is wanted");
        task_start("attempt", attempt, a);
    }
    task_loop();
    for (size_t i = 0; i < state.n; i++)
        puts(all[i].answer);
    auth_client_free(&state.client);
    return 0;
}
