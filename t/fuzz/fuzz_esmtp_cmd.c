#include <stdint.h>

#include "mail/dsn.h"
#include "mail/esmtp_cmd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct esmtp_cmd cmd;
    struct esmtp_param param;
    struct buf out = BUF(4096), again = BUF(65536);
    unsigned bits;

    esmtp_cmd_split((struct str){(const char *)data, size}, &cmd);
    esmtp_cmd_keyword(&cmd.args, "FROM");
    while (esmtp_param_next(&cmd.args, &param) > 0) {
        xtext_decode(param.value, &out);
        buf_clear(&out);
        if (uxtext_decode(param.value, &out))
            uxtext_encode(buf_str(&out), &again);
        dsn_notify_parse(param.value, &bits);
        dsn_orcpt_valid(param.value);
    }
    buf_free(&out);
    buf_free(&again);
    return 0;
}
