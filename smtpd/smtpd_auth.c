/*
 * AUTH, by way of authd. RFC 4954
 */
#include "auth/auth_client.h"
#include "base/mem.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "dict/match.h"
#include "mail/esmtp_ehlo.h"
#include "net/tls.h"
#include "service/jail.h"
#include "task/task.h"

#include "smtpd.h"
#include "smtpd_limit.h"
#include "smtpd_milter.h"

static struct {
    struct auth_client *client;
    struct match *exceptions;
    struct match *offered; /* null: all mechanisms */
    unsigned forbid, forbid_tls; /* enum auth_trait */
} auth;

/* smtpd_sasl_security_options: what a mechanism must not be. */
static unsigned traits(const char *parameter, const char *text)
{
    static const struct str_flag names[] = {{"noplaintext", AUTH_PLAINTEXT},
                                            {"noactive", AUTH_ACTIVE},
                                            {"nodictionary", AUTH_DICTIONARY},
                                            {"noanonymous", AUTH_ANONYMOUS},
                                            {0}};
    unsigned found;
    struct str unknown;

    if (!str_flags(text, names, &found, &unknown))
        conf_fault(parameter, "\"%.*s\" is not supported", (int)unknown.n, unknown.p);
    return found;
}

void smtpd_open_auth(void)
{
    struct why why = WHY;

    if (!conf.smtpd_sasl_auth_enable)
        return;
    if (strcmp(conf.smtpd_sasl_type, "dovecot") != 0)
        msg_fatal(
            "smtpd_sasl_type = %s is not supported: set smtpd_sasl_type = dovecot, and "
            "smtpd_sasl_path to private/auth for authd or to the socket of a Dovecot; users of "
            "a Cyrus SASL database must be moved there",
            conf.smtpd_sasl_type);
    auth.client = auth_client_open(conf.smtpd_sasl_path, &why);
    if (auth.client == NULL)
        conf_fault("smtpd_sasl_path", "%s", why_text(&why));
    why_free(&why);
    if (conf.smtpd_sasl_mechanism_filter[0] != 0)
        auth.offered = match_open("smtpd_sasl_mechanism_filter", conf.smtpd_sasl_mechanism_filter);
    auth.exceptions =
        match_open_hosts("smtpd_sasl_exceptions_networks", conf.smtpd_sasl_exceptions_networks);
    auth.forbid = traits("smtpd_sasl_security_options", conf.smtpd_sasl_security_options);
    auth.forbid_tls =
        traits("smtpd_sasl_tls_security_options", conf.smtpd_sasl_tls_security_options);
}

static unsigned forbidden(const struct smtpd *s)
{
    return s->tls != NULL ? auth.forbid_tls : auth.forbid;
}

/* Where TLS is required, no client may send a password before it. */
static bool only_under_tls(void)
{
    return conf.smtpd_tls_auth_only || smtpd_tls_required();
}

static bool is_enabled(const struct smtpd *s)
{
    return conf.smtpd_sasl_auth_enable && (s->hidden & ESMTP_AUTH) == 0;
}

bool smtpd_auth_offered(struct smtpd *s)
{
    struct why why = WHY;

    if (!is_enabled(s) || (only_under_tls() && s->tls == NULL))
        return false;
    bool excepted = match_host(auth.exceptions, s->peer.name, s->peer.addr_text, &why) != DICT_NONE;
    why_free(&why);
    return !excepted;
}

static int64_t deadline(void)
{
    return task_now() + conf.auth_request_timeout * 1000;
}

/* Who does not want to log in waits for the mechanisms, too. */
static int64_t handshake_deadline(void)
{
    int64_t own = task_now() + conf.smtpd_sasl_handshake_timeout * 1000;

    return own < deadline() ? own : deadline();
}

/* (waits) smtpd_sasl_mechanism_filter. */
static enum dict_answer passes(struct str mech, struct why *why)
{
    char *name = mem_dup(mech.p, mech.n);
    enum dict_answer found =
        auth.offered == NULL ? DICT_FOUND : match_string(auth.offered, name, why);

    if (found == DICT_FAILED)
        msg_warn("smtpd_sasl_mechanism_filter: %s: %s is not offered", why_text(why), name);
    free(name);
    return found;
}

void smtpd_auth_mechs(struct smtpd *s, struct buf *names)
{
    struct why why = WHY;
    struct buf all = BUF(names->max); /* asked: by who asked for the names */
    struct str rest, mech;
    size_t start = names->n;

    if (auth_client_mechs(auth.client, forbidden(s), 0, &all, handshake_deadline(), &why) < 0)
        msg_warn("no mechanisms to offer: %s", why_text(&why));
    for (rest = buf_str(&all); str_word(&rest, " ", &mech);)
        if (passes(mech, &why) == DICT_FOUND)
            buf_addf(names, "%s%.*s", names->n > start ? " " : "", (int)mech.n, mech.p);
    if (names->n == start && all.n > 0)
        msg_warn_each("smtpd_sasl_mechanism_filter discards all mechanisms in '%.200s'", all.p);
    buf_free(&all);
    why_free(&why);
}

void smtpd_auth_paths(void)
{
    if (auth.client != NULL && auth_client_port(auth.client) != 0)
        jail_port(auth_client_port(auth.client));
}

static void log_failure(struct smtpd *s, struct str mech, const char *user, const char *reason)
{
    msg_warn_each("%s: SASL %.*s authentication failed: %s, sasl_username=%s", s->namaddr,
                  (int)mech.n, mech.p, reason[0] ? reason : "(reason unavailable)",
                  user[0] ? user : "(unavailable)");
}

