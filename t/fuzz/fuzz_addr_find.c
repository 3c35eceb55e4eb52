/* Any address, any host, in every order of lookup; match lists of any text. */
#include <stdint.h>
#include <stdlib.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/addr_find.h"

static void sink(const char *level __attribute__((unused)),
                 const char *text __attribute__((unused)))
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf address = BUF(1 << 20), value = BUF(1 << 20), ext = BUF(1 << 20);

    msg_capture(sink);
    conf.recipient_delimiter = "+-";
    conf.owner_request_special = true;
    conf.double_bounce_sender = "double-bounce";
    buf_add(&address, (struct str){(const char *)data, size});
    struct maps *m = maps_open("m", "inline:{user@example.com=1,@example.com=2,10.1=3}", DICT_FOLD);
    for (unsigned parts = 1; parts < 512; parts <<= 1)
        if (addr_find(m, address.p, parts | ADDR_NOEXT, NULL, &value, &ext, NULL) == DICT_FAILED)
            abort();
    if (domain_find(m, address.p, true, &value, NULL) == DICT_FAILED ||
        hostaddr_find(m, address.p, &value, NULL) == DICT_FAILED)
        abort();
    maps_close(&m);
    buf_free(&address);
    buf_free(&value);
    buf_free(&ext);
    return 0;
}
