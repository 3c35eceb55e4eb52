#include "conf/conf_param.h"

#include "base/str.h"
#include "conf/conf.h"

/* A name that begins with a digit has '_' in front of it in the .def files. */
#define NAME(name) (#name[0] == '_' ? &#name[1] : #name)

#define P(type, name, def, low, high, help)                                                        \
    {NAME(name),       def,           help, NULL, low, high, offsetof(struct conf, name),          \
     CONF_TYPE_##type, CONF_EFFECTIVE},
#define K(type, name, def, low, high, reason)                                                      \
    {NAME(name), def, NULL, NULL, low, high, 0, CONF_TYPE_##type, CONF_##reason},
#define M(type, name, def, low, high, effect)                                                      \
    {NAME(name), def, NULL, effect, low, high, 0, CONF_TYPE_##type, CONF_MATTERS},

const struct conf_param conf_params[] = {
#include "conf/known.def"
#include "conf/params.def"
};
#undef P
#undef K
#undef M
const size_t conf_nparams = sizeof conf_params / sizeof *conf_params;

#define K(type, name, def, low, high, reason) +1
#define M(type, name, def, low, high, effect) +1
enum {
    KNOWN =
#include "conf/known.def"
};
#undef K
#undef M

static const struct conf_param *search(size_t low, size_t high, struct str name)
{
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_cmp(name, strz(conf_params[middle].name));
        if (order == 0)
            return &conf_params[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct conf_param *conf_param_find(struct str name)
{
    const struct conf_param *p = search(KNOWN, conf_nparams, name);
    return p != NULL ? p : search(0, KNOWN, name);
}

const struct conf_family conf_families[] = {
    {"_delivery_slot_cost", "$default_delivery_slot_cost", CONF_TYPE_INT, false},
    {"_delivery_slot_discount", "$default_delivery_slot_discount", CONF_TYPE_INT, false},
    {"_delivery_slot_loan", "$default_delivery_slot_loan", CONF_TYPE_INT, false},
    {"_destination_concurrency_failed_cohort_limit",
     "$default_destination_concurrency_failed_cohort_limit", CONF_TYPE_INT, false},
    {"_destination_concurrency_limit", "$default_destination_concurrency_limit", CONF_TYPE_INT,
     false},
    {"_destination_concurrency_negative_feedback",
     "$default_destination_concurrency_negative_feedback", CONF_TYPE_STR, false},
    {"_destination_concurrency_positive_feedback",
     "$default_destination_concurrency_positive_feedback", CONF_TYPE_STR, false},
    {"_destination_rate_delay", "$default_destination_rate_delay", CONF_TYPE_TIME, false},
    {"_destination_recipient_limit", "$default_destination_recipient_limit", CONF_TYPE_INT, false},
    {"_extra_recipient_limit", "$default_extra_recipient_limit", CONF_TYPE_INT, false},
    {"_initial_destination_concurrency", "$initial_destination_concurrency", CONF_TYPE_INT, false},
    {"_minimum_delivery_slots", "$default_minimum_delivery_slots", CONF_TYPE_INT, false},
    {"_recipient_limit", "$default_recipient_limit", CONF_TYPE_INT, false},
    {"_recipient_refill_delay", "$default_recipient_refill_delay", CONF_TYPE_TIME, false},
    {"_recipient_refill_limit", "$default_recipient_refill_limit", CONF_TYPE_INT, false},
    {"_time_limit", "$command_time_limit", CONF_TYPE_TIME, true},
    {"_transport_rate_delay", "$default_transport_rate_delay", CONF_TYPE_TIME, false},
};
const size_t conf_nfamilies = sizeof conf_families / sizeof *conf_families;

const struct conf_family *conf_family_find(struct str name, struct str *prefix)
{
    const struct conf_family *found = NULL;
    size_t longest = 0;

    for (size_t i = 0; i < conf_nfamilies; i++) {
        size_t n = strlen(conf_families[i].suffix);
        if (n > longest && name.n > n && str_ends(name, strz(conf_families[i].suffix))) {
            found = &conf_families[i];
            longest = n;
        }
    }
    if (found != NULL && prefix != NULL)
        *prefix = str_upto(name, name.n - longest);
    return found;
}
