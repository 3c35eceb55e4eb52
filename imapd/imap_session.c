/*
 * A connection: the command table, and the loop that reads a command, finds it and runs it.
 * RFC 3501 3, 5.5, 6.
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"

#include "imap.h"

enum { ANY = IMAP_AUTHENTICATED | IMAP_SELECTED, MANY_BAD = 20 };

static const struct imap_command commands[] = {
    {"APPEND", cmd_append, ANY, false, false},
    {"AUTHENTICATE", cmd_logged_in, ANY, false, false},
    {"CAPABILITY", cmd_capability, ANY, false, false},
    {"CHECK", cmd_check, IMAP_SELECTED, false, false},
    {"CLOSE", cmd_close, IMAP_SELECTED, false, false},
    {"COPY", cmd_copy, IMAP_SELECTED, false, true},
    {"CREATE", cmd_create, ANY, false, false},
    {"DELETE", cmd_delete, ANY, false, false},
    {"ENABLE", cmd_enable, ANY, false, false},
    {"EXAMINE", cmd_examine, ANY, false, false},
    {"EXPUNGE", cmd_expunge, IMAP_SELECTED, false, true},
    {"FETCH", cmd_fetch, IMAP_SELECTED, true, true},
    {"ID", cmd_id, ANY, false, false},
    {"IDLE", cmd_idle, ANY, false, false},
    {"LIST", cmd_list, ANY, false, false},
    {"LOGIN", cmd_logged_in, ANY, false, false},
    {"LOGOUT", cmd_logout, ANY, false, false},
    {"LSUB", cmd_lsub, ANY, false, false},
    {"MOVE", cmd_move, IMAP_SELECTED, false, true},
    {"NAMESPACE", cmd_namespace, ANY, false, false},
    {"NOOP", cmd_noop, ANY, false, false},
    {"RENAME", cmd_rename, ANY, false, false},
    {"SEARCH", cmd_search, IMAP_SELECTED, true, true},
    {"SELECT", cmd_select, ANY, false, false},
    {"STARTTLS", cmd_logged_in, ANY, false, false},
    {"STATUS", cmd_status, ANY, false, false},
    {"STORE", cmd_store, IMAP_SELECTED, true, true},
    {"SUBSCRIBE", cmd_subscribe, ANY, false, false},
    {"UNSELECT", cmd_unselect, IMAP_SELECTED, false, false},
    {"UNSUBSCRIBE", cmd_unsubscribe, ANY, false, false},
};

const struct imap_command *imap_command_find(struct str name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (str_ieqz(name, commands[i].name))
            return &commands[i];
    return NULL;
}

/* tag = 1*<any ASTRING-CHAR except "+"> */
static bool take_tag(struct imap *c)
{
    struct imap_args was = c->args;

    if (imap_take_atom(&c->args, &c->tag) && str_find(c->tag, '+') < 0 && c->tag.n <= 1000)
        return true;
    c->args = was;
    c->tag = STR("*");
    return false;
}

static const struct imap_command *take_command(struct imap *c)
{
    struct str name;

    if (!imap_take_space(&c->args) || !imap_take_atom(&c->args, &name))
        return NULL;
    c->uid = str_ieqz(name, "UID");
    if (c->uid && (!imap_take_space(&c->args) || !imap_take_atom(&c->args, &name)))
        return NULL;
    const struct imap_command *command = imap_command_find(name);
    return command != NULL && c->uid && !command->uid ? NULL : command;
}

static void imap_session_run(struct imap *c, struct str text)
{
    enum imap_state state = c->box != NULL ? IMAP_SELECTED : IMAP_AUTHENTICATED;

    c->args = (struct imap_args){text, c->mem};
    c->answered = false;
    c->command = NULL;
    if (!take_tag(c)) {
        imap_bad(c, "Error in IMAP command received by server.");
        return;
    }
    c->command = take_command(c);
    if (c->command == NULL)
        imap_bad(c, "Error in IMAP command: Unknown command.");
    else if ((c->command->states & state) == 0)
        imap_bad(c, "No mailbox selected.");
    else
        c->command->run(c);
    if (!c->answered && stream_state(c->client) == STREAM_OK)
        imap_bad(c, "Error in IMAP command: Invalid arguments.");
}

static bool next_command(struct imap *c)
{
    struct str text;

    switch (imap_read_command(c, &text)) {
    case IMAP_READ_END:
        return false;
    case IMAP_READ_REFUSED:
        c->bad++;
        break;
    case IMAP_READ_OK:
        imap_session_run(c, text);
        break;
    }
    return true;
}

static void say_goodbye(struct imap *c)
{
    enum stream_state state = stream_state(c->client);

    if (c->logout)
        c->ended = "Logged out";
    else if (state == STREAM_TIMEOUT)
        c->ended = "Disconnected for inactivity";
    else if (state == STREAM_CANCELLED || session_draining())
        c->ended = "Server shutting down";
    else if (c->bad >= MANY_BAD)
        c->ended = "Too many invalid IMAP commands";
    else
        c->ended = "Connection closed";
    if (!c->logout && state != STREAM_ERROR && state != STREAM_EOF)
        stream_putf(c->client, "* BYE %s.\r\n", c->ended);
}

static void serve(struct imap *c)
{
    stream_set_idle(c->client, conf.imap_timeout * 1000);
    while (!c->logout && c->bad < MANY_BAD && stream_state(c->client) == STREAM_OK &&
           !session_draining() && next_command(c))
        arena_reset(c->mem);
    say_goodbye(c);
    imap_close_folder(c);
}

void imap_connection(struct stream *client, const struct handover *h, struct arena *mem)
{
    struct imap c = {.client = client, .session = mem, .mem = arena_new(mem), .login = h};
    struct why why = WHY;

    c.store = imap_store_take(&why);
    if (c.store == NULL) {
        msg_warn("%s: %s", session_user()->name, why_text(&why));
        stream_putf(client, "%s NO [UNAVAILABLE] %s\r\n", h->tag,
                    "The mailbox cannot be opened, try again later.");
    } else {
        stream_putf(client, "%s OK [CAPABILITY %s] Logged in\r\n", h->tag, imap_capabilities(&c));
        serve(&c);
        imap_store_release();
        msg_info("user=<%s>, rip=%s, session=<%s>: %s", session_user()->name, h->client_address,
                 h->session, c.ended);
    }
    why_free(&why);
}
