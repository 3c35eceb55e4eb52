/*
 * The lmtp program is the smtp program: the values of lmtp_x in the place of those of smtp_x.
 */
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_param.h"

/* conf.lmtp_x into conf.smtp_x; the pairs have the same types. */
static void use_one_lmtp(const struct conf_param *from)
{
    /* fits: the name of a parameter of ours */
    struct buf name = BUF(100);

    if (strcmp(from->name, "lmtp_lhlo_name") == 0)
        buf_addz(&name, "smtp_helo_name");
    else if (strcmp(from->name, "lmtp_lhlo_timeout") == 0)
        buf_addz(&name, "smtp_helo_timeout");
    else if (str_starts(strz(from->name), STR("lmtp_discard_lhlo_")))
        buf_addf(&name, "smtp_discard_ehlo_%s", from->name + strlen("lmtp_discard_lhlo_"));
    else
        buf_addf(&name, "smtp_%s", from->name + strlen("lmtp_"));
    const struct conf_param *to = conf_param_find(buf_str(&name));
    buf_free(&name);
    if (to == NULL || to->reason != CONF_EFFECTIVE || to->type != from->type)
        return;
    size_t size = from->type == CONF_TYPE_BOOL ? sizeof(bool)
                  : from->type == CONF_TYPE_INT || from->type == CONF_TYPE_TIME
                      ? sizeof(int64_t)
                      : sizeof(const char *);
    memcpy((char *)&conf + to->offset, (const char *)&conf + from->offset, size);
}

void conf_use_lmtp(void)
{
    for (const struct conf_param *p = conf_params; p < conf_params + conf_nparams; p++)
        if (p->reason == CONF_EFFECTIVE && str_starts(strz(p->name), STR("lmtp_")))
            use_one_lmtp(p);
}
