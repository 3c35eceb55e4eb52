/*
 * NAME
 *   postscreen - looks at clients before smtpd gets them
 *
 * SYNOPSIS
 *   in master.cf:  smtp inet n - y - 1 postscreen
 *                  smtpd pass - - y - - smtpd
 *
 * DESCRIPTION
 *   One process holds the connections of all clients until it knows that they are mail servers,
 *   so that robots take no place from others in smtpd. Whom postscreen_access_list permits, and
 *   who has passed the tests not long ago, is passed to the service smtpd_service_name at once.
 *
 *   Before the greeting: a client that speaks before its turn (postscreen_greet_wait) fails, and
 *   one whose score in DNS lists (postscreen_dnsbl_sites) is too high. With
 *   postscreen_pipelining_enable, postscreen_non_smtp_command_enable and
 *   postscreen_bare_newline_enable clients speak with an engine that takes no mail, and tells
 *   them to come again; when they do, they have passed. What happens to a client that fails, a
 *   parameter says for each test: ignore, enforce or drop.
 *
 *   The services dnsblog and tlsproxy, which master.cf of Postfix has, are left out: postscreen
 *   asks DNS lists and speaks TLS itself, with the settings of the second one (tlsproxy_tls_*).
 *
 *   Clients that have passed are remembered in a file beside what postscreen_cache_map names,
 *   with ".clients" behind its name: a line for each, with its address and the times until which
 *   the results hold. A reload lets the present clients finish their tests; what they find out
 *   then is not remembered.
 *
 * SECURITY
 *   postscreen talks to strangers, and runs as network_owner. It reads no file but tables, writes
 *   to none but the cache, which is open before it is locked in, cannot execute, and connects to
 *   name servers and to services of the suite only. Clients, commands, lines and waiting times
 *   are bounded by parameters. smtpd takes connections by its service of type pass from
 *   postscreen only.
 *
 * STANDARDS
 *   RFC 5321 (SMTP), RFC 5782 (DNS lists), RFC 3207 (STARTTLS)
 *
 * SEE ALSO
 *   smtpd(8), master(8)
 */
#include "postscreen.h"

#include "base/msg.h"
#include "conf/conf.h"
#include "service/jail.h"
#include "service/resolver.h"
#include "service/service.h"
#include "task/task.h"

static void open_all(void)
{
    resolver_open();
    screen_open_gate();
    screen_open_access();
    screen_open_dnsbl();
    screen_open_replies();
    screen_open_talk();
    screen_open_tls();
    screen_open_cache();
}

static void paths(void)
{
    jail_read_tables(conf.postscreen_access_list);
    jail_read_tables(conf.postscreen_reject_footer_maps);
    jail_read_tables(conf.postscreen_command_filter);
    jail_read_tables(conf.postscreen_discard_ehlo_keyword_address_maps);
    jail_read_tables(conf.tls_server_sni_maps);
    jail_port(53);
}

static void start(void)
{
    task_watchdog(conf.watchdog_report_time * 1000, conf.postscreen_watchdog_timeout * 1000);
    screen_start_cache();
}

int main(int argc, char **argv)
{
    static const struct service postscreen = {
        .name = "postscreen",
        .rights = RIGHT_DNS | RIGHT_READ,
        .sole = true,
        .lone_clients = 60000,
        .open = open_all,
        .paths = paths,
        .start = start,
        .session = screen_session,
        .drain = screen_close_cache,
    };
    return service_main(&postscreen, argc, argv);
}
