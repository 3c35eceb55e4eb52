/*
 * What pop3 checks when it starts, too. In a file of its own: the other checks bring in all that
 * they look at.
 */
#include "base/why.h"
#include "conf/conf.h"
#include "mail/pop3_uidl.h"
#include "service/conf_check.h"

int conf_check_pop3(struct why *why)
{
    const char *error = pop3_uidl_check(conf.pop3_uidl_format);

    if (error == NULL)
        return 0;
    why_set(why, "4.3.5", "\"%s\": %s", conf.pop3_uidl_format, error);
    return conf_blame("pop3_uidl_format", why);
}
