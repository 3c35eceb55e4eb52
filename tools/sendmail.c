/*
 * NAME
 *   sendmail, newaliases, mailq - the interface of mail programs
 *
 * SYNOPSIS
 *   sendmail [options] [recipient ...]
 *   mailq | sendmail -bp
 *   newaliases | sendmail -I
 *
 * DESCRIPTION
 *   sendmail reads a message on standard input up to its end, or to a line with only a dot, and
 *   passes it to postdrop. Exit status 0 means that it is on stable storage.
 *
 *   -Am -Ac           accepted, no effect
 *   -B 7BIT|8BITMIME  what the body holds
 *   -bd -bl           start the mail system (pombal start)
 *   -bh -bH           accepted, no effect
 *   -bi -I            make the alias database anew (newaliases)
 *   -bm               read mail and send it; the default
 *   -bp               list the queue (mailq)
 *   -bs               speak SMTP on standard input and output
 *   -bv               do not send: report what would be done
 *   -C dir            the configuration
 *   -F name           the sender's full name
 *   -f sender, -r     the envelope sender
 *   -G                mail of another host that passes through: headers are left alone
 *   -i -oi            a line with only a dot does not end the message
 *   -L label          accepted, no effect
 *   -N dsn            when to report: never, or of delay,failure,success
 *   -n -m -U -h N -e X -X file -c -O option=value -o7 -o8 -oX ...   accepted, no effect
 *   -q                try all deferred mail now; -qI id, -qR site: that part; -q15m: accepted
 *   -R full|hdrs      what a report contains
 *   -t                take the recipients from To, Cc and Bcc
 *   -V envid          an identifier for reports
 *   -v                report each delivery; twice: debugging
 *
 *   Exit status is one of sysexits.h: 64 wrong use, 65 bad data, 69 refused, 75 try again.
 *
 * SEE ALSO
 *   postdrop(1), postqueue(1), postalias(1), pombal(1)
 */
#include "sendmail.h"

#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"

static int usage(const char *text, const char *value)
{
    fprintf(stderr, "sendmail: fatal: %s%s%s\n", text, value != NULL ? ": " : "",
            value != NULL ? value : "");
    return EX_USAGE;
}

/* ---- other programs ---- */

static int run(const char *const *argv)
{
    char path[4000];

    snprintf(path, sizeof path, "%s/%s", conf.command_directory, argv[0]);
    setenv("MAIL_CONFIG", conf_dir(), 1);
    execv(path, (char *const *)(uintptr_t)argv);
    fprintf(stderr, "sendmail: fatal: %s: %s\n", path, strerror(errno));
    return EX_OSERR;
}

static int run_queue(const struct sendmail *m)
{
    const char *list[] = {"postqueue", "-p", NULL};
    const char *flush[] = {"postqueue", "-f", NULL};
    const char *one[] = {"postqueue", m->flush_id != NULL ? "-i" : "-s",
                         m->flush_id != NULL ? m->flush_id : m->flush_site, NULL};

    return run(one[2] != NULL ? one : m->flush ? flush : list);
}

static int run_aliases(const struct sendmail *m)
{
    struct str rest = strz(conf.alias_database), word;
    VEC(const char *) argv = {0};

    *VEC_ADD(&argv) = "postalias";
    while (str_word_braces(&rest, ", \t\r\n", &word))
        *VEC_ADD(&argv) = arena_strz(m->mem, word);
    if (argv.n == 1)
        return EX_OK;
    *VEC_ADD(&argv) = NULL;
    int status = run(argv.at);
    VEC_FREE(&argv);
    return status;
}

static int run_daemon(void)
{
    const char *argv[] = {"pombal", "start", NULL};
    return run(argv);
}

/* ---- the command line ---- */

static int set_mode(struct sendmail *m, const char *arg)
{
    switch (arg[0]) {
    case 'd':
    case 'l':
        m->mode = SENDMAIL_DAEMON;
        break;
    case 'h':
    case 'H':
        m->mode = SENDMAIL_IGNORE;
        break;
    case 'i':
        m->mode = SENDMAIL_ALIASES;
        break;
    case 'm':
        m->mode = SENDMAIL_MAIL;
        break;
    case 'p':
        m->mode = SENDMAIL_QUEUE;
        break;
    case 's':
        m->mode = SENDMAIL_SMTP;
        break;
    case 'v':
        m->mode = SENDMAIL_MAIL;
        m->verify = true;
        break;
    default:
        return usage("unsupported: -b", arg);
    }
    return EX_OK;
}

