/*
 * NAME
 *     authd - who may log in
 *
 * SYNOPSIS
 *     authd [service options]; started by master
 *
 * DESCRIPTION
 *     Serves Dovecot's authentication protocol to smtpd, pop3d and imapd on private/auth: SASL
 *     mechanisms of auth_mechanisms against the tables of auth_passdb. A login for imap or pop3
 * gets a token. The mailbox broker exchanges it on the same socket for the name of the user and a
 * ticket; imap or pop3, which starts the session, redeems the ticket for ids, home and mail of the
 * user from auth_userdb. Slow password hashes are computed by helper processes.
 *
 * SECURITY
 *     Reads the tables before it locks itself in; after that it reads files of their directories
 *     only, opens no connection and starts no process. The helpers that compute hashes have no
 *     right at all; one may read the tables where only root may. Passwords are never logged and do
 *     not stay in memory. Tokens are exchanged for the mailbox broker only, tickets are redeemed
 * for imap and pop3 only. Each is good once.
 *
 * STANDARDS
 *     RFC 4422, RFC 4616, RFC 2195, RFC 1939 (APOP)
 *
 * SEE ALSO
 *     imapd, pop3d, mailbox, smtpd
 */
#include "authd.h"

#include <sys/mman.h>

#include "auth/auth_settings.h"
#include "base/msg.h"
#include "service/service.h"

static void authd_open_all(void)
{
    struct why why = WHY;

    if (service_trying()) {
        auth_check_settings();
        return;
    }
    if (auth_check_words(&why) < 0)
        msg_fatal("%s", why_text(&why));
    why_free(&why);
    conn_open();
    users_open();
    cache_open();
    size_t size = tokens_size() + stamps_size();
    char *shared = service_shared(size);
    if (madvise(shared, size, MADV_DONTFORK) < 0) /* the helpers have no use for tokens */
        msg_fatal("shared memory: %m");
    tokens_open(shared);
    stamps_open(shared + tokens_size());
    if (!service_trying()) {
        workers_start();
        reader_start();
    }
}

static void authd_start(void)
{
    workers_watch();
    reader_watch();
}

static void session(struct stream *client, const struct peer *peer, struct arena *mem)
{
    (void)peer;
    (void)mem;
    conn_session(client);
}

int main(int argc, char **argv)
{
    static const struct service authd = {.name = "authd",
                                         .rights = RIGHT_READ,
                                         .sole = true,
                                         .open = authd_open_all,
                                         .paths = users_paths,
                                         .start = authd_start,
                                         .session = session,
                                         .drain = conn_drain};

    return service_main(&authd, argc, argv);
}
