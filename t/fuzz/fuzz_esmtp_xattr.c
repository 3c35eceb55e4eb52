/* XCLIENT and XFORWARD: what was understood, said again, is understood as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/esmtp_xattr.h"

static void again(enum esmtp_xcommand command, const struct esmtp_xvalue *v)
{
    struct buf line = BUF(2000), complaint = BUF_TEXT(1000);
    bool addr = v->attr == X_ADDR || v->attr == X_DESTADDR;
    struct esmtp_xvalue back;

    if (v->state != X_KNOWN || (addr && strchr(v->text, ':') != NULL))
        return;
    esmtp_xattr_put(v->attr, v->text, &line);
    struct str rest = buf_ok(&line) ? buf_str(&line) : STR("");
    int n = esmtp_xattr_next(command, &rest, &back, &complaint);
    if (n == 1 ? back.attr != v->attr || back.state != X_KNOWN || strcmp(back.text, v->text) != 0
               : line.n <= X_VALUE_MOST) /* xtext makes it longer */
        abort();
    buf_free(&line);
    buf_free(&complaint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf complaint = BUF_TEXT(1000);
    struct esmtp_xvalue v;

    for (int command = XCLIENT; command <= XFORWARD; command++) {
        struct str rest = {(const char *)data, size};
        while (esmtp_xattr_next((enum esmtp_xcommand)command, &rest, &v, &complaint) > 0)
            again((enum esmtp_xcommand)command, &v);
        esmtp_xattr_mask((struct str){(const char *)data, size});
    }
    buf_free(&complaint);
    return 0;
}
