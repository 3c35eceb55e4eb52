/*
 * What a client may say before login: RFC 3501 6.1 and 6.2.
 */
#include "base/arena.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "login/login.h"
#include "net/sock.h"
#include "net/stream.h"

#include "imap_caps.h"
#include "imapd.h"

enum {
    ID_WORDS = 60, /* RFC 2971 3.3: at most 30 pairs */
    LITERALS = 10, /* of a command that is refused */
};

/* A command's arguments; a literal continues on the next line. */
struct args {
    struct login *l;
    struct str rest;
    struct buf line; /* what follows a literal */
    bool over; /* the connection is, by a literal or a list beyond its bound */
};

static const char *capabilities(struct login *l)
{
    const struct imap_caps_facts facts = {.may_start_tls = l->may_start_tls,
                                          .may_plain = login_may_plain(l)};
    struct buf caps = BUF_TEXT(4000), mechs = BUF_TEXT(1000);

    imap_caps_put(&facts, &caps);
    login_mechs(l, &mechs);
    struct str rest = buf_str(&mechs);
    for (struct str word; str_word(&rest, " ", &word);)
        buf_addf(&caps, " AUTH=%.*s", (int)word.n, word.p);
    const char *text = arena_strz(l->mem, buf_str(&caps));
    buf_free(&mechs);
    buf_free(&caps);
    return text;
}

static void greet(struct login *l)
{
    stream_putf(l->client, "* OK [CAPABILITY %s] %s\r\n", capabilities(l), conf.login_greeting);
}

static void bye(struct login *l, const char *text)
{
    stream_putf(l->client, "* BYE %s\r\n", text);
}

/* RFC 5530 3 */
static void imapd_command_refuse(struct login *l, const char *tag, enum auth_answer answer,
                                 const char *code, const char *reason)
{
    static const struct {
        const char *code, *response;
    } codes[] = {
        {"privacyrequired", "[PRIVACYREQUIRED] "},
        {"unsupported", "[CANNOT] "},
        {"authz", "[AUTHORIZATIONFAILED] "},
        {"user_disabled", "[CONTACTADMIN] "},
        {"pass_expired", "[EXPIRED] "},
    };
    const char *response = "[AUTHENTICATIONFAILED] ";

    if (answer == AUTH_MORE) { /* RFC 3501 6.2.2: cancelled */
        stream_putf(l->client, "%s BAD %s\r\n", tag, reason);
        return;
    }
    if (answer == AUTH_LATER) {
        stream_putf(l->client,
                    "%s NO [UNAVAILABLE] Temporary authentication failure. Try later.\r\n", tag);
        return;
    }
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(code, codes[i].code) == 0)
            response = codes[i].response;
    stream_putf(l->client, "%s NO %s%s\r\n", tag, response,
                *reason != '\0' ? reason : "Authentication failed.");
}

/* ---- arguments: RFC 3501 9, astring */

static bool take_quoted(struct args *a, struct str *out, struct arena *mem)
{
    size_t end = 1, n = 0;

    while (end < a->rest.n && a->rest.p[end] != '"')
        end += a->rest.p[end] == '\\' ? 2 : 1;
    char *to = arena_alloc(mem, end);
    for (size_t i = 1; i < a->rest.n; i++) {
        char c = a->rest.p[i];
        if (c == '"') {
            *out = (struct str){to, n};
            a->rest = str_from(a->rest, i + 1);
            return true;
        }
        if (c == '\\' && ++i < a->rest.n)
            c = a->rest.p[i];
        to[n++] = c;
    }
    return false;
}

static bool take_literal(struct args *a, struct str *out, struct arena *mem)
{
    struct str size = str_part(a->rest, 1, a->rest.n - 2);
    uint32_t n;

    if (!str_ends(a->rest, STR("}")))
        return false;
    bool waits = !str_ends(size, STR("+"));
    if (!num_parse_u32(waits ? size : str_upto(size, size.n - 1), 0, UINT32_MAX, &n))
        return false;
    if (n > SASL_FIELD_MAX) {
        a->over = !waits; /* it is on its way and would be taken for commands */
        return false;
    }
    if (waits)
        stream_putz(a->l->client, "+ OK\r\n");
    char *bytes = arena_alloc(mem, n + 1);
    *out = (struct str){bytes, n};
    a->over = stream_read(a->l->client, bytes, n) < n;
    if (!a->over && stream_ahead(a->l->client) == 0)
        sock_ack_now(stream_fd(a->l->client)); /* the rest of the line waits for it */
    a->over = a->over || !login_line(a->l, &a->line);
    if (a->over)
        return false;
    a->rest = buf_str(&a->line);
    return true;
}

