/*
 * TLS: what a destination needs of it, and what it got. smtp_tls_security_level,
 * smtp_tls_policy_maps.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/maps.h"
#include "net/stream.h"
#include "net/tls.h"
#include "service/service.h"

#include "smtp.h"

enum { EXCLUDE_LIMIT = 10000 };

static struct {
    struct maps *policies;
    enum smtp_tls_level level;
    const char *match; /* of the level */
    struct tls_context *may, *encrypt, *checked;
    struct hash *others; /* contexts with a policy's own protocols and ciphers, by these */
} tls;

static const struct level {
    const char *name;
    enum smtp_tls_level level;
} levels[] = {
    {"none", SMTP_TLS_NONE},       {"may", SMTP_TLS_MAY},
    {"encrypt", SMTP_TLS_ENCRYPT}, {"fingerprint", SMTP_TLS_FINGERPRINT},
    {"verify", SMTP_TLS_VERIFY},   {"secure", SMTP_TLS_VERIFY},
    {"dane", SMTP_TLS_MAY}, /* what it is for a destination without TLSA records */
};

static const struct level *find_level(struct str name)
{
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (str_ieqz(name, levels[i].name))
            return &levels[i];
    return NULL;
}

static const char *match_of(const struct level *l)
{
    return strcmp(l->name, "secure") == 0        ? conf.smtp_tls_secure_cert_match
           : strcmp(l->name, "fingerprint") == 0 ? conf.smtp_tls_fingerprint_cert_match
                                                 : conf.smtp_tls_verify_cert_match;
}

/* Where the server's certificate counts it must have one. */
static bool is_checked(enum smtp_tls_level level)
{
    return level > SMTP_TLS_ENCRYPT;
}

static struct tls_context *make_context(bool checked, const char *protocols, const char *ciphers,
                                        const char *exclude, struct why *why)
{
    struct tls_settings s = {.cert_file = conf.smtp_tls_cert_file,
                             .key_file = conf.smtp_tls_key_file,
                             .ec_cert_file = conf.smtp_tls_eccert_file,
                             .ec_key_file = conf.smtp_tls_eckey_file,
                             .chain_files = conf.smtp_tls_chain_files,
                             .ca_file = conf.smtp_tls_CAfile,
                             .ca_path = conf.smtp_tls_CApath,
                             .default_ca = conf.tls_append_default_CA,
                             .like = tls.may, /* the first, made before the jail */
                             .protocols = protocols,
                             .ciphers = ciphers,
                             .high_ciphers = conf.tls_high_cipherlist,
                             .medium_ciphers = conf.tls_medium_cipherlist,
                             .exclude_ciphers = exclude,
                             .anonymous = !checked,
                             .ssl_options = conf.tls_ssl_options,
                             .curves = conf.tls_eecdh_auto_curves,
                             .ffdhe_groups = conf.tls_ffdhe_auto_groups,
                             .verify_depth = conf.smtp_tls_scert_verifydepth,
                             .old_peers = true,
                             .session_life = conf.smtp_tls_session_cache_timeout,
                             .fingerprint_digest = conf.smtp_tls_fingerprint_digest};

    return tls_context_new(&s, why);
}

/* A policy's own list stands in the place of main.cf's. Where there must be TLS it encrypts. */
static void add_excluded(bool must, const char *own, struct buf *out)
{
    if (own != NULL)
        buf_addz(out, own);
    else
        buf_addf(out, "%s %s", conf.smtp_tls_exclude_ciphers,
                 must ? conf.smtp_tls_mandatory_exclude_ciphers : "");
    buf_addz(out, must ? " eNULL" : "");
}

/* What main.cf says of a level. */
static struct tls_context *make_default(enum smtp_tls_level level, struct why *why)
{
    struct buf exclude = BUF(EXCLUDE_LIMIT);
    struct tls_context *c = NULL;
    bool must = level >= SMTP_TLS_ENCRYPT;

    add_excluded(must, NULL, &exclude);
    if (!buf_ok(&exclude))
        why_set(why, "4.7.5", "smtp_tls_exclude_ciphers and the mandatory ones are too long");
    else
        c = make_context(
            is_checked(level), must ? conf.smtp_tls_mandatory_protocols : conf.smtp_tls_protocols,
            must ? conf.smtp_tls_mandatory_ciphers : conf.smtp_tls_ciphers, exclude.p, why);
    buf_free(&exclude);
    return c;
}

