#include "maildrop.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"

enum { WRITE_AT = 32 * 1024, RECORD_MOST = 1 << 20 };

struct maildrop {
    pid_t pid;
    int to, from;
    struct buf records;
    bool broken; /* postdrop does not read any more */
};

static void run_postdrop(int in, int out)
{
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(4096);

    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
        close(fd);
    signal(SIGPIPE, SIG_DFL);
    buf_addf(&path, "%s/postdrop", conf.command_directory);
    execl(path.p, "postdrop", "-r", "-c", conf_dir(), (char *)NULL);
    dprintf(STDOUT_FILENO, "%s: %s\n", path.p, strerror(errno));
    _exit(EX_TEMPFAIL);
}

struct maildrop *maildrop_begin(void)
{
    struct maildrop *d = mem_new(sizeof *d);
    int in[2], out[2];

    d->records = BUF(WRITE_AT + RECORD_MOST);
    d->to = d->from = -1;
    d->pid = -1;
    if (pipe(in) < 0)
        return d;
    if (pipe(out) == 0) {
        d->pid = fork();
        if (d->pid == 0)
            run_postdrop(in[0], out[1]);
        close(out[1]);
        d->from = out[0];
    }
    close(in[0]);
    d->to = in[1];
    signal(SIGPIPE, SIG_IGN);
    return d;
}

static void write_out(struct maildrop *d)
{
    if (!d->broken && (d->pid < 0 || file_write_all(d->to, d->records.p, d->records.n) < 0))
        d->broken = true;
    buf_clear(&d->records);
}

void maildrop_put(struct maildrop *d, enum rec type, struct str body)
{
    qrec_put(&d->records, (int)type, body);
    if (!buf_ok(&d->records))
        d->broken = true; /* a record that postdrop would not take either */
    if (d->records.n >= WRITE_AT)
        write_out(d);
}

void maildrop_line(struct maildrop *d, struct str line)
{
    enum { LINE_MOST = 32 * 1024 }; /* postdrop and pickup take no longer record */
    size_t most = (size_t)(conf.line_length_limit < LINE_MOST ? conf.line_length_limit : LINE_MOST);

    for (; line.n > most; line = str_from(line, most))
        maildrop_put(d, REC_CONT, str_upto(line, most));
    maildrop_put(d, REC_NORM, line);
}

static int finish(struct maildrop **dp, struct buf *text)
{
    struct maildrop *d = *dp;
    int status = EX_OSERR << 8;

    if (d->to >= 0)
        close(d->to);
    if (d->from >= 0) {
        if (file_read_fd(d->from, text) < 0)
            d->broken = true;
        close(d->from);
    }
    while (d->pid > 0 && waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
        ;
    status = d->pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EX_TEMPFAIL;
    if (status == EX_OK && d->broken)
        status = EX_TEMPFAIL;
    while (text->n > 0 && text->p[text->n - 1] == '\n')
        buf_cut(text, text->n - 1);
    buf_free(&d->records);
    free(d);
    *dp = NULL;
    return status;
}

int maildrop_commit(struct maildrop **d, struct buf *text)
{
    maildrop_put(*d, REC_XTRA, STR(""));
    maildrop_put(*d, REC_END, STR(""));
    write_out(*d);
    int status = finish(d, text);
    if (status != EX_OK && text->n == 0)
        buf_addz(text, "queue file write error");
    return status;
}

void maildrop_abort(struct maildrop **d)
{
    struct buf text = BUF_TEXT(4096);

    if (*d != NULL)
        finish(d, &text); /* without its REC_END the message is not one */
    buf_free(&text);
}
