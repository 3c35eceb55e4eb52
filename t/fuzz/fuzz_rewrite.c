/* Any address can be rewritten, and resolving it ends with an address or bad_address. */
#include <stdint.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "route/resolve.h"
#include "route/rewrite.h"

static void sink(const char *level __attribute__((unused)),
                 const char *text __attribute__((unused)))
{
}

static void load(void)
{
    char dir[] = "/tmp/fuzz_rewrite.XXXXXX", path[100];

    if (mkdtemp(dir) == NULL)
        abort();
    snprintf(path, sizeof path, "%s/main.cf", dir);
    if (file_replace(path,
                     STR("myhostname = mail.a.test\nmydestination = local.test\ninet_interfaces =\n"
                         "transport_maps = inline:{x.y=a:b}\nresolve_null_domain = yes\n"
                         "append_dot_mydomain = yes\nrecipient_delimiter = +\n"),
                     0600, NULL) < 0 ||
        conf_load(dir, "fuzz", NULL, NULL) < 0)
        abort();
    file_remove_all(dir);
    resolve_open();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf address = BUF(60000), once = BUF(1 << 20);
    struct route r = ROUTE;
    static bool loaded;

    msg_capture(sink);
    if (!loaded)
        load();
    loaded = true;
    conf.resolve_dequoted_address = size % 2;
    buf_add(&address, (struct str){(const char *)data, size});
    rewrite_address(REWRITE_LOCAL, address.p, &once);
    if (resolve_address(RESOLVE_MAIL, "", address.p, &r, NULL) < 0 ||
        (!r.bad_address && strchr(r.recipient.p, '@') == NULL))
        abort();
    buf_free(&address);
    buf_free(&once);
    route_free(&r);
    return 0;
}
