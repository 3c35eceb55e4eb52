/*
 * STARTTLS, and TLS from the first byte. RFC 3207, RFC 8314
 */
#include "base/msg.h"
#include "base/num.h"
#include "conf/conf.h"
#include "mail/esmtp_ehlo.h"
#include "net/tls.h"
#include "service/service.h"
#include "task/task.h"

#include "smtpd.h"
#include "smtpd_limit.h"
#include "smtpd_milter.h"
#include "sni.h"

static struct {
    struct tls_context *context; /* null: no TLS, or it could not be made */
    bool offered, required;
    int64_t loglevel;
} tls;

/* A server cannot ask for more than encryption. */
static bool is_client_level(const char *level)
{
    static const char *const levels[] = {"fingerprint", "verify", "secure", "dane", "dane-only"};

    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(level, levels[i]) == 0)
            return true;
    return false;
}

static void read_level(void)
{
    const char *level = conf.smtpd_tls_security_level;

    tls.required = level[0] == 0 ? conf.smtpd_enforce_tls : strcmp(level, "encrypt") == 0;
    tls.offered = tls.required ||
                  (level[0] == 0 ? conf.smtpd_use_tls : strcmp(level, "none") != 0) ||
                  conf.smtpd_tls_wrappermode;
    if (level[0] != 0 && strcmp(level, "encrypt") != 0 && strcmp(level, "may") != 0 &&
        strcmp(level, "none") != 0) {
        if (is_client_level(level))
            msg_warn("smtpd_tls_security_level: unsupported level \"%s\", using \"encrypt\"",
                     level);
        else
            conf_fault("smtpd_tls_security_level", "there is no such level: none, may or encrypt");
        tls.offered = tls.required = true;
    }
}

static bool has_certificate(void)
{
    return conf.smtpd_tls_cert_file[0] != 0 || conf.smtpd_tls_eccert_file[0] != 0 ||
           conf.smtpd_tls_chain_files[0] != 0;
}

void smtpd_open_tls(void)
{
    struct why why = WHY;

    read_level();
    if (!num_parse(strz(conf.smtpd_tls_loglevel), 0, 4, &tls.loglevel))
        tls.loglevel = 0;
    if (service_trying() && !tls.offered && conf.smtpd_tls_auth_only && conf.smtpd_sasl_auth_enable)
        msg_warn("smtpd_tls_auth_only = yes: there is no TLS, so nobody can log in: see "
                 "smtpd_tls_security_level");
    if (!tls.offered)
        return;
    if (conf.smtpd_tls_req_ccert && !tls.required)
        msg_warn("smtpd_tls_req_ccert = yes: can't require client certs unless TLS is required: "
                 "clients are asked for one only");
    struct buf exclude = BUF(10000);
    buf_addz(&exclude, conf.smtpd_tls_exclude_ciphers);
    if (tls.required)
        buf_addf(&exclude, " %s", conf.smtpd_tls_mandatory_exclude_ciphers);
    if (!buf_ok(&exclude))
        msg_fatal("smtpd_tls_exclude_ciphers and smtpd_tls_mandatory_exclude_ciphers are too long");
    sni_open();
    struct tls_settings settings = {
        .server = true,
        .cert_file = conf.smtpd_tls_cert_file,
        .key_file = conf.smtpd_tls_key_file,
        .ec_cert_file = conf.smtpd_tls_eccert_file,
        .ec_key_file = conf.smtpd_tls_eckey_file,
        .chain_files = conf.smtpd_tls_chain_files,
        .ca_file = conf.smtpd_tls_CAfile,
        .ca_path = conf.smtpd_tls_CApath,
        .default_ca = conf.tls_append_default_CA,
        .protocols = tls.required ? conf.smtpd_tls_mandatory_protocols : conf.smtpd_tls_protocols,
        .ciphers = tls.required ? conf.smtpd_tls_mandatory_ciphers : conf.smtpd_tls_ciphers,
        .high_ciphers = conf.tls_high_cipherlist,
        .medium_ciphers = conf.tls_medium_cipherlist,
        .exclude_ciphers = exclude.p,
        .prefer_own_ciphers = conf.tls_preempt_cipherlist,
        .ssl_options = conf.tls_ssl_options,
        .curves = conf.tls_eecdh_auto_curves,
        .ffdhe_groups = conf.tls_ffdhe_auto_groups,
        .verify_depth = conf.smtpd_tls_ccert_verifydepth,
        .old_peers = true,
        .ask_client_cert = conf.smtpd_tls_ask_ccert || conf.smtpd_tls_req_ccert,
        .require_client_cert = conf.smtpd_tls_req_ccert && tls.required,
        .session_life = conf.smtpd_tls_session_cache_timeout,
        .fingerprint_digest = conf.smtpd_tls_fingerprint_digest,
        .chain_of = sni_has_tables() ? sni_chain : NULL,
    };
    if (!has_certificate())
        why_set(&why, "4.7.0", "no certificate: see smtpd_tls_chain_files");
    else
        tls.context = tls_context_new(&settings, &why);
    if (tls.context == NULL && has_certificate())
        conf_fault("smtpd_tls_security_level", "TLS is not available: %s", why_text(&why));
    else if (tls.context == NULL)
        msg_warn("TLS is not available: %s", why_text(&why));
    buf_free(&exclude);
    why_free(&why);
}

