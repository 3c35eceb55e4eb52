#include "service/resolver.h"

#include "base/msg.h"
#include "conf/conf.h"
#include "mail/idna.h"
#include "net/dns.h"
#include "service/service.h"

void resolver_open(void)
{
    struct dns_settings settings = {
        .servers = conf.dns_servers,
        .timeout_ms = (int)conf.dns_timeout * 1000,
        .tries = (int)conf.dns_tries,
        .cache_size = conf.dns_cache_size > 0 ? (int)conf.dns_cache_size : -1,
        .cache_ttl = conf.dns_cache_time,
    };
    struct why why = WHY;

    idna_set_2003(conf.enable_idna2003_compatibility);
    if (dns_setup(&settings, &why) < 0) {
        conf_fault("dns_servers", "%s", why_text(&why));
        if (!service_trying())
            msg_fatal("no names can be looked up");
    }
    why_free(&why);
}
