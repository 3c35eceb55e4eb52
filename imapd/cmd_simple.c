/*
 * CAPABILITY, NOOP, CHECK, LOGOUT, ENABLE (RFC 5161), ID (RFC 2971), NAMESPACE (RFC 2342), and what
 * comes too late after login.
 */
#include "base/str.h"
#include "conf/conf.h"

#include "imap.h"
#include "imap_caps.h"

const char *imap_capabilities(struct imap *c)
{
    const struct imap_caps_facts facts = {.logged_in = true};
    struct buf caps = BUF_TEXT(4000);

    imap_caps_put(&facts, &caps);
    const char *text = arena_strz(c->mem, buf_str(&caps));
    buf_free(&caps);
    return text;
}

void cmd_capability(struct imap *c)
{
    if (!imap_end(c))
        return;
    stream_putf(c->client, "* CAPABILITY %s\r\n", imap_capabilities(c));
    imap_updates(c, true);
    imap_ok(c, "Capability completed.");
}

void cmd_noop(struct imap *c)
{
    if (!imap_end(c))
        return;
    imap_updates(c, true);
    imap_ok(c, "NOOP completed.");
}

void cmd_check(struct imap *c)
{
    if (!imap_end(c))
        return;
    imap_updates(c, true);
    imap_ok(c, "Check completed.");
}

void cmd_logout(struct imap *c)
{
    if (!imap_end(c))
        return;
    stream_putz(c->client, "* BYE Logging out\r\n");
    imap_ok(c, "Logout completed.");
    c->logout = true;
}

void cmd_logged_in(struct imap *c)
{
    imap_bad(c, "%s: already logged in.", c->command->name);
}

void cmd_enable(struct imap *c)
{
    struct str name;
    size_t n = 0;

    while (imap_take_space(&c->args) && imap_take_atom(&c->args, &name))
        n++;
    if (n == 0 || !imap_end(c))
        return;
    stream_putz(c->client, "* ENABLED\r\n"); /* none of ours has to be enabled */
    imap_ok(c, "Enabled.");
}

static bool skip_id(struct imap *c)
{
    struct str s;

    if (!imap_take_space(&c->args))
        return false;
    if (imap_take_word(&c->args, "NIL"))
        return true;
    if (!imap_take(&c->args, '('))
        return false;
    for (size_t n = 0; imap_list_more(&c->args, n); n++)
        if (!imap_take_nstring(&c->args, &s))
            return false;
    return imap_take(&c->args, ')');
}

void cmd_id(struct imap *c)
{
    if (!skip_id(c) || !imap_end(c))
        return;
    stream_putz(c->client, "* ID (\"name\" \"Pombal\")\r\n");
    imap_ok(c, "ID completed.");
}

void cmd_namespace(struct imap *c)
{
    if (!imap_end(c))
        return;
    stream_putf(c->client, "* NAMESPACE ((\"\" \"%c\")) NIL NIL\r\n", store_separator(c->store));
    imap_ok(c, "Namespace completed.");
}