static struct tls_context *default_context(enum smtp_tls_level level)
{
    return is_checked(level) ? tls.checked : level == SMTP_TLS_ENCRYPT ? tls.encrypt : tls.may;
}

static void set_level(void)
{
    const char *text = conf.smtp_tls_security_level;
    const struct level *l;

    if (text[0] == 0)
        text = conf.smtp_enforce_tls ? (conf.smtp_tls_enforce_peername ? "verify" : "encrypt")
               : conf.smtp_use_tls   ? "may"
                                     : "none";
    l = find_level(strz(text));
    if (l == NULL)
        msg_fatal("smtp_tls_security_level: \"%s\" is not supported", text);
    if (strcmp(l->name, "dane") == 0)
        msg_warn("smtp_tls_security_level = dane: TLSA records are not looked up yet; taken as "
                 "\"may\"");
    tls.level = l->level;
    tls.match = match_of(l);
}

static void check_policy(void *arg, const char *table, const char *where, const char *value);

void smtp_open_tls(void)
{
    struct why why = WHY;

    set_level();
    if (conf.smtp_tls_policy_maps[0] != 0)
        tls.policies =
            maps_open("smtp_tls_policy_maps", conf.smtp_tls_policy_maps, DICT_FOLD | DICT_MAY_FAIL);
    tls.others = hash_new();
    if (tls.level == SMTP_TLS_NONE && conf.smtp_tls_wrappermode && maps_empty(tls.policies))
        msg_warn("smtp_tls_wrappermode requires \"smtp_tls_security_level = encrypt\" (or "
                 "stronger): mail waits");
    if (tls.level == SMTP_TLS_NONE && maps_empty(tls.policies))
        return;
    tls.may = make_default(SMTP_TLS_MAY, &why);
    if (tls.may != NULL)
        tls.encrypt = make_default(SMTP_TLS_ENCRYPT, &why);
    if (tls.encrypt != NULL)
        tls.checked = make_default(SMTP_TLS_VERIFY, &why);
    if (tls.checked == NULL)
        conf_fault("smtp_tls_security_level", "%s; no TLS is used", why_text(&why));
    if (service_trying())
        maps_values(tls.policies, check_policy, NULL);
    why_free(&why);
}

static struct tls_context *other_context(bool checked, const char *protocols, const char *ciphers,
                                         const char *exclude, struct why *why)
{
    struct buf key = BUF(2000 + EXCLUDE_LIMIT);
    struct tls_context *c;

    if (tls.may == NULL) {
        why_set(why, "4.7.5", "client TLS configuration problem: no TLS is used");
        return NULL;
    }
    buf_addf(&key, "%d|%s|%s|%s", checked, protocols, ciphers, exclude);
    if (!buf_ok(&key)) {
        why_set(why, "4.7.5", "client TLS configuration problem: the lists are too long");
        return NULL;
    }
    c = hash_find(tls.others, buf_str(&key));
    if (c == NULL && (c = make_context(checked, protocols, ciphers, exclude, why)) != NULL)
        hash_put(tls.others, buf_str(&key), c);
    buf_free(&key);
    return c;
}

/* Lists inside a policy are parted by colons. */
static const char *list_of(struct str value, struct buf *out)
{
    for (size_t i = 0; i < value.n; i++)
        buf_addc(out, value.p[i] == ':' ? ' ' : value.p[i]);
    return out->p;
}

/* "encrypt protocols=>=TLSv1.3 match=a:b" */
static int parse_policy(struct arena *mem, const char *text, struct smtp_tls_policy *out,
                        struct why *why)
{
    struct str rest = strz(text), word;
    struct buf protocols = BUF(500), ciphers = BUF(500), exclude = BUF(500), match = BUF(2000);
    struct buf excluded = BUF(EXCLUDE_LIMIT);
    const struct level *l;
    int result = 0;

