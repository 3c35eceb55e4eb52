/*
 * Proving who we are: RFC 4954, with what smtp_sasl_password_maps has for the server.
 */
#include "auth/sasl.h"
#include "base/encode.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/addr_find.h"
#include "dict/maps.h"
#include "net/stream.h"

#include "smtp.h"

static struct {
    struct maps *passwords;
    unsigned forbid, forbid_tls, forbid_verified; /* auth_trait bits */
} auth;

static unsigned forbidden(const char *parameter, const char *words)
{
    unsigned forbid = 0, require = 0;
    struct why why = WHY;

    if (sasl_options(strz(words), &forbid, &require, &why) < 0)
        msg_fatal("%s: %s", parameter, why_text(&why));
    why_free(&why);
    return forbid;
}

void smtp_open_auth(void)
{
    if (!conf.smtp_sasl_auth_enable)
        return;
    if (conf.smtp_sasl_password_maps[0] == 0)
        msg_fatal("smtp_sasl_auth_enable is set, but smtp_sasl_password_maps is empty");
    auth.passwords = maps_open("smtp_sasl_password_maps", conf.smtp_sasl_password_maps,
                               DICT_FOLD | DICT_MAY_FAIL);
    auth.forbid = forbidden("smtp_sasl_security_options", conf.smtp_sasl_security_options);
    auth.forbid_tls =
        forbidden("smtp_sasl_tls_security_options", conf.smtp_sasl_tls_security_options);
    auth.forbid_verified = forbidden("smtp_sasl_tls_verified_security_options",
                                     conf.smtp_sasl_tls_verified_security_options);
}

/* "user:password": of the sender, the server's name, or the next hop as it was written. */
static enum dict_answer find_password(const struct smtp_job *job, const struct smtp_session *s,
                                      struct buf *value, struct why *why)
{
    enum dict_answer a = DICT_NONE;

    if (conf.smtp_sender_dependent_authentication && job->d->sender[0] != 0)
        a = addr_find(auth.passwords, job->d->sender, ADDR_FULL | ADDR_NOEXT | ADDR_AT_DOMAIN, NULL,
                      value, NULL, why);
    if (a == DICT_NONE)
        a = maps_find(auth.passwords, s->host, value, why);
    if (a == DICT_NONE)
        a = maps_find(auth.passwords, s->dest->text, value, why);
    return a;
}

/* The mechanisms of the server that smtp_sasl_mechanism_filter lets through. */
static void allowed(const struct smtp_session *s, struct buf *out)
{
    struct str rest = buf_str(&s->ehlo.auth), mech, filter, item;

    while (str_word(&rest, " ", &mech)) {
        bool take = conf.smtp_sasl_mechanism_filter[0] == 0;
        filter = strz(conf.smtp_sasl_mechanism_filter);
        while (!take && str_word(&filter, ", \t\r\n", &item)) {
            bool no = str_starts(item, STR("!"));
            if (str_ieq(str_from(item, no), mech) || str_eqz(str_from(item, no), "static:rest")) {
                take = !no;
                break;
            }
        }
        if (take)
            buf_addf(out, "%s%.*s", out->n > 0 ? " " : "", (int)mech.n, mech.p);
    }
}

static int said_no(struct smtp_session *s, struct why *why)
{
    char dsn[10];

    snprintf(dsn, sizeof dsn, "%s", s->reply.dsn[0] != 0 ? s->reply.dsn : "4.7.0");
    if (s->reply.code / 100 == 5)
        dsn[0] = conf.smtp_sasl_auth_soft_bounce ? '4' : '5';
    return why_set(why, dsn, "SASL authentication failed; server %s said: %s", s->namaddr,
                   s->reply_text.p);
}

