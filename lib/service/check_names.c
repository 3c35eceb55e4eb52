#include "service/check_names.h"

#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_master.h"

/* Services that others look for by the name that a parameter gives. What imapd and pop3d look for
 * they tell themselves. */
static const struct {
    const char *parameter;
    const char *const *value;
} names[] = {
    {"address_verify_service_name", &conf.address_verify_service_name},
    {"bounce_service_name", &conf.bounce_service_name},
    {"cleanup_service_name", &conf.cleanup_service_name},
    {"defer_service_name", &conf.defer_service_name},
    {"flush_service_name", &conf.flush_service_name},
    {"queue_service_name", &conf.queue_service_name},
    {"showq_service_name", &conf.showq_service_name},
    {"trace_service_name", &conf.trace_service_name},
};

static bool is_there(const struct conf_master *cf, const char *name)
{
    for (size_t i = 0; i < cf->n; i++)
        if (cf->at[i].type != SERVICE_INET && strcmp(cf->at[i].name, name) == 0 &&
            !conf_master_disabled(&cf->at[i]))
            return true;
    return false;
}

void check_service_names(const struct conf_master *cf, conf_values_fn *tell, void *arg)
{
    struct why why = WHY;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!conf_is_set(names[i].parameter) || is_there(cf, *names[i].value))
            continue;
        why_set(&why, "4.3.5", "master.cf has no service \"%s\" of type unix: mail would wait",
                *names[i].value);
        conf_blame(names[i].parameter, &why);
        tell(arg, &why);
        why_clear(&why);
    }
    why_free(&why);
}
