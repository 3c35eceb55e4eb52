/*
 * NAME
 *   postdrop - leaves a message in the maildrop directory
 *
 * SYNOPSIS
 *   postdrop [-rv] [-c config_dir]
 *
 * DESCRIPTION
 *   postdrop reads the records of a new message (queue/qrec.h) on standard input, as sendmail
 * writes them, and makes a file of it in the maildrop directory. When the file is on stable storage
 * it wakes pickup and exits with status 0; otherwise it says why on standard output and exits with
 * a status of sysexits.h: EX_TEMPFAIL (75) when another try may help.
 *
 *   -c config_dir   the configuration; a user other than root may only name those that
 *                   alternate_config_directories allows, when postdrop is set-gid
 *   -r              for sendmail: the name of the file in maildrop is printed
 *   -v              accepted
 *
 * SECURITY
 *   postdrop is meant to be set-gid to setgid_group: only that group may write to the maildrop
 *   directory. It takes nothing but -c from its user, checks every record, runs no command.
 *   authorized_submit_users says who may use it, local_login_sender_maps with which senders.
 *
 * SEE ALSO
 *   sendmail(1), pickup(8)
 */
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/match.h"
#include "ipc/trigger.h"
#include "net/stream.h"
#include "queue/qfile.h"
#include "queue/qid.h"
#include "task/task.h"

#include "postdrop_sender.h"
#include "tool_conf.h"

static struct {
    const char *config_dir;
    bool reports; /* -r */
    int status;
} drop;

static int postdrop_fail(int status, const char *text)
{
    printf("%s\n", text);
    return status;
}

/* ---- configuration ---- */

static int load(void)
{
    struct why why = WHY;

    if (tool_conf_load(drop.config_dir, "postdrop", &why) < 0)
        return postdrop_fail(EX_CONFIG, why_text(&why));
    why_free(&why);
    return chdir(conf.queue_directory) < 0
               ? postdrop_fail(EX_TEMPFAIL, "cannot go to the queue directory")
               : EX_OK;
}

static int authorize(void)
{
    struct passwd *pw = getpwuid(getuid());
    struct why why = WHY;

    if (strcmp(conf.authorized_submit_users, "static:anyone") == 0)
        return EX_OK;
    struct match *m = match_open("authorized_submit_users", conf.authorized_submit_users);
    enum dict_answer answer = match_string(m, pw != NULL ? pw->pw_name : "unknown", &why);
    match_close(&m);
    why_free(&why);
    return answer == DICT_FOUND ? EX_OK
           : answer == DICT_FAILED
               ? postdrop_fail(EX_TEMPFAIL, "authorized_submit_users: lookup error")
               : postdrop_fail(EX_NOPERM, "you are not allowed to submit mail");
}

/* ---- the message ---- */

enum part { ENVELOPE, CONTENT, EXTRACTED, COMPLETE, WRONG };

static enum part check_record(enum part part, int type)
{
    static const int envelope[] = {REC_ATTR, REC_FULL, REC_FROM, REC_RCPT, REC_VERP};

    if (part == ENVELOPE) {
        if (type == REC_MESG)
            return CONTENT;
        for (size_t i = 0; i < sizeof envelope / sizeof *envelope; i++)
            if (type == envelope[i])
                return ENVELOPE;
        return WRONG;
    }
    if (part == CONTENT)
        return type == REC_XTRA                       ? EXTRACTED
               : type == REC_NORM || type == REC_CONT ? CONTENT
                                                      : WRONG;
    return type == REC_END ? COMPLETE : WRONG;
}

static int check_sender(struct str sender)
{
    struct why why = WHY;
    struct buf text = BUF_TEXT(1000);
    int status = EX_OK;

    if (postdrop_may_send(sender, &why) < 0) {
        status = why.code[0] == '5' ? EX_NOPERM : EX_TEMPFAIL;
        buf_addz(&text, why_text(&why));
        postdrop_fail(status, text.p);
    }
    buf_free(&text);
    why_free(&why);
    return status;
}

/* All records from in to f. 0, or an exit status. */
static int copy(struct stream *in, struct qfile *f)
{
    enum part part = ENVELOPE;
    int status;
    size_t need = 1;

    while (part < COMPLETE) {
        struct str bytes = stream_peek_n(in, need), body;
        size_t size;
        if (bytes.n < need)
            return postdrop_fail(EX_DATAERR, "the message ended early");
        int type = qrec_take(bytes, &body, &size);
        if (type == QREC_MORE && size <= 65536) {
            need = size;
            continue;
        }
        part = type < 0 || body.n > (size_t)conf.line_length_limit * 2 ? WRONG
                                                                       : check_record(part, type);
        if (part == WRONG)
            return postdrop_fail(EX_DATAERR, "malformed input");
        if (type == REC_FROM && (status = check_sender(body)) != EX_OK)
            return status;
        qfile_put(f, (enum rec)type, body);
        if (conf.message_size_limit > 0 && qfile_tell(f) > conf.message_size_limit)
            return postdrop_fail(EX_UNAVAILABLE, "message file too big");
        stream_skip(in, size);
        need = 1;
    }
    return 0;
}

/* The id is that of the file in maildrop; cleanup will give another one, as in Postfix. */
static void taken(const char *id)
{
    trigger_send("public/pickup", TRIGGER_WAKE, NULL);
    if (drop.reports)
        printf("%s\n", id);
}

static int store(struct stream *in)
{
    struct why why = WHY;
    struct qfile *f = qfile_create(Q_MAILDROP, &why);

    if (f == NULL) {
        postdrop_fail(EX_TEMPFAIL, why_text(&why));
        why_free(&why);
        return EX_TEMPFAIL;
    }
    int64_t now = clock_wall_us();
    qfile_putf(f, REC_TIME, "%" PRId64 " %" PRId64, now / 1000000, now % 1000000);
    int status = copy(in, f);
    char id[QID_MAX + 1];
    snprintf(id, sizeof id, "%s", qfile_id(f));
    if (status != 0)
        qfile_abort(&f);
    else if (qfile_commit(&f, &why) < 0)
        status = postdrop_fail(EX_TEMPFAIL, why_text(&why));
    else
        taken(id);
    why_free(&why);
    return status;
}

static void postdrop_run(void *arg)
{
    struct stream *in = stream_new(STDIN_FILENO);

    (void)arg;
    drop.status = store(in);
    stream_free(&in);
}

int main(int argc, char **argv)
{
    int c;

    msg_open("postfix/postdrop");
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    umask(022);
    while ((c = getopt(argc, argv, "c:rv")) != -1) {
        if (c == 'c')
            drop.config_dir = optarg;
        else if (c == 'r')
            drop.reports = true;
        else if (c == '?')
            return EX_USAGE;
    }
    drop.status = load();
    if (drop.status == EX_OK)
        drop.status = authorize();
    if (drop.status == EX_OK) {
        task_start("postdrop", postdrop_run, NULL);
        task_loop();
    }
    fflush(stdout);
    return drop.status;
}
