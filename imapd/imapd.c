/*
 * NAME
 *     imapd - IMAP before login
 *
 * SYNOPSIS
 *     imapd [service options]; started by master
 *
 * DESCRIPTION
 *     Greets, speaks TLS (STARTTLS, or from the first byte with imap_tls_wrappermode), and the
 *     commands of the not authenticated state: CAPABILITY, NOOP, LOGOUT, ID, STARTTLS,
 *     AUTHENTICATE, LOGIN. It asks authd; after a login the connection goes through the mailbox
 *     broker to the user's imap process. Under TLS it relays between the two.
 *
 * SECURITY
 *     Runs jailed as network_owner with no right at all: no file, no mailbox, no connection but
 *     to authd, the broker and the log. Passwords in clear are taken under TLS or from this host
 *     (disable_plaintext_auth).
 *
 * STANDARDS
 *     RFC 3501, RFC 2595 (STARTTLS), RFC 4959 (SASL-IR), RFC 7888 (LITERAL+), RFC 2971 (ID),
 *     RFC 5530 (response codes)
 *
 * SEE ALSO
 *     imap, authd, mailbox, pop3d
 */
#include "imapd.h"

#include "service/service.h"

static void open_front(void)
{
    login_open(&imapd_front);
}

static void session(struct stream *client, const struct peer *peer, struct arena *mem)
{
    login_session(&imapd_front, client, peer, mem);
}

int main(int argc, char **argv)
{
    static const struct service imapd = {.name = "imapd",
                                         .rights = RIGHT_SHUT,
                                         .open = open_front,
                                         .session = session,
                                         .drain = login_drain};

    return service_main(&imapd, argc, argv);
}