static bool take_atom(struct args *a, struct str *out)
{
    size_t n = 0;

    while (n < a->rest.n && (unsigned char)a->rest.p[n] > ' ' &&
           strchr("(){\"\x7f", a->rest.p[n]) == NULL)
        n++;
    *out = str_upto(a->rest, n);
    a->rest = str_from(a->rest, n);
    return n > 0;
}

/* One blank, then one argument. */
static bool take_arg(struct args *a, struct str *out, struct arena *mem)
{
    if (!str_starts(a->rest, STR(" ")))
        return false;
    a->rest = str_from(a->rest, 1);
    if (str_starts(a->rest, STR("\"")))
        return take_quoted(a, out, mem);
    if (str_starts(a->rest, STR("{")))
        return take_literal(a, out, mem);
    return take_atom(a, out);
}

/* What a client sends without waiting belongs to the command that is refused, and would be taken
 * for commands. False: it is no literal. RFC 7888 4 */
static bool skip_literal(struct args *a)
{
    ptrdiff_t brace = str_rfind(a->rest, '{');
    uint32_t n;

    if (brace < 0 || !str_ends(a->rest, STR("+}")) ||
        !num_parse_u32(str_part(a->rest, (size_t)brace + 1, a->rest.n - (size_t)brace - 3), 0,
                       UINT32_MAX, &n))
        return false;
    struct buf bytes = BUF(SASL_FIELD_MAX); /* fits: n is asked */
    char *to = n <= SASL_FIELD_MAX ? buf_room(&bytes, n) : NULL;
    a->over = to == NULL || stream_read(a->l->client, to, n) < n || !login_line(a->l, &a->line);
    buf_free(&bytes);
    a->rest = a->over ? STR("") : buf_str(&a->line);
    return !a->over;
}

static enum login_next refuse(struct args *a, const char *tag, const char *text)
{
    for (int left = LITERALS; !a->over && skip_literal(a);)
        a->over = --left < 0;
    if (a->over) {
        if (stream_state(a->l->client) == STREAM_OK)
            bye(a->l, "Command too large.");
        return LOGIN_OVER;
    }
    stream_putf(a->l->client, "%s BAD Error in IMAP command: %s\r\n", tag, text);
    return LOGIN_GO_ON;
}

static enum login_next malformed(struct args *a, const char *tag)
{
    return refuse(a, tag, "invalid arguments.");
}

/* ---- commands */

static enum login_next cmd_capability(struct args *a, const char *tag)
{
    stream_putf(a->l->client, "* CAPABILITY %s\r\n%s OK Capability completed.\r\n",
                capabilities(a->l), tag);
    return LOGIN_GO_ON;
}

static enum login_next cmd_noop(struct args *a, const char *tag)
{
    stream_putf(a->l->client, "%s OK NOOP completed.\r\n", tag);
    return LOGIN_GO_ON;
}

static enum login_next cmd_logout(struct args *a, const char *tag)
{
    stream_putf(a->l->client, "* BYE Logging out\r\n%s OK Logout completed.\r\n", tag);
    return LOGIN_BYE;
}

/* imap_id_send = name * version 1.0: "*" stands for our own value. */
static void put_id(struct login *l)
{
    struct str rest = strz(conf.imap_id_send);
    struct buf out = BUF(1000);

    for (struct str name, value; str_word(&rest, " ", &name) && str_word(&rest, " ", &value);) {
        if (str_eqz(value, "*"))
            value = str_eqz(name, "name")      ? STR("Pombal")
                    : str_eqz(name, "version") ? STR(POMBAL_VERSION)
                                               : STR("");
        buf_addf(&out, "%s\"%.*s\" \"%.*s\"", out.n > 0 ? " " : "", (int)name.n, name.p,
                 (int)value.n, value.p);
    }
    if (out.n > 0 && buf_ok(&out))
        stream_putf(l->client, "* ID (%s)\r\n", out.p);
    else
        stream_putz(l->client, "* ID NIL\r\n");
    buf_free(&out);
}

/* NIL or a list of strings. */
static bool take_id(struct args *a, struct arena *mem)
{
    struct str word;
    int words = 0;

    if (!str_starts(a->rest, STR(" (")))
        return take_arg(a, &word, mem);
    a->rest = str_from(a->rest, 2);
    if (str_starts(a->rest, STR(")")))
        return true;
    /* Each string with a blank in front, as take_arg wants it. */
    a->rest = strz(arena_printf(mem, " %.*s", (int)a->rest.n, a->rest.p));
    while (!str_eqz(a->rest, ")")) {
        if (++words > ID_WORDS) {
            a->over = true; /* more of them may be on their way */
            return false;
        }
        if (!take_arg(a, &word, mem))
            return false;
    }
    return true;
}