    str_word(&rest, ", \t\r\n", &word);
    l = find_level(word);
    if (l == NULL)
        return why_set(why, "4.7.5", "client TLS configuration problem");
    bool must = l->level >= SMTP_TLS_ENCRYPT;
    out->level = l->level;
    out->match = match_of(l);
    while (str_word(&rest, ", \t\r\n", &word)) {
        ptrdiff_t eq = str_find(word, '=');
        struct str name = eq < 0 ? word : str_upto(word, (size_t)eq);
        struct str value = str_from(word, eq < 0 ? word.n : (size_t)eq + 1);
        if (str_ieqz(name, "protocols"))
            list_of(value, &protocols);
        else if (str_ieqz(name, "ciphers"))
            list_of(value, &ciphers);
        else if (str_ieqz(name, "exclude"))
            list_of(value, &exclude);
        else if (str_ieqz(name, "match"))
            out->match = arena_strz(mem, strz(list_of(value, &match)));
        else
            result = why_set(why, "4.7.5", "client TLS configuration problem");
    }
    add_excluded(must, exclude.n > 0 ? exclude.p : NULL, &excluded);
    if (!buf_ok(&protocols) || !buf_ok(&ciphers) || !buf_ok(&exclude) || !buf_ok(&match) ||
        !buf_ok(&excluded))
        result = why_set(why, "4.7.5", "client TLS configuration problem: a list is too long");
    if (result == 0 && protocols.n + ciphers.n + exclude.n > 0) {
        const char *p = must ? conf.smtp_tls_mandatory_protocols : conf.smtp_tls_protocols;
        const char *c = must ? conf.smtp_tls_mandatory_ciphers : conf.smtp_tls_ciphers;
        out->context = other_context(is_checked(l->level), protocols.n > 0 ? protocols.p : p,
                                     ciphers.n > 0 ? ciphers.p : c, excluded.p, why);
        result = out->context == NULL ? -1 : 0;
    } else {
        out->context = default_context(l->level);
    }
    buf_free(&protocols);
    buf_free(&ciphers);
    buf_free(&exclude);
    buf_free(&excluded);
    buf_free(&match);
    return result;
}

/* For check: a policy that cannot be read puts off the mail it is for. */
static void check_policy(void *arg, const char *table, const char *where, const char *value)
{
    struct arena *mem = arena_new(NULL);
    struct smtp_tls_policy policy;
    struct why why = WHY;

    (void)arg;
    if (parse_policy(mem, value, &policy, &why) < 0)
        conf_fault(smtp_is_lmtp() ? "lmtp_tls_policy_maps" : "smtp_tls_policy_maps",
                   "%s: %s: \"%s\": %s", table, where, value, why_text(&why));
    why_free(&why);
    arena_free(&mem);
}

bool smtp_ignores_tls_policy(const struct smtp_job *job)
{
    return conf.tls_required_enable && (job->d->sendopts & SENDOPT_TLS_NOT_REQUIRED) != 0 &&
           !smtp_asks_requiretls(job);
}

/* The next hop as it stands, its host, and the parents of that with a dot in front. */
static enum dict_answer find_policy(const struct smtp_dest *dest, struct buf *value,
                                    struct why *why)
{
    bool is_host = strcmp(dest->host, dest->text) == 0;
    enum dict_answer a = is_host ? DICT_NONE : maps_find(tls.policies, dest->text, value, why);

    return a == DICT_NONE ? maps_find_host(tls.policies, dest->host, value, why) : a;
}

/* RFC 8689: a sender may ask for more, or for mail that arrives whatever the TLS policy is. */
static void obey_sender(const struct smtp_job *job, struct smtp_tls_policy *out)
{
    enum smtp_tls_level level = out->level;

    if (job->requiretls >= SMTP_REQUIRETLS_STARTTLS && level < SMTP_TLS_ENCRYPT)
        level = SMTP_TLS_ENCRYPT;
    else if (smtp_ignores_tls_policy(job) && level > SMTP_TLS_MAY)
        level = conf.smtp_tls_wrappermode ? SMTP_TLS_ENCRYPT : SMTP_TLS_MAY;
    if (level == out->level)
        return;
    out->level = level;
    out->context = default_context(level);
}

int smtp_tls_policy_for(struct smtp_job *job, const struct smtp_dest *dest,
                        struct smtp_tls_policy *out, struct why *why)
{
    /* asked: by find_policy */
    struct buf value = BUF(4000);
    enum dict_answer a = DICT_NONE;
    int result = 0;

    *out = (struct smtp_tls_policy){.level = tls.level, .match = tls.match};
    out->context = default_context(tls.level);
    if (!maps_empty(tls.policies))
        a = find_policy(dest, &value, why);
    if (a == DICT_FAILED)
        result = -1;
    else if (a == DICT_FOUND)
        result = parse_policy(job->mem, value.p, out, why);
    buf_free(&value);
    if (result == 0)
        obey_sender(job, out);
    return result;
}

