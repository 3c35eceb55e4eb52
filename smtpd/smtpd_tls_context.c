/*
 * What the server side of smtpd and postscreen has for TLS: certificates and all that smtpd_tls_*
 * says, but whether it is offered or demanded.
 */
#include "smtpd_tls_context.h"

#include "base/msg.h"
#include "conf/conf.h"
#include "net/tls.h"

static bool has_certificate(void)
{
    return conf.smtpd_tls_cert_file[0] != 0 || conf.smtpd_tls_eccert_file[0] != 0 ||
           conf.smtpd_tls_chain_files[0] != 0;
}

struct tls_context *smtpd_tls_context(bool required, const char *level)
{
    struct tls_context *context = NULL;
    struct why why = WHY;

    if (conf.smtpd_tls_req_ccert && !required)
        msg_warn("smtpd_tls_req_ccert = yes: can't require client certs unless TLS is required: "
                 "clients are asked for one only");
    struct buf exclude = BUF(10000);
    buf_addz(&exclude, conf.smtpd_tls_exclude_ciphers);
    if (required)
        buf_addf(&exclude, " %s", conf.smtpd_tls_mandatory_exclude_ciphers);
    if (!buf_ok(&exclude))
        msg_fatal("smtpd_tls_exclude_ciphers and smtpd_tls_mandatory_exclude_ciphers are too long");
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
        .protocols = required ? conf.smtpd_tls_mandatory_protocols : conf.smtpd_tls_protocols,
        .ciphers = required ? conf.smtpd_tls_mandatory_ciphers : conf.smtpd_tls_ciphers,
        .exclude_ciphers = exclude.p,
        .prefer_own_ciphers = conf.tls_preempt_cipherlist,
        .ssl_options = conf.tls_ssl_options,
        .verify_depth = conf.smtpd_tls_ccert_verifydepth,
        .old_peers = true,
        .ask_client_cert = conf.smtpd_tls_ask_ccert || conf.smtpd_tls_req_ccert,
        .require_client_cert = conf.smtpd_tls_req_ccert && required,
        .session_life = conf.smtpd_tls_session_cache_timeout,
        .fingerprint_digest = conf.smtpd_tls_fingerprint_digest,
    };
    if (!has_certificate())
        why_set(&why, "4.7.0", "no certificate: see smtpd_tls_chain_files");
    else
        context = tls_context_new(&settings, &why);
    if (context == NULL && has_certificate())
        conf_fault(level, "TLS is not available: %s", why_text(&why));
    else if (context == NULL)
        msg_warn("TLS is not available: %s", why_text(&why));
    buf_free(&exclude);
    why_free(&why);
    return context;
}
