/*
 * tls_server_sni_maps: keys and certificates by the name that a client asks for (SNI).
 */
#include "sni.h"

#include <string.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/maps.h"
#include "mail/domain.h"
#include "net/tls.h"
#include "service/service.h"

static struct maps *chains;

static void check_chain(void *arg, const char *table, const char *where, const char *value)
{
    struct why why = WHY;

    (void)arg;
    if (tls_chain_check(strz(value), &why) < 0)
        conf_fault("tls_server_sni_maps", "%s, %s: %s", table, where, why_text(&why));
    why_free(&why);
}

void sni_open(void)
{
    chains = maps_open("tls_server_sni_maps", conf.tls_server_sni_maps,
                       DICT_FOLD | DICT_FILE_VALUES | DICT_MAY_FAIL);
    if (service_trying())
        maps_values(chains, check_chain, NULL);
}

bool sni_has_tables(void)
{
    return !maps_empty(chains);
}

int sni_chain(const char *name, struct buf *pem, struct why *why)
{
    if (!domain_valid(strz(name)))
        return 0;
    enum dict_answer answer = maps_find_host(chains, name, pem, why);
    return answer == DICT_FAILED ? -1 : answer == DICT_FOUND;
}

void sni_log(const struct tls_info *t, const char *who)
{
    if (t->sni[0] == 0 || t->sni_found || maps_empty(chains))
        return;
    if (domain_valid(strz(t->sni)))
        msg_info("TLS SNI %s from %s not matched, using default chain", t->sni, who);
    else
        msg_warn_each("TLS SNI from %s is invalid: %.100s", who, t->sni);
}
