/* Patterns of local_login_sender_maps, and a sender in the first line: a pattern more refuses
 * nobody, "*" refuses nobody, no pattern everybody. */
#include <assert.h>
#include <stdint.h>

#include "conf/conf.h"

#include "postdrop_sender.h"

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
    struct str patterns = {(const char *)p, n}, sender = STR("");
    struct buf more = BUF(1 << 20);

    conf.recipient_delimiter = "+-";
    conf.double_bounce_sender = "double-bounce";
    conf.empty_address_local_login_sender_maps_lookup_key = "<>";
    str_split(&patterns, '\n', &sender);
    bool allowed = postdrop_is_allowed(patterns, sender);
    buf_add(&more, patterns);
    buf_addz(&more, " user@domain.test");
    assert(!buf_ok(&more) || !allowed || postdrop_is_allowed(buf_str(&more), sender));
    buf_addz(&more, ",*");
    assert(!buf_ok(&more) || sender.n > 60000 || postdrop_is_allowed(buf_str(&more), sender));
    assert(!postdrop_is_allowed(STR(" ,"), sender));
    buf_free(&more);
    return 0;
}
