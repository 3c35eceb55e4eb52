#include "service/check_names.h"

#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_main.h"
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

/* In a list of restrictions, or a class of them: reject_unverified_sender, _recipient. */
static bool asks_verify(void)
{
    const struct str word = STR("reject_unverified_");
    const struct conf_main *main_cf = conf_settings();
    const char *const lists[] = {
        conf.smtpd_client_restrictions,      conf.smtpd_helo_restrictions,
        conf.smtpd_sender_restrictions,      conf.smtpd_relay_restrictions,
        conf.smtpd_recipient_restrictions,   conf.smtpd_data_restrictions,
        conf.smtpd_end_of_data_restrictions,
    };

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (str_search(strz(lists[i]), word) >= 0)
            return true;
    for (size_t i = 0; i < main_cf->settings.n; i++)
        if (str_search(strz(main_cf->settings.at[i].value), word) >= 0)
            return true;
    return false;
}

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

    if (asks_verify() && !conf_is_set("address_verify_service_name") &&
        !is_there(cf, conf.address_verify_service_name)) {
        why_set(
            &why, "4.3.5",
            "reject_unverified_* need a service \"%s\" of type unix in master.cf: every address "
            "would be answered with 450",
            conf.address_verify_service_name);
        tell(arg, &why);
        why_clear(&why);
    }
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