static void put_off(struct smtpd *s, struct str mech, const struct why *why)
{
    if (task_is_cancelled()) { /* we are to end: nobody has failed */
        smtpd_hang_up(s, "4.3.2", "Error: service shutting down");
        return;
    }
    log_failure(s, mech, "", why_text(why));
    smtpd_reply(s, 454, "4.7.0", "Temporary authentication failure: %s", why_text(why));
}

static void denied(struct smtpd *s, struct auth_login *login, struct str mech)
{
    const char *reason = auth_login_reason(login);

    log_failure(s, mech, auth_login_user(login), reason);
    smtpd_reply(s, 535, "5.7.8", "Error: authentication failed: %s",
                reason[0] ? reason : "authentication failure");
}

static void logged_in(struct smtpd *s, struct auth_login *login, struct str mech)
{
    char *name = arena_strz(s->mem, mech);

    for (char *p = name; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    s->sasl_method = name;
    s->sasl_username = arena_strz(s->mem, strz(auth_login_user(login)));
    smtpd_reply(s, 235, "2.7.0", "Authentication successful");
}

/* Challenge and response, until authd has made up its mind. False: the client gave up. */
static bool converse(struct smtpd *s, struct str mech, struct auth_login *login,
                     enum auth_answer *answer, struct why *why)
{
    struct buf response = BUF((size_t)conf.smtpd_sasl_response_limit);
    bool going = true;

    while (going && *answer == AUTH_MORE) {
        smtpd_reply(s, 334, "", "%s", auth_login_challenge(login));
        buf_clear(&response);
        enum line line = smtpd_line(s, &response);
        if (line == LINE_TOO_LONG) { /* RFC 4954 4: 500 5.5.6 */
            smtpd_reply(s, 500, "5.5.6", "Error: authentication exchange line is too long");
            going = false;
        } else if (line == LINE_NONE) {
            going = false;
        } else if (str_eqz(buf_str(&response), "*")) {
            msg_warn_each("%s: SASL %.*s authentication aborted", s->namaddr, (int)mech.n, mech.p);
            smtpd_reply(s, 501, "5.7.0", "Authentication aborted");
            going = false;
        } else {
            *answer = auth_login_reply(login, buf_str(&response), deadline(), why);
        }
    }
    buf_free(&response);
    return going;
}

static void log_in(struct smtpd *s, struct str mech, struct str initial)
{
    char local_port[8];
    char local[ADDR_TEXT];
    struct auth_login *login;
    struct why why = WHY;

    snprintf(local_port, sizeof local_port, "%u", s->peer.local.port);
    struct auth_ask ask = {.service = conf.smtpd_sasl_service,
                           .mech = mech,
                           .initial = initial,
                           .client_address = s->peer.addr_text,
                           .client_port = s->port,
                           .server_address = addr_text(&s->peer.local, local),
                           .server_port = local_port,
                           .tls = s->tls != NULL,
                           /* noplaintext and smtpd_tls_auth_only decide here, as in Postfix */
                           .secured = true};
    enum auth_answer answer = auth_login_start(auth.client, &ask, deadline(), &login, &why);
    if (converse(s, mech, login, &answer, &why)) {
        if (answer == AUTH_OK)
            logged_in(s, login, mech);
        else if (answer == AUTH_DENIED)
            denied(s, login, mech);
        else
            put_off(s, mech, &why);
    }
    auth_login_free(&login);
    why_free(&why);
}

/* (waits) Is there such a mechanism for this client? False: he has been told no, or not now. */
static bool has_mech(struct smtpd *s, struct str mech)
{
    struct why why = WHY;
    int known = auth_client_has(auth.client, mech, forbidden(s), 0, handshake_deadline(), &why);
    enum dict_answer may = known > 0 ? passes(mech, &why) : DICT_NONE;

    if (known < 0 || may == DICT_FAILED) {
        put_off(s, mech, &why);
    } else if (may == DICT_NONE) {
        log_failure(s, mech, "", "Invalid authentication mechanism");
        smtpd_reply(s, 535, "5.7.8",
                    "Error: authentication failed: Invalid authentication mechanism");
    }
    why_free(&why);
    return may == DICT_FOUND;
}

/* As Postfix: who has said HELO, or was not told of AUTH by smtpd_sasl_exceptions_networks, may log
 * in, too. */
void smtpd_auth(struct smtpd *s, struct str args)
{
    struct str mech, initial = {NULL, 0};

    if (!smtpd_limit_event(s, CLIENT_LOGINS))
        return;
    if (conf.smtpd_helo_required && s->helo == NULL) {
        smtpd_reply(s, 503, "5.5.1", "Error: send HELO/EHLO first");
    } else if (!is_enabled(s)) {
        smtpd_reply(s, 503, "5.5.1", "Error: authentication not enabled");
    } else if (s->tls == NULL && only_under_tls()) {
        smtpd_reply(s, 538, "5.7.0", "Encryption required for requested authentication mechanism");
    } else if (s->mail != NULL) { /* RFC 4954 4 */
        smtpd_reply(s, 503, "5.5.1", "Error: MAIL transaction in progress");
    } else if (s->sasl_username != NULL) {
        smtpd_reply(s, 503, "5.5.1", "Error: already authenticated");
    } else if (smtpd_milters_refuse(s)) {
        smtpd_reply_denial(s);
    } else if (!str_word(&args, " \t", &mech) ||
               str_word(&args, " \t", &initial) + (args.n > 0) > 1) {
        smtpd_reply(s, 501, "5.5.4", "Syntax: AUTH mechanism");
    } else if (has_mech(s, mech)) {
        log_in(s, mech, initial);
    }
}
