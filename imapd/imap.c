/*
 * imap - IMAP sessions of logged-in users
 *
 * SYNOPSIS
 *     imap [generic Pombal daemon options]
 *
 * DESCRIPTION
 *     Serves the mailbox of a user whom imapd and authd have let in. The mailbox broker hands it
 *     connections. For each user there is one process, in which all his connections are tasks.
 *
 * SECURITY
 *     The process that waits for the broker reads nothing of any client. The one that serves a user
 *     has that user's id and, by Landlock, that user's mail directory only, also when many users
 *     share one id.
 *
 * STANDARDS
 *     RFC 3501 (IMAP4rev1), RFC 2177 (IDLE), RFC 2342 (NAMESPACE), RFC 2971 (ID), RFC 3348
 *     (CHILDREN), RFC 3691 (UNSELECT), RFC 4315 (UIDPLUS), RFC 4959 (SASL-IR), RFC 5161 (ENABLE),
 *     RFC 5258 (LIST-EXTENDED), RFC 5819 (LIST-STATUS), RFC 6154 (SPECIAL-USE), RFC 6851 (MOVE),
 * RFC 7888 (LITERAL+)
 */
#include "imap.h"

#include "base/mem.h"
#include "mail/charset.h"
#include "store/store_conf.h"

static struct {
    struct store *store; /* of the user, for all connections: they share its folders' state */
    size_t connections;
} state;

struct store *imap_store_take(struct why *why)
{
    const struct store_settings settings = store_conf();

    if (state.connections == 0 && state.store != NULL && !store_is_current(state.store))
        store_close(&state.store);
    if (state.store == NULL) {
        char *path = mem_dup(user_maildir(session_user()).p, user_maildir(session_user()).n);
        state.store = store_open(path, &settings, true, why);
        free(path);
    }
    state.connections += state.store != NULL;
    return state.store;
}

void imap_store_release(void)
{
    state.connections--;
}

static void close_store(void)
{
    store_close(&state.store);
}

static void imap_refuse(struct stream *client, const struct handover *h, const struct why *why)
{
    bool limit = strcmp(why->code, SESSION_LIMIT) == 0; /* RFC 5530 3 */

    stream_putf(client, "%s NO [%s] %s\r\n", h->tag, limit ? "LIMIT" : "UNAVAILABLE",
                why_text(why));
}

int main(int argc, char **argv)
{
    static const struct session_program imap = {
        .name = "imap", .connection = imap_connection, .stop = close_store, .refuse = imap_refuse};
    charset_preload(); /* the jail has no way to the modules of iconv */
    return session_main(&imap, argc, argv);
}