bool smtpd_tls_offered(const struct smtpd *s)
{
    return tls.offered && !conf.smtpd_tls_wrappermode && (s->hidden & ESMTP_STARTTLS) == 0;
}

bool smtpd_tls_required(void)
{
    return tls.required;
}

static void log_handshake(const struct smtpd *s)
{
    const struct tls_info *i = s->tls;

    if (tls.loglevel > 0)
        msg_info("%s TLS connection established from %s%s%s: %s",
                 i->trusted    ? "Trusted"
                 : i->has_cert ? "Untrusted"
                               : "Anonymous",
                 s->namaddr, i->sni_found ? " to " : "", i->sni_found ? i->sni : "", i->summary);
}

int smtpd_tls_begin(struct smtpd *s)
{
    struct why why = WHY;

    if (tls.context == NULL) {
        msg_warn_each("TLS is not available for %s", s->namaddr);
        s->closing = true;
        return -1;
    }
    smtpd_handshake_begins(s);
    if (tls_accept(s->stream, tls.context, &s->tls, &why) < 0) {
        msg_info("SSL_accept error from %s: %s", s->namaddr, why_text(&why));
        msg_info("lost connection after %s from %s", s->where, s->namaddr);
        s->tls = NULL;
        s->closing = true;
    } else {
        sni_log(s->tls, s->namaddr);
        log_handshake(s);
    }
    smtpd_handshake_ends(s);
    if (tls_context_stale(tls.context))
        service_refresh("the TLS certificate");
    why_free(&why);
    if (s->tls == NULL || (!s->tls->resumed && !smtpd_limit_event(s, CLIENT_TLS_SESSIONS)))
        return -1;
    return 0;
}

int smtpd_tls_wrap(struct smtpd *s)
{
    if (smtpd_limit_reached(s, CLIENT_TLS_SESSIONS)) {
        msg_warn_each("Refusing TLS service request from %s for service %s", s->namaddr,
                      service_name());
        s->closing = true;
        return -1;
    }
    return smtpd_tls_begin(s);
}

void smtpd_starttls(struct smtpd *s, struct str args)
{
    if (args.n > 0) {
        smtpd_reply(s, 501, "5.5.4", "Syntax: STARTTLS");
    } else if (s->tls != NULL) {
        smtpd_reply(s, 554, "5.5.1", "Error: TLS already active");
    } else if (!smtpd_tls_offered(s)) {
        smtpd_reply(s, 502, "5.5.1", "Error: command not implemented");
    } else if (smtpd_milters_refuse(s)) {
        smtpd_reply_denial(s);
    } else if (tls.context == NULL) {
        smtpd_reply(s, 454, "4.7.0", "TLS not available due to local problem");
    } else if (smtpd_limit_reached(s, CLIENT_TLS_SESSIONS)) {
        msg_warn_each("Refusing STARTTLS request from %s for service %s", s->namaddr,
                      service_name());
        smtpd_reply(s, 454, "4.7.0", "Error: too many new TLS sessions from %s", s->namaddr);
    } else {
        smtpd_reply(s, 220, "2.0.0", "Ready to start TLS");
        /* What came in plain text behind the command must not count as said inside TLS. */
        stream_discard(s->stream);
        if (!stream_flush(s->stream) || smtpd_tls_begin(s) < 0)
            return;
        smtpd_end_mail(s); /* RFC 3207 4.2: all that was said before is forgotten */
        s->helo = NULL;
        s->esmtp = false;
        s->sasl_method = s->sasl_username = NULL;
    }
}
