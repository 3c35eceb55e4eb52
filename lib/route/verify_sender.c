#include "route/verify_sender.h"

#include "base/clock.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/path.h"
#include "route/rewrite.h"

enum { ADDRESS_MOST = 4096 };

/* The number of a period in digits and consonants, which spell no words, as Postfix writes it. */
static void add_period(int64_t period, struct buf *out)
{
    static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZ";
    char text[20];
    size_t n = sizeof text;

    do
        text[--n] = digits[period % (int64_t)(sizeof digits - 1)];
    while ((period /= (int64_t)(sizeof digits - 1)) > 0 && n > 0);
    buf_add(out, (struct str){text + n, sizeof text - n});
}

static void sender_of(int64_t period, struct buf *out)
{
    struct buf full = BUF(ADDRESS_MOST);
    struct str address, domain;

    rewrite_address(REWRITE_LOCAL, conf.address_verify_sender, &full);
    address = buf_ok(&full) ? buf_str(&full) : STR("");
    if (conf.address_verify_sender_ttl > 0 && address.n > 0) {
        domain = path_domain(address);
        buf_add(out, path_local(address));
        add_period(period, out);
        if (domain.n > 0)
            buf_addf(out, "@%.*s", (int)domain.n, domain.p);
    } else {
        buf_add(out, address);
    }
    buf_free(&full);
}

static int64_t period(void)
{
    return conf.address_verify_sender_ttl > 0 ? clock_wall() / conf.address_verify_sender_ttl : 0;
}

void verify_sender(struct buf *out)
{
    sender_of(period(), out);
}

bool verify_sender_is(const char *address)
{
    bool is = false;
    int64_t now = period(), first = now > 0 ? now - 1 : now;

    for (int64_t i = first; i <= now && !is; i++) {
        struct buf ours = BUF(ADDRESS_MOST + 20);
        sender_of(i, &ours);
        is = buf_ok(&ours) && ours.n > 0 && str_ieqz(buf_str(&ours), address);
        buf_free(&ours);
    }
    return is;
}