enum { NAMES = 20 };

/* The names of the match list: the words hostname, nexthop and dot-nexthop stand for themselves. */
static void expected_names(struct smtp_job *job, const struct smtp_session *s, const char *match,
                           const char *names[NAMES + 1])
{
    struct str rest = strz(match), word;
    size_t n = 0;

    while (n < NAMES && str_word(&rest, " \t\r\n,:", &word)) {
        if (str_ieqz(word, "hostname"))
            names[n++] = s->host;
        else if (str_ieqz(word, "nexthop"))
            names[n++] = s->dest->host;
        else if (str_ieqz(word, "dot-nexthop"))
            names[n++] = arena_printf(job->mem, ".%s", s->dest->host);
        else
            names[n++] = arena_strz(job->mem, word);
    }
    names[n] = NULL;
}

static bool has_fingerprint(const char *match, const struct tls_info *info)
{
    struct str rest = strz(match), word;

    while (str_word(&rest, " \t\r\n,|", &word))
        if (word.n > 0 && (str_ieq(word, strz(info->cert_fingerprint)) ||
                           str_ieq(word, strz(info->key_fingerprint))))
            return true;
    return false;
}

static int check_server(struct smtp_session *s, const struct smtp_tls_policy *policy,
                        const struct tls_info *info, const char **status, struct why *why)
{
    bool by_name = policy->level == SMTP_TLS_VERIFY;
    bool verified =
        by_name ? info->trusted && info->name_ok
                : policy->level == SMTP_TLS_FINGERPRINT && has_fingerprint(policy->match, info);

    s->verified = verified;
    *status = !info->has_cert ? "Anonymous"
              : verified      ? "Verified"
              : info->trusted ? "Trusted"
                              : "Untrusted";
    if (verified || policy->level < SMTP_TLS_FINGERPRINT)
        return 0;
    if (by_name && !info->trusted)
        msg_info("server certificate verification failed for %s: %s", s->relay,
                 info->has_cert ? info->verify_error : "no certificate");
    return why_set(why, "4.7.5",
                   by_name && !info->trusted ? "Server certificate not trusted"
                                             : "Server certificate not verified");
}

static const char *server_name(const struct smtp_session *s)
{
    const char *name = conf.smtp_tls_servername;

    return name[0] == 0                    ? NULL
           : strcmp(name, "hostname") == 0 ? s->host
           : strcmp(name, "nexthop") == 0  ? s->dest->host
                                           : name;
}

/* Opportunistic TLS that does not work must not stop the mail for ever. */
static bool may_fall_back(const struct smtp_job *job, const struct smtp_tls_policy *policy)
{
    return policy->level == SMTP_TLS_MAY && !conf.smtp_sasl_auth_enable &&
           clock_wall_us() - job->d->arrival_us >= conf.minimal_backoff_time * 1000000;
}

int smtp_start_tls(struct smtp_job *job, struct smtp_session *s,
                   const struct smtp_tls_policy *policy, struct why *why)
{
    const char *names[NAMES + 1], *status;
    struct tls_peer peer = {.sni = server_name(s), .names = names, .session_key = s->relay};
    const struct tls_info *info;
    struct why reason = WHY;
    int result;

    if (tls_context_stale(policy->context)) /* this one is good for the last time */
        service_refresh("a TLS certificate");
    expected_names(job, s, policy->match, names);
    stream_discard(s->stream); /* RFC 3207 5: nothing from before counts */
    stream_set_deadline(s->stream, task_now() + conf.smtp_starttls_timeout * 1000);
    if (tls_connect(s->stream, policy->context, &peer, &info, &reason) < 0) {
        msg_info("SSL_connect error to %s: %s", s->relay, why_text(&reason));
        s->broken = true;
        s->tls_failed = may_fall_back(job, policy);
        result = why_set(why, "4.7.5", "Cannot start TLS: handshake failure");
    } else {
        s->tls = true;
        result = check_server(s, policy, info, &status, why);
        if (conf.smtp_tls_loglevel[0] != '0')
            msg_info("%s TLS connection established to %s: %s", status, s->relay, info->summary);
    }
    why_free(&reason);
    return result;
}
