#include <stdint.h>

#include "base/str.h"
#include "mail/esmtp_ehlo.h"
#include "mail/esmtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, line;
    struct esmtp_reply r = ESMTP_REPLY(2000);
    struct esmtp_ehlo e = ESMTP_EHLO;
    struct buf out = BUF(8192);

    while (str_split(&rest, '\n', &line)) {
        enum esmtp_more more = esmtp_reply_line(&r, line);
        esmtp_ehlo_line(&e, str_from(line, 4));
        if (more == ESMTP_DONE)
            esmtp_reply_print(&r, &out);
        if (more != ESMTP_MORE)
            esmtp_reply_clear(&r);
        buf_clear(&out);
    }
    esmtp_reply_format(250, r.dsn, buf_str(&r.text), &out);
    esmtp_reply_free(&r);
    esmtp_ehlo_free(&e);
    buf_free(&out);
    return 0;
}
