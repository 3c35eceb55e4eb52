/*
 * main.cf: parse any text, expand every value; then the lines again as a whole.
 */
#include <stdint.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf_expand.h"
#include "conf/conf_main.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *find(struct str name, void *arg)
{
    struct conf_main *m = arg;
    VEC_EACH (&m->settings, s) {
        if (str_eqz(name, s->name))
            return s->value;
    }
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_main m;
    struct buf out = BUF(10000);

    msg_to_fd(-1);
    if (size > 2000 || conf_main_parse((struct str){(const char *)data, size}, "x", &m, NULL) < 0)
        return 0;
    VEC_EACH (&m.settings, s) {
        buf_clear(&out);
        conf_expand_text(strz(s->value), EXPAND_RECURSE, find, &m, &out, NULL);
    }
    buf_free(&out);
    conf_main_free(&m);
    return 0;
}
