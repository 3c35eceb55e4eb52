/*
 * tls_server_sni_maps: keys and certificates by the name that a client asks for (SNI).
 */
#include <string.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/maps.h"
#include "mail/domain.h"
#include "net/tls.h"
#include "service/service.h"

#include "smtpd.h"

static struct maps *chains;

static void check_chain(void *arg, const char *table, const char *where, const char *value)
{
    struct why why = WHY;

    (void)arg;
    if (tls_chain_check(strz(value), &why) < 0)
        conf_fault("tls_server_sni_maps", "%s, %s: %s", table, where, why_text(&why));
    why_free(&why);
}

void smtpd_open_sni(void)
{
    chains = maps_open("tls_server_sni_maps", conf.tls_server_sni_maps,
                       DICT_FOLD | DICT_FILE_VALUES | DICT_MAY_FAIL);
    if (service_trying())
        maps_values(chains, check_chain, NULL);
}

bool smtpd_has_sni(void)
{
    return !maps_empty(chains);
}

int smtpd_sni_chain(const char *name, struct buf *pem, struct why *why)
{
    if (!domain_valid(strz(name)))
        return 0;
    enum dict_answer answer = maps_find_host(chains, name, pem, why);
    return answer == DICT_FAILED ? -1 : answer == DICT_FOUND;
}

void smtpd_log_sni(const struct smtpd *s)
{
    const char *name = s->tls->sni;

    if (name[0] == 0 || s->tls->sni_found || maps_empty(chains))
        return;
    if (domain_valid(strz(name)))
        msg_info("TLS SNI %s from %s not matched, using default chain", name, s->namaddr);
    else
        msg_warn_each("TLS SNI from %s is invalid: %.100s", s->namaddr, name);
}