/* One line of base64; "=" is the empty initial response (RFC 4954 4). */
static void smtp_auth_say(struct smtp_session *s, const char *command, struct str raw, bool initial)
{
    /* fits: base64 of 8000 bytes, and the command */
    struct buf line = BUF(12000);

    buf_addz(&line, command);
    if (initial && raw.n == 0)
        buf_addc(&line, '=');
    encode_base64(&line, raw);
    s->doing = "sending AUTH";
    buf_addz(&line, "\r\n");
    stream_put(s->stream, buf_str(&line));
    explicit_bzero(line.p, line.n);
    buf_free(&line);
}

static int exchange(struct smtp_session *s, struct sasl_client *c, struct why *why)
{
    enum { TURNS_MOST = 10 };
    struct buf out = BUF(8000), challenge = BUF(8000);
    struct buf command = BUF(100); /* fits: the name of a mechanism of ours */
    int result = -1;

    buf_addf(&command, "AUTH %s", c->mech->name);
    if (c->mech->client_first) {
        buf_addc(&command, ' ');
        sasl_client_step(c, STR(""), &out); /* cannot be bad: nothing was said yet */
        smtp_auth_say(s, command.p, buf_str(&out), true);
    } else {
        smtp_auth_say(s, command.p, STR(""), false);
    }
    for (int turn = 0; turn < TURNS_MOST; turn++) {
        if (smtp_read_reply(s, conf.smtp_rcpt_timeout, why) < 0)
            break;
        if (s->reply.code / 100 == 2) { /* 235, but there are servers that say 250 */
            result = 0;
            break;
        }
        if (s->reply.code / 100 != 3) {
            said_no(s, why);
            break;
        }
        buf_clear(&challenge);
        buf_clear(&out);
        if (!decode_base64(&challenge, buf_str(&s->reply.text)) ||
            sasl_client_step(c, buf_str(&challenge), &out) == SASL_BAD) {
            why_set(why, "4.7.0", "SASL authentication failed; malformed challenge from server %s",
                    s->namaddr);
            s->broken = true;
            break;
        }
        smtp_auth_say(s, "", buf_str(&out), false);
    }
    explicit_bzero(out.p, out.n);
    buf_free(&out);
    buf_free(&challenge);
    buf_free(&command);
    return result;
}

/* Traits that a mechanism must not have on this connection. */
static unsigned forbidden_here(const struct smtp_session *s)
{
    return s->verified ? auth.forbid_verified : s->tls ? auth.forbid_tls : auth.forbid;
}

static int log_in(struct smtp_session *s, struct str user, struct str password, struct why *why)
{
    struct buf offered = BUF(s->ehlo.auth.n); /* fits: some of them */
    struct sasl_client c;
    const struct sasl_mech *mech;

    allowed(s, &offered);
    mech = sasl_client_pick(buf_str(&offered), forbidden_here(s));
    buf_free(&offered);
    if (mech == NULL)
        return why_set(why, "4.7.0",
                       "SASL authentication failed; cannot authenticate to server %s: no "
                       "mechanism available",
                       s->namaddr);
    sasl_client_begin(&c, mech, user, password);
    return exchange(s, &c, why);
}

int smtp_authenticate(struct smtp_job *job, struct smtp_session *s, struct why *why)
{
    /* asked: by find_password */
    struct buf value = BUF(2 * SASL_FIELD_MAX);
    enum dict_answer a = find_password(job, s, &value, why);
    int result = 0;

    if (a == DICT_FAILED) {
        result = -1;
    } else if (a == DICT_FOUND && (s->ehlo.ext & ESMTP_AUTH) != 0) {
        struct str delimiter = strz(conf.smtp_sasl_password_result_delimiter);
        struct str both = buf_str(&value);
        ptrdiff_t at = delimiter.n > 0 ? str_search(both, delimiter) : -1;
        struct str user = at < 0 ? both : str_upto(both, (size_t)at);
        struct str password = at < 0 ? STR("") : str_from(both, (size_t)at + delimiter.n);
        if (user.n > 0)
            result = log_in(s, user, password, why);
    }
    explicit_bzero(value.p, value.n);
    buf_free(&value);
    return result;
}
