/*
 * PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login): the password itself.
 */
#include "auth/sasl_mechs.h"
#include "base/str.h"

/* message = [authzid] NUL authcid NUL passwd; RFC 4616 2 */
enum sasl_step sasl_plain_server(struct sasl_server *s, struct str in, struct buf *out)
{
    struct str authz, user;

    (void)out;
    ptrdiff_t first = str_find(in, '\0');
    if (first < 0)
        return SASL_BAD;
    authz = str_upto(in, (size_t)first);
    in = str_from(in, (size_t)first + 1);
    ptrdiff_t second = str_find(in, '\0');
    if (second <= 0)
        return SASL_BAD;
    user = str_upto(in, (size_t)second);
    in = str_from(in, (size_t)second + 1);
    if (str_find(in, '\0') >= 0)
        return SASL_BAD;
    buf_set(&s->user, user);
    buf_set(&s->authz, authz);
    buf_set(&s->password, in);
    return SASL_PASSWORD;
}

enum sasl_step sasl_plain_client(struct sasl_client *c, struct str in, struct buf *out)
{
    (void)in;
    if (c->turn++ > 0)
        return SASL_BAD;
    buf_addc(out, '\0');
    buf_add(out, c->user);
    buf_addc(out, '\0');
    buf_add(out, c->password);
    return SASL_OK;
}

/* An initial response, if there is one, is the user name, as clients of the field use it. */
enum sasl_step sasl_login_server(struct sasl_server *s, struct str in, struct buf *out)
{
    if (s->turn == 0 && in.n == 0) {
        s->turn = 1;
        buf_addz(out, "Username:");
        return SASL_MORE;
    }
    if (str_find(in, '\0') >= 0)
        return SASL_BAD;
    if (s->turn < 2) {
        if (in.n == 0)
            return SASL_BAD;
        s->turn = 2;
        buf_set(&s->user, in);
        buf_addz(out, "Password:");
        return SASL_MORE;
    }
    buf_set(&s->password, in);
    return SASL_PASSWORD;
}

/* Servers word the challenges as they like, so they count by their order. */
enum sasl_step sasl_login_client(struct sasl_client *c, struct str in, struct buf *out)
{
    (void)in;
    if (c->turn > 1)
        return SASL_BAD;
    buf_add(out, c->turn++ == 0 ? c->user : c->password);
    return c->turn == 2 ? SASL_OK : SASL_MORE;
}
