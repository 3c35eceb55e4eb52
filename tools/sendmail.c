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
 *   -bv               do not send, and read no message: report what would be done
 *   -C dir            the configuration
 *   -F name           the sender's full name
 *   -f sender, -r     the envelope sender
 *   -G                mail of another host that passes through: headers are left alone
 *   -i -oi            a line with only a dot does not end the message
 *   -L label          accepted, no effect
 *   -N dsn            when to report: never, or of delay,failure,success
 *   -m -U -h N -e X -c -O option=value -o7 -o8 -oX ...   accepted, no effect
 *   -n -X file        refused
 *   -oAdatabase       make this alias database anew, in the place of alias_database's
 *   -q                try all deferred mail now; -qI id, -qR site: that part; -q15m: nothing
 *   -R full|hdrs      what a report contains
 *   -t                take the recipients from To, Cc and Bcc
 *   -V envid          an identifier for reports
 *   -v                report each delivery; twice: debugging
 *   -XV -XVxy         a sender of its own for each recipient's copy (VERP), with these delimiters
 *
 *   Exit status is one of sysexits.h, and Postfix's: 65 bad data, 69 refused, 75 wrong use, or try
 *   again.
 *
 * SEE ALSO
 *   postdrop(1), postqueue(1), postalias(1), pombal(1)
 */
#include "sendmail.h"

#include <errno.h>
#include <stdarg.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "service/openlog.h"

int sendmail_wrong(const struct sendmail *m, const char *fmt, ...)
{
    struct buf text = BUF_TEXT(4096);
    struct why why = WHY;
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "%s: fatal: %s\n", m->name, text.p);
    /* The administrator is to see it too, as with Postfix; wrong options are found before main.cf
     * was read. */
    if (conf.syslog_name != NULL || conf_load(m->config_dir, "sendmail", NULL, &why) == 0) {
        service_open_log("sendmail", LOG_TOOL, false);
        msg_to_stderr(false);
        msg_info("fatal: %s", text.p);
    }
    buf_free(&text);
    why_free(&why);
    return EX_TEMPFAIL;
}

/* ---- other programs ---- */

static int sendmail_run(const char *const *argv)
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

    return sendmail_run(one[2] != NULL ? one : m->flush ? flush : list);
}

static int run_aliases(const struct sendmail *m)
{
    struct str rest = strz(m->alias_database != NULL ? m->alias_database : conf.alias_database);
    struct str word;
    VEC(const char *) argv = {0};

    *VEC_ADD(&argv) = "postalias";
    while (str_word_braces(&rest, ", \t\r\n", &word))
        *VEC_ADD(&argv) = arena_strz(m->mem, word);
    int status = EX_OK;
    if (argv.n > 1) {
        *VEC_ADD(&argv) = NULL;
        status = sendmail_run(argv.at);
    }
    VEC_FREE(&argv);
    return status;
}

static int run_daemon(void)
{
    const char *argv[] = {"pombal", "start", NULL};
    return sendmail_run(argv);
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
        return sendmail_wrong(m, "unsupported: -b%c", arg[0]);
    }
    return EX_OK;
}

static int set_queue(struct sendmail *m, const char *arg)
{
    if (arg != NULL && arg[0] >= '0' && arg[0] <= '9') {
        if (m->mode == SENDMAIL_MAIL) /* the interval of -bd: queue_run_delay has it */
            m->mode = SENDMAIL_IGNORE;
        return EX_OK;
    }
    if (arg != NULL && (arg[0] == 'I' || arg[0] == 'R') && arg[1] == 0)
        return sendmail_wrong(m, "specify: -q%s", arg[0] == 'I' ? "Iqueueid" : "Rsitename");
    m->mode = SENDMAIL_QUEUE;
    m->flush = true;
    if (arg != NULL && arg[0] == 'I')
        m->flush_id = arg + 1;
    else if (arg != NULL && arg[0] == 'R')
        m->flush_site = arg + 1;
    else if (arg != NULL && arg[0] != 0)
        return sendmail_wrong(m, "-q%c is not implemented", arg[0]);
    return EX_OK;
}

/* What is asked for a report is no reason to keep mail back. */
static void ignored(const struct sendmail *m, char option)
{
    fprintf(stderr, "%s: warning: bad -%c option value -- ignored\n", m->name, option);
}

/* A name stands in one line of the header, whatever its owner has put into it. */
struct str sendmail_one_line(const struct sendmail *m, struct str text)
{
    char *copy = arena_strz(m->mem, text);