static int set_queue(struct sendmail *m, const char *arg)
{
    if (arg != NULL && arg[0] == 'S')
        return usage("-qS is not implemented", NULL);
    if (arg != NULL && arg[0] >= '0' && arg[0] <= '9')
        return EX_OK; /* the interval of -bd: queue_run_delay has it */
    m->mode = SENDMAIL_QUEUE;
    m->flush = true;
    if (arg != NULL && arg[0] == 'I')
        m->flush_id = arg + 1;
    else if (arg != NULL && arg[0] == 'R')
        m->flush_site = arg + 1;
    else if (arg != NULL && arg[0] != 0)
        return usage("-q: usage: -q, -qIqueueid or -qRsite", arg);
    return EX_OK;
}

static int set_option(struct sendmail *m, int c, const char *arg)
{
    switch (c) {
    case 'B':
        if (strcasecmp(arg, "7BIT") != 0 && strcasecmp(arg, "8BITMIME") != 0)
            return usage("specify -B 7BIT or -B 8BITMIME", arg);
        m->encoding = strcasecmp(arg, "7BIT") == 0 ? "7bit" : "8bit";
        return EX_OK;
    case 'b':
        return set_mode(m, arg);
    case 'C':
        m->config_dir = arg;
        return EX_OK;
    case 'F':
        m->full_name = arg;
        return EX_OK;
    case 'f':
    case 'r':
        m->sender = arg;
        return EX_OK;
    case 'G':
        m->gateway = true;
        return EX_OK;
    case 'I':
        m->mode = SENDMAIL_ALIASES;
        return EX_OK;
    case 'i':
        m->ignore_dots = true;
        return EX_OK;
    case 'N':
        return dsn_notify_parse(strz(arg), &m->notify) ? EX_OK : usage("invalid -N option", arg);
    case 'R':
        return dsn_ret_parse(strz(arg), &m->ret) ? EX_OK : usage("specify -R full or -R hdrs", arg);
    case 'V':
        m->envid = arg;
        return EX_OK;
    case 'o':
        m->ignore_dots = m->ignore_dots || strchr(arg, 'i') == arg;
        return EX_OK;
    case 'q':
        return set_queue(m, arg);
    case 't':
        m->extract = true;
        return EX_OK;
    case 'v':
        m->verbose++;
        return EX_OK;
    case '?':
        return EX_USAGE;
    default: /* A c e h L m n O p U X x: the world's habits */
        return EX_OK;
    }
}

static int read_command(struct sendmail *m, int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash != NULL ? slash + 1 : argv[0];
    int c, status = EX_OK;

    if (strcmp(name, "mailq") == 0)
        m->mode = SENDMAIL_QUEUE;
    else if (strcmp(name, "newaliases") == 0)
        m->mode = SENDMAIL_ALIASES;
    while (status == EX_OK &&
           (c = getopt(argc, argv, "A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:q::r:tvx")) != -1)
        status = set_option(m, c, optarg);
    for (int i = optind; i < argc; i++)
        *VEC_ADD(&m->rcpts) = argv[i];
    return status;
}

static int go(struct sendmail *m)
{
    struct why why = WHY;

    if (conf_load(m->config_dir, "sendmail", NULL, &why) < 0)
        return fprintf(stderr, "sendmail: fatal: %s\n", why_text(&why)), EX_CONFIG;
    why_free(&why);
    switch (m->mode) {
    case SENDMAIL_QUEUE:
        return run_queue(m);
    case SENDMAIL_ALIASES:
        return run_aliases(m);
    case SENDMAIL_DAEMON:
        return run_daemon();
    case SENDMAIL_SMTP:
        return sendmail_smtp(m);
    case SENDMAIL_MAIL:
        return sendmail_message(m);
    case SENDMAIL_IGNORE:
        break;
    }
    return EX_OK;
}

int main(int argc, char **argv)
{
    struct sendmail m = {.mem = arena_new(NULL)};

    msg_open("postfix/sendmail");
    int status = read_command(&m, argc, argv);
    if (status == EX_OK)
        status = go(&m);
    VEC_FREE(&m.rcpts);
    arena_free(&m.mem);
    return status;
}
