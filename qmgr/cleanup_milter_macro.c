/*
 * Macros: what milters may want to know of a message, and cleanup knows.
 */
#include "base/str.h"
#include "mail/path.h"

#include "cleanup_milter.h"

const char *cleanup_client_name(const struct cleanup *c)
{
    return c->d.client_addr[0] != 0 ? c->d.client_name : "localhost";
}

const char *cleanup_client_addr(const struct cleanup *c)
{
    return c->d.client_addr[0] != 0 ? c->d.client_addr : "127.0.0.1";
}

static bool is_local(const struct cleanup *c)
{
    return c->milters == NULL;
}

static const char *reverse_name(struct cleanup *c)
{
    return c->reverse_name != NULL ? c->reverse_name : cleanup_client_name(c);
}

/* As sendmail's: name and address, and whether the name is only claimed. */
static const char *client(struct cleanup *c)
{
    bool forged = !str_ieqz(strz(reverse_name(c)), cleanup_client_name(c));

    return arena_printf(c->mem, "%s [%s]%s", reverse_name(c), cleanup_client_addr(c),
                        forged ? " (may be forged)" : "");
}

static const char *queue_id(struct cleanup *c)
{
    return c->d.queue_id;
}

static const char *name(struct cleanup *c)
{
    return cleanup_client_name(c);
}

static const char *address(struct cleanup *c)
{
    return cleanup_client_addr(c);
}

static const char *port(struct cleanup *c)
{
    return c->d.client_port[0] != 0 ? c->d.client_port : "0";
}

/* Mail of local programs comes to the host by its own address. */
static const char *server_address(struct cleanup *c)
{
    return c->server_addr == NULL && is_local(c) ? "127.0.0.1" : c->server_addr;
}

static const char *server_port(struct cleanup *c)
{
    return c->server_port == NULL && is_local(c) ? "0" : c->server_port;
}

static const char *external(struct cleanup *c, const char *address)
{
    struct buf quoted = BUF(REC_MAX);

    path_quote(strz(address), &quoted);
    const char *copy = buf_ok(&quoted) ? arena_strz(c->mem, buf_str(&quoted)) : "";
    buf_free(&quoted);
    return copy;
}

static const char *sender(struct cleanup *c)
{
    return c->asked_sender ? external(c, c->d.sender) : NULL;
}

static const char *rcpt(struct cleanup *c)
{
    return c->asked_rcpt != NULL ? external(c, c->asked_rcpt) : NULL;
}

static const char *login_method(struct cleanup *c)
{
    return c->d.sasl_method;
}

static const char *login(struct cleanup *c)
{
    return c->d.sasl_username;
}

static const char *login_sender(struct cleanup *c)
{
    return c->d.sasl_sender;
}

static const struct {
    const char *macro;
    const char *(*value)(struct cleanup *c);
} macros[] = {
    {"i", queue_id},
    {"_", client},
    {"{client_name}", name},
    {"{client_addr}", address},
    {"{client_port}", port},
    {"{client_ptr}", reverse_name},
    {"{daemon_addr}", server_address},
    {"{daemon_port}", server_port},
    {"{mail_addr}", sender},
    {"{rcpt_addr}", rcpt},
    {"{auth_type}", login_method},
    {"{auth_authen}", login},
    {"{auth_author}", login_sender},
};

const char *cleanup_milter_macro(void *arg, struct str macro)
{
    const char *value = NULL;

    for (size_t i = 0; i < sizeof macros / sizeof *macros && value == NULL; i++)
        if (str_eqz(macro, macros[i].macro))
            value = macros[i].value(arg);
    return value != NULL && value[0] != 0 ? value : NULL;
}
