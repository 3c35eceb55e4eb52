/*
 * Clients of public/flush.
 */
#include "queue/flush_client.h"

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/match.h"
#include "ipc/channel.h"
#include "ipc/proto.h"
#include "mail/path.h"
#include "task/task.h"

enum { ASK_MS = 10000, REQUEST_MOST = 4096 };

static struct {
    struct match *domains;
    struct channel *channel;
} flush;

void flush_open(void)
{
    flush.domains = match_open("fast_flush_domains", conf.fast_flush_domains);
}

bool flush_serves(const char *site)
{
    struct why why = WHY;
    enum dict_answer answer = match_domain(flush.domains, site, &why);

    if (answer == DICT_FAILED)
        msg_warn("%s", why_text(&why));
    why_free(&why);
    return answer == DICT_FOUND;
}

static struct channel *service(void)
{
    if (flush.channel == NULL)
        flush.channel = channel_to("public", conf.flush_service_name, 0);
    return flush.channel;
}

enum flush_answer flush_site(const char *site, struct why *why)
{
    struct attrs ask = ATTRS(REQUEST_MOST), answer = ATTRS(REQUEST_MOST);
    enum flush_answer result = FLUSH_STARTED;

    if (!flush_serves(site))
        return FLUSH_NOT_SERVED;
    attrs_putz(&ask, A_REQUEST, REQUEST_FLUSH_SITE);
    attrs_putz(&ask, A_SITE_NAME, site);
    if (channel_call(service(), &ask, &answer, task_now() + ASK_MS, why) < 0)
        result = *attrs_opt(&answer, A_STATUS, "") != 0 ? FLUSH_REFUSED : FLUSH_DOWN;
    attrs_free(&ask);
    attrs_free(&answer);
    return result;
}

void flush_add(const char *address, const char *queue_id)
{
    struct str domain = path_domain(strz(address));
    struct attrs ask = ATTRS(REQUEST_MOST);
    struct why why = WHY;

    /* The domain is the end of the address. */
    if (domain.n > 0 && flush_serves(domain.p)) {
        attrs_putz(&ask, A_REQUEST, REQUEST_FLUSH_ADD);
        attrs_putn(&ask, A_ONE_WAY, 1);
        attrs_put(&ask, A_SITE_NAME, domain);
        attrs_putz(&ask, A_QUEUE_ID, queue_id);
        if (!attrs_ok(&ask) || channel_tell(service(), &ask, task_now() + ASK_MS, &why) < 0)
            msg_warn("%s service failure: %s", conf.flush_service_name, why_text(&why));
    }
    attrs_free(&ask);
    why_free(&why);
}
