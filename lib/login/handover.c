/*
 * The attributes of a handed-over connection and of its user.
 */
#include "login/handover.h"

#include "base/arena.h"
#include "base/encode.h"
#include "base/str.h"
#include "ipc/proto.h"

static void put_text(struct attrs *a, const char *name, const char *value)
{
    if (value != NULL && *value != '\0')
        attrs_putz(a, name, value);
}

void handover_put(struct attrs *a, const struct handover *h)
{
    attrs_putz(a, A_SERVICE, h->service);
    put_text(a, A_TAG, h->tag);
    put_text(a, A_CLIENT_ADDRESS, h->client_address);
    put_text(a, A_CLIENT_PORT, h->client_port);
    put_text(a, A_SERVER_ADDRESS, h->server_address);
    put_text(a, A_SERVER_PORT, h->server_port);
    put_text(a, A_SESSION, h->session);
    put_text(a, A_USER, h->user);
    put_text(a, A_TICKET, h->ticket);
    attrs_putn(a, A_FLAGS, (h->tls ? 1 : 0) | (h->secured ? 2 : 0));
    if (h->pending.n > 0) {
        /* fits: HANDOVER_PENDING_MAX in base64 */
        struct buf text = BUF(HANDOVER_MAX);
        encode_base64(&text, h->pending);
        attrs_put(a, A_PENDING, buf_str(&text));
        buf_free(&text);
    }
}

static const char *handover_take(struct attrs *a, const char *name, struct arena *mem)
{
    return arena_strz(mem, strz(attrs_opt(a, name, "")));
}

static bool is_service(const char *name)
{
    return strcmp(name, "imap") == 0 || strcmp(name, "pop3") == 0;
}

/* The tag is written to the client as it is: RFC 3501 9, tag characters only. */
static bool is_tag(const char *tag)
{
    for (; *tag != '\0'; tag++)
        if (*tag <= ' ' || *tag > '~' || strchr("(){%*\"\\+", *tag) != NULL)
            return false;
    return true;
}

bool handover_get(struct attrs *a, struct handover *h, struct arena *mem)
{
    struct str pending = strz(attrs_opt(a, A_PENDING, ""));
    struct buf bytes = BUF(HANDOVER_PENDING_MAX);
    int64_t flags = attrs_getn(a, A_FLAGS, 0, 3);

    *h = (struct handover){.service = arena_strz(mem, strz(attrs_get(a, A_SERVICE))),
                           .tag = handover_take(a, A_TAG, mem),
                           .client_address = handover_take(a, A_CLIENT_ADDRESS, mem),
                           .client_port = handover_take(a, A_CLIENT_PORT, mem),
                           .server_address = handover_take(a, A_SERVER_ADDRESS, mem),
                           .server_port = handover_take(a, A_SERVER_PORT, mem),
                           .session = handover_take(a, A_SESSION, mem),
                           .user = handover_take(a, A_USER, mem),
                           .ticket = handover_take(a, A_TICKET, mem),
                           .tls = (flags & 1) != 0,
                           .secured = (flags & 2) != 0};
    bool ok = attrs_ok(a) && is_service(h->service) && is_tag(h->tag) &&
              decode_base64(&bytes, pending) && buf_ok(&bytes);
    h->pending = ok ? arena_str(mem, buf_str(&bytes)) : STR("");
    buf_free(&bytes);
    return ok;
}
