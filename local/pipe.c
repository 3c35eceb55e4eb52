/*
 * NAME
 *
 * pipe - mail to a command
 *
 * SYNOPSIS
 *
 * pipe [flags=BDFORXhuq.>] user=name[:group] [directory=dir] [chroot=dir] [eol=end] [size=limit]
 *      [null_sender=name] argv=command...      (in master.cf)
 *
 * DESCRIPTION
 *
 * Runs the command once for each request, with the message on its standard input. ${sender},
 * ${recipient} and so on stand in argv; no shell sees them. The exit status says what became of
 * the mail, as in sysexits(3); the output goes into the report.
 *
 * flags: B an empty line at the end; D Delivered-To (and loops are found); F a From_ line; O
 * X-Original-To; R Return-Path; X success notices say "delivered"; h, u domains and users in lower
 * case; q whole addresses in quoted form; . a dot more where a line begins with one; > ">From ".
 *
 * SECURITY
 *
 * Runs as the mail owner. The command is run by a helper process as user=, which cannot be root or
 * the mail owner.
 *
 * SEE ALSO
 *
 * qmgr(8), local(8), master(5)
 */
#include "base/clock.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "service/runner.h"
#include "service/service.h"

#include "agent.h"
#include "command.h"
#include "content.h"
#include "pipe_argv.h"

enum { PREPEND_LIMIT = 1024 * 1024 };

static struct pipe_args args;
static struct why broken; /* what is wrong with them */

static void put_header(const struct job *job, struct buf *out)
{
    const struct rcpt *rcpt = &job->d.rcpts[0];
    const char *sender = *job->d.sender != 0 ? job->d.sender : args.null_sender;

    if ((args.flags & PIPE_FROM) != 0)
        content_from_line(out, sender, clock_wall());
    content_prepend(out, (args.flags & PIPE_RETURN_PATH) != 0 ? sender : NULL,
                    (args.flags & PIPE_ORIGINAL) != 0 ? rcpt->original : "",
                    (args.flags & PIPE_DELIVERED) != 0 ? rcpt->address : "");
}

/* No command can be started: mail waits, with the reason, and the destination is left alone. */
static int check_arguments(struct job *job, struct why *why)
{
    if (broken.code[0] == 0)
        return 0;
    why_copy(why, &broken);
    why_in(why, "mail system configuration error");
    delivery_site_failed(&job->result, why);
    return -1;
}

static int check(struct job *job, struct why *why)
{
    const char *rcpt = job->d.rcpts[0].address;

    if (check_arguments(job, why) < 0)
        return -1;
    if ((args.flags & (PIPE_DELIVERED | PIPE_ORIGINAL)) != 0 && job->d.nrcpts > 1) {
        msg_warn("pipe flag `D' or `O' requires %s_destination_recipient_limit = 1",
                 service_name());
        return why_set(why, "4.3.5", "mail system configuration error");
    }
    if (args.size_limit > 0 && job->d.content_size > args.size_limit)
        return why_set(why, "5.2.3", "message size %lld exceeds size limit %lld of this mailer",
                       (long long)job->d.content_size, (long long)args.size_limit);
    if ((args.flags & PIPE_DELIVERED) != 0 && content_was_delivered_to(job, rcpt))
        return why_set(why, "5.4.6", "mail forwarding loop for %s", rcpt);
    return 0;
}

static int pipe_run(struct job *job, struct why *why)
{
    struct command_env env = {.mem = job->mem};
    struct buf prepend = BUF(PREPEND_LIMIT);
    const char **argv = pipe_argv(&args, &job->d, job->mem, why);
    int status;

    if (argv == NULL)
        return -1;
    put_header(job, &prepend);
    command_env_put(&env, "PATH", "/usr/bin:/bin", NULL);
    command_env_export(&env);
    struct command c = {
        .argv = argv,
        .shown = argv[0],
        .uid = args.uid,
        .gid = args.gid,
        .root = args.root,
        .dir = *args.directory != 0 ? args.directory : conf.queue_directory,
        .env = env.at,
        .time_limit_s = conf_time_of(service_name(), "_time_limit", conf.command_time_limit),
        .prepend = prepend.p,
        .eol = args.eol,
        .quote_dot = (args.flags & PIPE_DOT) != 0,
        .quote_from = (args.flags & PIPE_QUOTE_FROM) != 0,
        .blank_at_end = (args.flags & PIPE_BLANK) != 0,
    };
    status = buf_ok(&prepend) ? command_run(job, &c, why)
                              : why_set(why, "5.3.0", "an address is too long");
    buf_free(&prepend);
    return status;
}

static void pipe_deliver(struct job *job)
{
    struct buf text = BUF_TEXT(1000);
    struct why why = WHY;
    bool trace = (job->d.flags & DELIVERY_TRACE_ONLY) != 0;
    int status = job->d.nrcpts == 0 ? 0 : check(job, &why);

    if (status == 0 && !trace && job->d.nrcpts > 0)
        status = pipe_run(job, &why);
    job->outcome.action = (args.flags & PIPE_FINAL) != 0 ? "delivered" : "relayed";
    buf_addf(&text, "%s via %s service", trace ? "delivers" : "delivered", service_name());
    for (size_t i = 0; i < job->d.nrcpts; i++) {
        if (status < 0)
            outcome_failed(&job->outcome, i, &why);
        else
            outcome_sent(&job->outcome, i, "2.0.0", text.p);
    }
    buf_free(&text);
    why_free(&why);
}

static void pipe_request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    agent_serve(ask, answer, mem, service_name(), pipe_deliver);
}

static void open_arguments(void)
{
    char **argv;
    int argc = service_args(&argv);

    broken = WHY;
    /* Not fatal: nobody would answer then, and the mail would wait without a word. */
    bool good = pipe_args_parse(&args, argc, argv, &broken) == 0;
    runner_only(args.uid, args.gid, args.root);
    if (good)
        return;
    /* The master.cf of every Debian names users that few hosts have: that is no error of check. */
    if (service_trying() && strcmp(broken.code, "4.3.5") == 0)
        msg_fatal("%s", why_text(&broken));
    if (!service_trying())
        msg_error("%s", why_text(&broken));
}

int main(int argc, char **argv)
{
    static const struct service pipe_service = {
        .name = "pipe",
        .rights = RIGHT_READ | RIGHT_EXEC,
        .has_arguments = true,
        .open = open_arguments,
        .request = pipe_request,
        .request_limit = DELIVERY_MAX,
    };
    return service_main(&pipe_service, argc, argv);
}
