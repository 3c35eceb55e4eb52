/*
 * NAME
 *     pop3d - POP3 before login
 *
 * SYNOPSIS
 *     pop3d [service options]; started by master
 *
 * DESCRIPTION
 *     Greets, speaks TLS (STLS, or from the first byte with pop3_tls_wrappermode), and the commands
 *     of the AUTHORIZATION state: USER, PASS, APOP, AUTH, CAPA, STLS, NOOP, QUIT. It asks authd;
 *     after a login the connection goes through the mailbox broker to the user's pop3 process.
 *     Under TLS it relays between the two.
 *
 * SECURITY
 *     Runs jailed as network_owner with no right at all: no file, no mailbox, no connection but
 *     to authd, the broker and the log. Passwords in clear are taken under TLS or from this host
 *     (disable_plaintext_auth).
 *
 * STANDARDS
 *     RFC 1939, RFC 2449 (CAPA), RFC 2595 (STLS), RFC 5034 (AUTH), RFC 3206 (AUTH-RESP-CODE)
 *
 * SEE ALSO
 *     pop3, authd, mailbox, imapd
 */
#include "pop3d.h"

#include "service/service.h"

static void open_front(void)
{
    login_open(&pop3d_front);
}

static void session(struct stream *client, const struct peer *peer, struct arena *mem)
{
    login_session(&pop3d_front, client, peer, mem);
}

int main(int argc, char **argv)
{
    static const struct service pop3d = {.name = "pop3d",
                                         .rights = RIGHT_SHUT,
                                         .open = open_front,
                                         .session = session,
                                         .drain = login_drain};

    return service_main(&pop3d, argc, argv);
}
