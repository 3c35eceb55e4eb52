/* route_test.h - for tests of lib/route: main.cf with a domain of each class, the log kept */
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"

#include "test.h"

static struct buf logged = {buf_none, 0, 0, 65536, false};

static void sink(const char *level __attribute__((unused)), const char *text)
{
    buf_addf(&logged, "%s\n", text);
}

static void load_conf(const char *more)
{
    char dir[] = "/tmp/test_route.XXXXXX", path[100];
    struct buf text = BUF(10000);
    struct why why = WHY;

    buf_clear(&logged);
    msg_capture(sink);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/main.cf", dir);
    buf_addf(&text,
             "compatibility_level = 3.6\nmyhostname = mail.a.test\nmydomain = a.test\n"
             "mydestination = local.test\ninet_interfaces = 127.0.0.1\n"
             "virtual_alias_maps = inline:{alias@va.test=x}\nvirtual_alias_domains = va.test\n"
             "virtual_mailbox_domains = vm.test\nvirtual_mailbox_maps = inline:{u@vm.test=u/}\n"
             "relay_domains = r.test\nrelay_recipient_maps = inline:{u@r.test=x}\n"
             "local_recipient_maps = inline:{alice=x}\nrecipient_delimiter = +\n%s",
             more);
    assert_int_equal(file_replace(path, buf_str(&text), 0644, NULL), 0);
    assert_int_equal(conf_load(dir, "test", NULL, &why), 0);
    file_remove_all(dir);
    buf_free(&text);
    why_free(&why);
}
