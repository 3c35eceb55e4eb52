/*
 * NAME
 *   smtpd - takes mail from the network
 *
 * SYNOPSIS
 *   smtpd [options of all daemons]
 *
 * DESCRIPTION
 *   smtpd speaks SMTP with a client: it is the service smtp, submission or submissions of
 *   master.cf. It decides who may send what to whom (smtpd_*_restrictions, relaying is closed by
 *   default), whether a recipient exists, and passes what it takes to cleanup. It says 250 after
 * the content only when cleanup has the message on stable storage. One process serves many clients.
 *
 *   Only CR LF . CR LF ends the content of DATA, from any client; a bare CR or LF never does, and
 *   nothing inside the chunks of BDAT.
 *
 * SECURITY
 *   smtpd talks to strangers, and runs as network_owner, apart from what holds mail. It reads no
 *   file but tables, cannot execute, opens no connection but to name servers, to mail filters and
 * to the services of the suite. Lines, recipients, sizes, errors, junk commands, waiting times and
 * sessions per client are bounded by parameters.
 *
 * STANDARDS
 *   RFC 5321 (SMTP), RFC 1870 (SIZE), RFC 1985 (ETRN), RFC 2034 (enhanced codes), RFC 2920
 *   (pipelining), RFC 3030 (BDAT), RFC 3207 (STARTTLS), RFC 3461 (DSN), RFC 3848 (with ESMTPSA),
 * RFC 4954 (AUTH), RFC 6152 (8BITMIME), RFC 6409 (submission)
 *
 * SEE ALSO
 *   cleanup(8), master(8), access(5)
 */
#include "smtpd.h"

#include "base/msg.h"
#include "conf/conf.h"
#include "queue/flush_client.h"
#include "route/recipient.h"
#include "route/resolve.h"
#include "service/jail.h"
#include "service/resolver.h"
#include "service/service.h"

#include "smtpd_check.h"
#include "smtpd_limit.h"
#include "smtpd_milter.h"
#include "smtpd_notice.h"
#include "smtpd_policy.h"
#include "smtpd_proxy.h"

static void smtpd_open_all(void)
{
    resolver_open();
    resolver_filter("smtpd_dns_reply_filter", conf.smtpd_dns_reply_filter);
    classes_open();
    resolve_open();
    recipient_open();
    flush_open();
    smtpd_open_limits();
    smtpd_open_notices();
    smtpd_open_command_filter();
    smtpd_open_footer();
    smtpd_open_checks();
    smtpd_open_helo();
    smtpd_open_xclient();
    smtpd_open_xforward();
    smtpd_open_verp();
    smtpd_open_tls();
    smtpd_open_auth();
    smtpd_open_data();
    smtpd_open_milters();
    smtpd_open_proxy();
}

static void smtpd_paths(void)
{
    jail_read_tables(conf.local_recipient_maps);
    jail_read_tables(conf.virtual_alias_maps);
    jail_read_tables(conf.virtual_mailbox_maps);
    jail_read_tables(conf.relay_recipient_maps);
    jail_read_tables(conf.canonical_maps);
    jail_read_tables(conf.sender_canonical_maps);
    jail_read_tables(conf.transport_maps);
    jail_read_tables(conf.fast_flush_domains);
    jail_read_tables(conf.smtpd_log_access_permit_actions);
    jail_read_tables(conf.smtpd_dns_reply_filter);
    jail_port(53);
    smtpd_auth_paths();
    smtpd_milter_paths();
    smtpd_policy_paths();
    smtpd_proxy_paths();
}

int main(int argc, char **argv)
{
    static const struct service smtpd = {
        .name = "smtpd",
        .rights = RIGHT_DNS | RIGHT_READ,
        .open = smtpd_open_all,
        .paths = smtpd_paths,
        .start = smtpd_start_statistics,
        .session = smtpd_session,
    };
    return service_main(&smtpd, argc, argv);
}
