/*
 * Connections that are kept for the next delivery to the same destination.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/stream.h"

#include "smtp.h"

enum { IDLE_MOST = 500 };

static struct {
    struct list idle; /* the one that expires first is first */
    unsigned n;
    struct task *closer;
    bool closed;
} cache = {.idle = {&cache.idle, &cache.idle}};

static void take_out(struct smtp_session *s)
{
    list_drop(&s->idle);
    cache.n--;
}

/* Lives as long as something is kept. */
static void close_expired(void *arg)
{
    (void)arg;
    while (!list_empty(&cache.idle)) {
        struct smtp_session *s = LIST_OF(cache.idle.next, struct smtp_session, idle);
        if (s->expires > task_now() && !cache.closed && !task_is_cancelled()) {
            task_park(s->expires);
            continue;
        }
        take_out(s);
        smtp_session_close(&s);
    }
    cache.closer = NULL;
}

static struct smtp_session *find_idle(const char *key)
{
    LIST_EACH (&cache.idle, l) {
        struct smtp_session *s = LIST_OF(l, struct smtp_session, idle);
        if (strcmp(s->key, key) == 0)
            return s;
    }
    return NULL;
}

/* What a server says unasked would be taken for the reply to the next command, that for the reply
 * to the one after it, and so on: somebody else's refusal would bounce a recipient. */
struct smtp_session *smtp_cache_take(const char *key)
{
    struct smtp_session *s;

    while ((s = find_idle(key)) != NULL) {
        take_out(s);
        s->answered = false;
        if (smtp_is_silent(s))
            break;
        s->broken = true;
        smtp_session_close(&s);
    }
    return s;
}

static bool listed(const struct smtp_session *s)
{
    const char *list = conf.smtp_connection_cache_destinations;

    return str_ilisted(list, strz(s->dest->text)) || str_ilisted(list, strz(s->dest->host));
}

bool smtp_cache_put(struct smtp_session *s)
{
    if (s->broken || cache.closed || cache.n >= IDLE_MOST || stream_state(s->stream) != STREAM_OK ||
        stream_ahead(s->stream) > 0)
        return false;
    if (!conf.smtp_connection_cache_on_demand && !listed(s))
        return false;
    if (s->tls && !conf.smtp_tls_connection_reuse)
        return false;
    if (conf.smtp_connection_reuse_count_limit > 0 &&
        s->uses >= conf.smtp_connection_reuse_count_limit)
        return false;
    if (s->ehlo.mail_max > 0 && s->uses >= s->ehlo.mail_max) /* RFC 9422 */
        return false;
    if (task_now() - s->opened >= conf.smtp_connection_reuse_time_limit * 1000)
        return false;
    s->dest = NULL;
    s->expires = task_now() + conf.smtp_connection_cache_time_limit * 1000;
    list_add(&cache.idle, &s->idle);
    cache.n++;
    if (cache.closer == NULL)
        cache.closer = task_start("cache", close_expired, NULL);
    return true;
}

void smtp_cache_close(void)
{
    cache.closed = true;
    if (cache.closer != NULL)
        task_wake(cache.closer);
}