    for (char *p = copy; *p != 0; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return (struct str){copy, text.n};
}

static int set_option(struct sendmail *m, int c, const char *arg)
{
    switch (c) {
    case 'B':
        if (strcasecmp(arg, "7BIT") != 0 && strcasecmp(arg, "8BITMIME") != 0)
            return sendmail_wrong(m, "-B option needs 8BITMIME or 7BIT");
        m->encoding = strcasecmp(arg, "7BIT") == 0 ? "7bit" : "8bit";
        return EX_OK;
    case 'b':
        return set_mode(m, arg);
    case 'C':
        m->config_dir = arg;
        return EX_OK;
    case 'F':
        m->full_name = arena_strz(m->mem, sendmail_one_line(m, strz(arg)));
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
        m->notify = 0;
        if (!dsn_notify_parse(strz(arg), &m->notify))
            ignored(m, 'N');
        return EX_OK;
    case 'n':
        return sendmail_wrong(m, "-n option not supported");
    case 'R':
        m->ret = DSN_RET_NONE;
        if (!dsn_ret_parse(strz(arg), &m->ret))
            ignored(m, 'R');
        return EX_OK;
    case 'V':
        m->envid = arg;
        return EX_OK;
    case 'o':
        if (arg[0] == 'A' && arg[1] == 0)
            return sendmail_wrong(m, "-oA requires pathname");
        if (arg[0] == 'A')
            m->alias_database = arg + 1;
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
    case 'X':
        if (arg[0] != 'V')
            return sendmail_wrong(m, "unsupported: -X%c", arg[0]);
        m->verp = arg + 1;
        return EX_OK;
    case '?':
        return sendmail_wrong(m, "usage: %s [options]", m->name);
    default: /* A c e h L m O p U x: the world's habits */
        return EX_OK;
    }
}

/* Options that exclude each other, in Postfix's order. */
static int check_together(const struct sendmail *m)
{
    static const char *const modes[] = {
        [SENDMAIL_SMTP] = "stand-alone",
        [SENDMAIL_QUEUE] = "display queue",
        [SENDMAIL_ALIASES] = "alias initialization",
        [SENDMAIL_DAEMON] = "daemon",
        [SENDMAIL_IGNORE] = NULL,
    };

    if (m->extract && m->mode != SENDMAIL_MAIL)
        return sendmail_wrong(m, "-t can be used only in delivery mode");
    if (m->verify && m->extract)
        return sendmail_wrong(m, "-t option cannot be used with -bv");
    if (m->verify && m->notify != 0)
        return sendmail_wrong(m, "-N option cannot be used with -bv");
    if (m->verify && m->ret != DSN_RET_NONE)
        return sendmail_wrong(m, "-R option cannot be used with -bv");
    if (m->verify && m->verbose == 1)
        return sendmail_wrong(m, "-v option cannot be used with -bv");
    if (m->rcpts.n > 0 && modes[m->mode] != NULL)
        return sendmail_wrong(m, "%s mode requires no recipient",
                              m->flush ? "flush queue" : modes[m->mode]);
    return EX_OK;
}

static int read_command(struct sendmail *m, int argc, char **argv)
{
    int c, status = EX_OK;

    if (strcmp(m->name, "mailq") == 0)
        m->mode = SENDMAIL_QUEUE;
    else if (strcmp(m->name, "newaliases") == 0)
        m->mode = SENDMAIL_ALIASES;
    while (status == EX_OK &&
           (c = getopt(argc, argv, "+A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:q::r:tvx")) != -1)
        status = set_option(m, c, optarg);
    for (int i = optind; i < argc; i++)
        *VEC_ADD(&m->rcpts) = argv[i];
    return status == EX_OK ? check_together(m) : status;
}

static int go(struct sendmail *m)
{
    struct why why = WHY;
    int status = EX_OK;

    if (conf_load(m->config_dir, "sendmail", NULL, &why) < 0)
        status = sendmail_wrong(m, "%s", why_text(&why));
    why_free(&why);
    if (status != EX_OK)
        return status;
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
    char *slash = strrchr(argv[0], '/');
    struct sendmail m = {.mem = arena_new(NULL)};

    if (slash != NULL)
        argv[0] = slash + 1; /* as getopt is to name it */
    m.name = argv[0];
    msg_open("postfix/sendmail");
    int status = read_command(&m, argc, argv);
    if (status == EX_OK)
        status = go(&m);
    VEC_FREE(&m.rcpts);
    arena_free(&m.mem);
    return status;
}
