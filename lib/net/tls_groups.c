/*
 * Groups of the key exchange, in the order of preference.
 */
#include <openssl/err.h>

#include "base/str.h"
#include "net/tls_inside.h"

enum { GROUPS_MOST = 4096 };

/* A list may name groups that this OpenSSL does not have, or has without an implementation. */
static bool is_known(SSL_CTX *scratch, const char *name)
{
    bool known = SSL_CTX_set1_groups_list(scratch, name) == 1;

    ERR_clear_error();
    return known;
}

static void add_known(SSL_CTX *scratch, const char *names, struct buf *list)
{
    struct str rest = strz(names), word;
    struct buf one = BUF_TEXT(100);

    while (str_word(&rest, " \t\r\n,:", &word)) {
        buf_clear(&one);
        buf_add(&one, word);
        if (is_known(scratch, one.p))
            buf_addf(list, "%s%s", list->n > 0 ? ":" : "", one.p);
    }
    buf_free(&one);
}

int tls_set_groups(SSL_CTX *ctx, const struct tls_settings *s, struct why *why)
{
    struct buf list = BUF(GROUPS_MOST);
    int result = 0;

    if (!tls_given(s->curves) && !tls_given(s->ffdhe_groups))
        return 0;
    SSL_CTX *scratch = SSL_CTX_new(TLS_method());
    if (scratch == NULL)
        return tls_fail(why, "no context", "");
    add_known(scratch, s->curves, &list);
    add_known(scratch, s->ffdhe_groups, &list);
    SSL_CTX_free(scratch);
    if (list.n == 0)
        result = why_set(why, "4.3.5", "TLS: OpenSSL knows none of the groups \"%s\" and \"%s\"",
                         s->curves, s->ffdhe_groups);
    else if (!buf_ok(&list) || SSL_CTX_set1_groups_list(ctx, list.p) != 1)
        result = tls_fail(why, "groups ", list.p);
    buf_free(&list);
    return result;
}
