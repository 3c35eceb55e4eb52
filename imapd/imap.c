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
 *     RFC 6154 (SPECIAL-USE), RFC 6851 (MOVE), RFC 7888 (LITERAL+)
 */
#include "imap.h"

static void refuse(struct stream *client, const struct handover *h, const struct why *why)
{
    stream_putf(client, "%s NO [UNAVAILABLE] %s\r\n", h->tag, why_text(why));
}

int main(int argc, char **argv)
{
    static const struct session_program imap = {
        .name = "imap", .connection = imap_connection, .refuse = refuse};
    return session_main(&imap, argc, argv);
}
