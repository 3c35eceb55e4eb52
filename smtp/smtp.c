/*
 * NAME
 *     smtp, lmtp - deliver mail to other servers
 *
 * SYNOPSIS
 *     smtp [options of every daemon]    in master.cf
 *     lmtp [options of every daemon]    the same program; it speaks LMTP, also as service "lmtp"
 *
 * DESCRIPTION
 *     Takes delivery requests from qmgr: one message, one next hop, some recipients. Finds the
 *     servers of the next hop (mail exchangers by the DNS, or a host, address or UNIX socket that
 *     is named), tries them in order, and ends every recipient as sent, bounced or deferred. One
 *     process drives many deliveries. A connection is kept for a moment after its use, since the
 *     next message for the same destination is often on its way.
 *
 * SECURITY
 *     Runs as network_owner (lmtp: as the mail owner) in a jail with outside connections. It opens
 * no queue file: qmgr hands it the one that it is to deliver. What servers say is cleaned before it
 *     is logged.
 *
 * STANDARDS
 *     RFC 5321 (SMTP), RFC 2033 (LMTP), RFC 2920 (pipelining), RFC 1870 (SIZE), RFC 6152
 *     (8BITMIME), RFC 3461 (DSN), RFC 2034 (enhanced status codes), RFC 3207 (STARTTLS), RFC 4954
 *     (AUTH), RFC 2852 (DELIVERBY), RFC 6531 (SMTPUTF8), RFC 7505 (null MX), RFC 8689 (REQUIRETLS),
 *     RFC 9422 (LIMITS).
 *
 * SEE ALSO
 *     qmgr, bounce
 */
#include "smtp.h"

#include <errno.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/proto.h"
#include "net/stream.h"
#include "route/classes.h"
#include "service/jail.h"
#include "service/resolver.h"
#include "service/service.h"

static struct {
    bool lmtp;
} state;

bool smtp_is_lmtp(void)
{
    return state.lmtp;
}

static void start_job(struct smtp_job *job, const struct delivery *d, struct arena *mem)
{
    *job = (struct smtp_job){.d = d, .mem = mem, .left = d->nrcpts, .why = WHY};
    job->rcpts = arena_alloc(mem, d->nrcpts + 1);
    memset(job->rcpts, SMTP_RCPT_WAITS, d->nrcpts);
    delivery_result_start(&job->result, d->nrcpts);
    job->outcome = (struct outcome){.d = d,
                                    .relay = "none",
                                    .mta = "",
                                    .reply = "",
                                    .begin_us = clock_wall_us(),
                                    .result = &job->result};
}

static void smtp_request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    enum { RCPTS_MOST = 100000 };
    struct delivery d;
    struct smtp_job job;
    struct why why = WHY;

    if (delivery_decode(ask, RCPTS_MOST, mem, &d, &why) < 0) {
        attrs_put_why(answer, &why);
        why_free(&why);
        return;
    }
    start_job(&job, &d, mem);
    job.file = job.outcome.file = delivery_file(ask, &d, &why);
    if (job.file == NULL) {
        outcome_no_file(&job.outcome, &why);
    } else {
        smtp_deliver(&job);
        qfile_close(&job.file);
    }
    delivery_answer(answer, &job.result);
    delivery_result_free(&job.result);
    why_free(&job.why);
    why_free(&why);
}

static void smtp_open_all(void)
{
    state.lmtp =
        strcmp(program_invocation_short_name, "lmtp") == 0 || strcmp(service_name(), "lmtp") == 0;
    if (state.lmtp)
        conf_use_lmtp();
    resolver_open();
    resolver_filter("smtp_dns_reply_filter", conf.smtp_dns_reply_filter);
    classes_open();
    smtp_open_hosts();
    smtp_open_hello();
    smtp_open_tls();
    smtp_open_requiretls();
    smtp_open_auth();
}

static void smtp_paths(void)
{
    jail_read_tables(conf.smtp_sasl_password_maps);
    jail_read_tables(conf.smtp_tls_policy_maps);
    smtp_requiretls_paths();
    jail_read_tables(conf.smtp_dns_reply_filter);
    jail_read_tables(conf.smtp_discard_ehlo_keyword_address_maps);
}

int main(int argc, char **argv)
{
    static const struct service smtp = {
        .name = "smtp",
        .rights = RIGHT_NET | RIGHT_DNS | RIGHT_READ | RIGHT_SHUT,
        .open = smtp_open_all,
        .paths = smtp_paths,
        .request = smtp_request,
        .drain = smtp_cache_close,
        .request_limit = DELIVERY_MAX,
    };
    return service_main(&smtp, argc, argv);
}
