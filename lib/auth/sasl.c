/*
 * The table of mechanisms, and what all of them share.
 */
#include "auth/sasl.h"

#include "auth/sasl_mechs.h"
#include "base/str.h"

static const struct sasl_mech mechs[] = {
    {.name = "PLAIN",
     .traits = AUTH_PLAINTEXT,
     .client_first = true,
     .server = sasl_plain_server,
     .client = sasl_plain_client,
     .strength = 2},
    {.name = "LOGIN",
     .traits = AUTH_PLAINTEXT,
     .server = sasl_login_server,
     .client = sasl_login_client,
     .strength = 1},
    {.name = "CRAM-MD5",
     .traits = AUTH_DICTIONARY | AUTH_ACTIVE,
     .server = sasl_cram_server,
     .secret = sasl_cram_secret,
     .client = sasl_cram_client,
     .strength = 3},
    {.name = "APOP",
     .traits = AUTH_PRIVATE | AUTH_DICTIONARY | AUTH_ACTIVE,
     .client_first = true,
     .server = sasl_apop_server,
     .secret = sasl_apop_secret},
};

enum { NMECHS = sizeof mechs / sizeof mechs[0] };

const struct sasl_mech *sasl_find(struct str name)
{
    for (size_t i = 0; i < NMECHS; i++)
        if (str_ieqz(name, mechs[i].name))
            return &mechs[i];
    return NULL;
}

const struct sasl_mech *sasl_each(size_t n)
{
    return n < NMECHS ? &mechs[n] : NULL;
}

void sasl_server_begin(struct sasl_server *s, const struct sasl_mech *mech, const char *host)
{
    *s = (struct sasl_server){.mech = mech,
                              .host = host,
                              .user = BUF(SASL_FIELD_MAX),
                              .authz = BUF(SASL_FIELD_MAX),
                              .password = BUF(SASL_FIELD_MAX),
                              .challenge = BUF(SASL_FIELD_MAX),
                              .digest = BUF(SASL_FIELD_MAX)};
}

enum sasl_step sasl_server_step(struct sasl_server *s, bool has_in, struct str in, struct buf *out)
{
    buf_clear(out);
    if (!has_in) {
        in = STR("");
        if (s->mech->client_first && s->turn == 0) {
            /* RFC 4954 4, RFC 9051 6.2.2: an empty challenge asks for the initial response. */
            s->turn = -1;
            return SASL_MORE;
        }
    }
    if (s->turn < 0)
        s->turn = 0;
    enum sasl_step step = s->mech->server(s, in, out);
    bool fits = buf_ok(&s->user) && buf_ok(&s->authz) && buf_ok(&s->password) &&
                buf_ok(&s->challenge) && buf_ok(&s->digest) && buf_ok(out);
    return fits ? step : SASL_BAD;
}

enum sasl_step sasl_server_secret(struct sasl_server *s, struct str stored,
                                  const char *default_scheme)
{
    return s->mech->secret(s, stored, default_scheme);
}

static void wipe(struct buf *b)
{
    if (b->room > 0)
        explicit_bzero(b->p, b->room);
    buf_free(b);
}

void sasl_server_end(struct sasl_server *s)
{
    wipe(&s->user);
    wipe(&s->authz);
    wipe(&s->password);
    wipe(&s->challenge);
    wipe(&s->digest);
}

const struct sasl_mech *sasl_client_pick(struct str offered, unsigned forbid)
{
    const struct sasl_mech *best = NULL;

    for (struct str word; str_word(&offered, " ,\t", &word);) {
        const struct sasl_mech *m = sasl_find(word);
        if (m == NULL || m->strength == 0 || (m->traits & forbid) != 0)
            continue;
        if (best == NULL || m->strength > best->strength)
            best = m;
    }
    return best;
}

void sasl_client_begin(struct sasl_client *c, const struct sasl_mech *mech, struct str user,
                       struct str password)
{
    *c = (struct sasl_client){.mech = mech, .user = user, .password = password};
}

enum sasl_step sasl_client_step(struct sasl_client *c, struct str challenge, struct buf *out)
{
    buf_clear(out);
    enum sasl_step step = c->mech->client(c, challenge, out);
    return buf_ok(out) ? step : SASL_BAD;
}