/* RFC 2971 3.1, 3.3: at most 30 pairs, names of 30 and values of 1,024 octets, which fit into the
 * default of login_max_line_length. What the client says of itself is read past. */
static enum login_next cmd_id(struct args *a, const char *tag)
{
    struct arena *mem = arena_new(a->l->mem);
    enum login_next next = LOGIN_GO_ON;

    if (take_id(a, mem)) {
        put_id(a->l);
        stream_putf(a->l->client, "%s OK ID completed.\r\n", tag);
    } else {
        next = malformed(a, tag); /* it looks at the rest, which is in mem */
    }
    arena_free(&mem);
    return next;
}

static enum login_next cmd_starttls(struct args *a, const char *tag)
{
    struct login *l = a->l;

    if (!l->may_start_tls) {
        stream_putf(l->client, "%s BAD %s\r\n", tag,
                    l->tls ? "TLS is already active." : "TLS support isn't enabled.");
        return LOGIN_GO_ON;
    }
    stream_putf(l->client, "%s OK Begin TLS negotiation now.\r\n", tag);
    stream_discard(l->client); /* what was sent before TLS is never taken as inside it */
    return login_start_tls(l) ? LOGIN_GO_ON : LOGIN_OVER;
}

/* RFC 4959: an initial response may stand on the line; "=" is an empty one. */
static enum login_next cmd_authenticate(struct args *a, const char *tag)
{
    struct str mech, initial = {NULL, 0};

    if (!take_arg(a, &mech, a->l->mem))
        return malformed(a, tag);
    mech = arena_str(a->l->mem, mech);
    if (a->rest.n > 0 && (!take_arg(a, &initial, a->l->mem) || a->rest.n > 0))
        return malformed(a, tag);
    return login_sasl(a->l, tag, mech, initial);
}

static enum login_next cmd_login(struct args *a, const char *tag)
{
    struct str user, password;

    if (!take_arg(a, &user, a->l->mem))
        return malformed(a, tag);
    user = arena_str(a->l->mem, user); /* a literal password takes the line away */
    if (!take_arg(a, &password, a->l->mem) || a->rest.n > 0)
        return malformed(a, tag);
    return login_plain(a->l, tag, user, password);
}

static const struct {
    const char *name;
    bool takes_arguments;
    enum login_next (*run)(struct args *a, const char *tag);
} commands[] = {
    {"CAPABILITY", false, cmd_capability},
    {"NOOP", false, cmd_noop},
    {"LOGOUT", false, cmd_logout},
    {"ID", true, cmd_id},
    {"STARTTLS", false, cmd_starttls},
    {"AUTHENTICATE", true, cmd_authenticate},
    {"LOGIN", true, cmd_login},
};

/* RFC 3501 9: tag = 1*<any ASTRING-CHAR except "+"> */
static bool is_tag(struct str tag)
{
    for (size_t i = 0; i < tag.n; i++)
        if (tag.p[i] <= ' ' || tag.p[i] >= 127 || strchr("(){%*\"\\+", tag.p[i]) != NULL)
            return false;
    return tag.n > 0 && tag.n <= 100;
}

static enum login_next run_command(struct args *a, const char *tag, struct str name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (str_ieqz(name, commands[i].name)) {
            if (a->rest.n > 0 && !commands[i].takes_arguments)
                return malformed(a, tag);
            return commands[i].run(a, tag);
        }
    return refuse(a, tag, "not known, or not allowed before login.");
}

static enum login_next command(struct login *l, struct str line)
{
    struct args a = {.l = l, .line = BUF((size_t)conf.login_max_line_length)};
    struct str tag, name;

    ptrdiff_t blank = str_find(line, ' ');
    tag = blank < 0 ? line : str_upto(line, (size_t)blank);
    if (blank < 0 || !is_tag(tag)) {
        stream_putz(l->client, "* BAD Error in IMAP command: a tag and a command are wanted.\r\n");
        return LOGIN_GO_ON;
    }
    line = str_rtrim(str_from(line, (size_t)blank + 1));
    blank = str_find(line, ' ');
    name = blank < 0 ? line : str_upto(line, (size_t)blank);
    a.rest = str_from(line, name.n);
    enum login_next next = run_command(&a, arena_strz(l->mem, tag), name);
    if (a.line.room > 0)
        explicit_bzero(a.line.p, a.line.room);
    buf_free(&a.line);
    return next;
}

static bool wrappermode(void)
{
    return conf.imap_tls_wrappermode;
}

const struct login_front imapd_front = {.service = "imap",
                                        .wrappermode = wrappermode,
                                        .greet = greet,
                                        .command = command,
                                        .refuse = imapd_command_refuse,
                                        .bye = bye};
