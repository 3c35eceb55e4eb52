/*
 * STARTTLS in a session in which no mail is taken. RFC 3207
 */
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/esmtp_ehlo.h"
#include "net/tls.h"
#include "service/service.h"
#include "task/task.h"

#include "postscreen.h"
#include "sni.h"

static struct {
    struct tls_context *context; /* null: no TLS, or it could not be made */
    bool offered, required;
    int64_t loglevel;
} tls;

static void read_level(void)
{
    const char *level = conf.postscreen_tls_security_level;

    if (level[0] == 0) {
        tls.required = conf.postscreen_enforce_tls;
        tls.offered = tls.required || conf.postscreen_use_tls;
        return;
    }
    tls.required = strcmp(level, "encrypt") == 0;
    tls.offered = tls.required || strcmp(level, "may") == 0;
    if (!tls.offered && strcmp(level, "none") != 0)
        conf_fault("postscreen_tls_security_level", "\"%s\" is none of: none, may, encrypt", level);
}

/* The parameters are those of Postfix's tlsproxy. Nobody is asked for a certificate: it would lead
 * to nothing. */
static void make_context(void)
{
    struct buf exclude = BUF(10000);
    struct why why = WHY;

    buf_addz(&exclude, conf.tlsproxy_tls_exclude_ciphers);
    if (tls.required)
        buf_addf(&exclude, " %s", conf.tlsproxy_tls_mandatory_exclude_ciphers);
    if (!buf_ok(&exclude))
        msg_fatal("tlsproxy_tls_exclude_ciphers is too long");
    sni_open();
    struct tls_settings settings = {
        .server = true,
        .cert_file = conf.tlsproxy_tls_cert_file,
        .key_file = conf.tlsproxy_tls_key_file,
        .ec_cert_file = conf.tlsproxy_tls_eccert_file,
        .ec_key_file = conf.tlsproxy_tls_eckey_file,
        .chain_files = conf.tlsproxy_tls_chain_files,
        .protocols =
            tls.required ? conf.tlsproxy_tls_mandatory_protocols : conf.tlsproxy_tls_protocols,
        .ciphers = tls.required ? conf.tlsproxy_tls_mandatory_ciphers : conf.tlsproxy_tls_ciphers,
        .high_ciphers = conf.tls_high_cipherlist,
        .medium_ciphers = conf.tls_medium_cipherlist,
        .exclude_ciphers = exclude.p,
        .prefer_own_ciphers = conf.tls_preempt_cipherlist,
        .ssl_options = conf.tls_ssl_options,
        .curves = conf.tls_eecdh_auto_curves,
        .ffdhe_groups = conf.tls_ffdhe_auto_groups,
        .old_peers = true,
        .chain_of = sni_has_tables() ? sni_chain : NULL,
    };
    bool has_certificate =
        settings.cert_file[0] != 0 || settings.ec_cert_file[0] != 0 || settings.chain_files[0] != 0;
    if (!has_certificate)
        msg_warn("TLS is not available: no certificate: see tlsproxy_tls_chain_files");
    else if ((tls.context = tls_context_new(&settings, &why)) == NULL)
        conf_fault("postscreen_tls_security_level", "TLS is not available: %s", why_text(&why));
    buf_free(&exclude);
    why_free(&why);
}

void screen_open_tls(void)
{
    read_level();
    if (!num_parse(strz(conf.tlsproxy_tls_loglevel), 0, 4, &tls.loglevel))
        tls.loglevel = 0;
    if (tls.offered)
        make_context();
}

bool screen_tls_offered(const struct screen *s)
{
    return tls.offered && (s->hidden & ESMTP_STARTTLS) == 0;
}

bool screen_tls_required(void)
{
    return tls.required;
}

static void log_handshake(const struct screen *s)
{
    const struct tls_info *t = s->tls;

    if (tls.loglevel > 0)
        msg_info("Anonymous TLS connection established from %s%s%s: %s", s->who,
                 t->sni_found ? " to " : "", t->sni_found ? t->sni : "", t->summary);
}

static void handshake(struct screen *s)
{
    struct why why = WHY;

    stream_set_deadline(s->stream, task_now() + conf.postscreen_starttls_timeout * 1000);
    if (tls_accept(s->stream, tls.context, &s->tls, &why) < 0) {
        msg_info("SSL_accept error from %s: %s", s->who, why_text(&why));
        s->tls = NULL;
        s->closing = s->gone = true;
    } else {
        sni_log(s->tls, s->who);
        log_handshake(s);
    }
    if (tls_context_stale(tls.context))
        service_refresh("the TLS certificate");
    why_free(&why);
}

void screen_starttls(struct screen *s)
{
    if (s->tls != NULL) {
        screen_reply(s, "554 5.5.1 Error: TLS already active");
    } else if (!screen_tls_offered(s)) {
        screen_reply(s, "502 5.5.1 Error: command not implemented");
    } else if (tls.context == NULL) {
        screen_reply(s, "454 4.7.0 TLS not available due to local problem");
    } else {
        screen_reply(s, "220 2.0.0 Ready to start TLS");
        /* What came in plain text behind the command must not count as said inside TLS. */
        stream_discard(s->stream);
        if (stream_flush(s->stream))
            handshake(s);
        s->helo = s->sender = s->rcpt = NULL; /* RFC 3207 4.2 */
        s->esmtp = false;
    }
}
