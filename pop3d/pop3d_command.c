/*
 * What a client may say before login: the AUTHORIZATION state of RFC 1939 4.
 */
#include "base/arena.h"
#include "base/encode.h"
#include "base/str.h"
#include "conf/conf.h"
#include "login/login.h"
#include "net/stream.h"

#include "pop3d.h"

static void greet(struct login *l)
{
    login_make_stamp(l);
    stream_putf(l->client, "+OK %s%s%s\r\n", conf.login_greeting, l->stamp.n > 0 ? " " : "",
                l->stamp.p);
}

static void bye(struct login *l, const char *text)
{
    stream_putf(l->client, "-ERR %s\r\n", text);
}

/* RFC 3206: AUTH for what the user can mend, SYS/TEMP for what goes away. */
static void pop3d_command_refuse(struct login *l, const char *tag, enum auth_answer answer,
                                 const char *code, const char *reason)
{
    (void)tag;
    if (answer == AUTH_LATER)
        stream_putz(l->client, "-ERR [SYS/TEMP] Temporary authentication failure. Try later.\r\n");
    else if (answer == AUTH_MORE || strcmp(code, "unsupported") == 0)
        stream_putf(l->client, "-ERR %s\r\n", reason);
    else
        stream_putf(l->client, "-ERR [AUTH] %s\r\n",
                    *reason != '\0' ? reason : "Authentication failed.");
}

static enum login_next cmd_capa(struct login *l, struct str args)
{
    struct buf mechs = BUF_TEXT(1000);

    (void)args;
    login_mechs(l, &mechs);
    stream_putz(l->client, "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\n"
                           "AUTH-RESP-CODE\r\n");
    if (l->may_start_tls)
        stream_putz(l->client, "STLS\r\n");
    if (login_may_plain(l))
        stream_putz(l->client, "USER\r\n");
    if (mechs.n > 0)
        stream_putf(l->client, "SASL %s\r\n", mechs.p);
    stream_putz(l->client, ".\r\n");
    buf_free(&mechs);
    return LOGIN_GO_ON;
}

static enum login_next cmd_user(struct login *l, struct str args)
{
    if (args.n == 0) {
        stream_putz(l->client, "-ERR No username given.\r\n");
    } else if (!login_may_plain(l)) {
        stream_putz(l->client, "-ERR [AUTH] Plaintext authentication disallowed on non-secure "
                               "(SSL/TLS) connections.\r\n");
    } else {
        l->given = arena_str(l->mem, args);
        stream_putz(l->client, "+OK\r\n");
    }
    return LOGIN_GO_ON;
}

/* RFC 1939 7: the whole rest of the line, blanks too, is the password. */
static enum login_next cmd_pass(struct login *l, struct str args)
{
    struct str user = l->given;

    if (user.n == 0) {
        stream_putz(l->client, "-ERR No username given.\r\n");
        return LOGIN_GO_ON;
    }
    enum login_next next = login_plain(l, "", user, args);
    l->given.n = next == LOGIN_GO_ON ? 0 : l->given.n;
    return next;
}

/* RFC 1939 7: name and the digest in hex. To authd: stamp, name, digest. */
static enum login_next cmd_apop(struct login *l, struct str args)
{
    struct buf response = BUF(SASL_FIELD_MAX * 2);
    ptrdiff_t blank = str_rfind(args, ' ');
    enum login_next next = LOGIN_GO_ON;

    if (l->stamp.n == 0) {
        stream_putz(l->client, "-ERR APOP not enabled.\r\n");
        return LOGIN_GO_ON;
    }
    buf_add(&response, buf_str(&l->stamp));
    buf_addc(&response, '\0');
    buf_add(&response, str_upto(args, blank < 0 ? 0 : (size_t)blank));
    buf_addc(&response, '\0');
    if (blank <= 0 || !decode_hex(&response, str_from(args, (size_t)blank + 1)) ||
        !buf_ok(&response))
        stream_putz(l->client, "-ERR Invalid parameters.\r\n");
    else
        next = login_raw(l, "", "APOP", buf_str(&response));
    buf_free(&response);
    return next;
}

/* RFC 5034 4; without an argument the list of mechanisms, as servers of the field have it. */
static enum login_next cmd_auth(struct login *l, struct str args)
{
    struct str mech, initial = {NULL, 0};

    if (!str_word(&args, " ", &mech)) {
        struct buf mechs = BUF_TEXT(1000);
        login_mechs(l, &mechs);
        stream_putz(l->client, "+OK\r\n");
        struct str rest = buf_str(&mechs);
        for (struct str word; str_word(&rest, " ", &word);)
            stream_putf(l->client, "%.*s\r\n", (int)word.n, word.p);
        stream_putz(l->client, ".\r\n");
        buf_free(&mechs);
        return LOGIN_GO_ON;
    }
    if (str_word(&args, " ", &initial) && args.n > 0) {
        stream_putz(l->client, "-ERR Invalid parameters.\r\n");
        return LOGIN_GO_ON;
    }
    return login_sasl(l, "", arena_str(l->mem, mech), initial);
}

static enum login_next cmd_stls(struct login *l, struct str args)
{
    (void)args;
    if (!l->may_start_tls) {
        stream_putz(l->client, l->tls ? "-ERR TLS is already active.\r\n"
                                      : "-ERR TLS support isn't enabled.\r\n");
        return LOGIN_GO_ON;
    }
    stream_putz(l->client, "+OK Begin TLS negotiation now.\r\n");
    stream_discard(l->client); /* what was sent before TLS is never taken as inside it */
    return login_start_tls(l) ? LOGIN_GO_ON : LOGIN_OVER;
}

static enum login_next cmd_noop(struct login *l, struct str args)
{
    (void)args;
    stream_putz(l->client, "+OK\r\n");
    return LOGIN_GO_ON;
}

static enum login_next cmd_quit(struct login *l, struct str args)
{
    (void)args;
    stream_putz(l->client, "+OK Logging out\r\n");
    return LOGIN_BYE;
}

static const struct {
    const char *name;
    enum login_next (*run)(struct login *l, struct str args);
} commands[] = {
    {"CAPA", cmd_capa}, {"USER", cmd_user}, {"PASS", cmd_pass}, {"APOP", cmd_apop},
    {"AUTH", cmd_auth}, {"STLS", cmd_stls}, {"NOOP", cmd_noop}, {"QUIT", cmd_quit},
};

static enum login_next command(struct login *l, struct str line)
{
    ptrdiff_t blank = str_find(line, ' ');
    struct str name = blank < 0 ? line : str_upto(line, (size_t)blank);
    struct str args = blank < 0 ? STR("") : str_from(line, (size_t)blank + 1);

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (str_ieqz(name, commands[i].name))
            return commands[i].run(l, args);
    stream_putz(l->client, "-ERR Unknown command.\r\n");
    return LOGIN_GO_ON;
}

static bool wrappermode(void)
{
    return conf.pop3_tls_wrappermode;
}

const struct login_front pop3d_front = {.service = "pop3",
                                        .wrappermode = wrappermode,
                                        .greet = greet,
                                        .command = command,
                                        .refuse = pop3d_command_refuse,
                                        .bye = bye};
