/*
 * NAME
 *   postlogd - writes log lines for those who may not open the log file
 *
 * DESCRIPTION
 *   Daemons open maillog_file themselves before they give up their rights. sendmail, postdrop and
 *   other tools of plain users cannot: they send their lines, with time and name, to
 *   public/postlog, and postlogd appends them. The kernel's backlog of datagrams bounds what they
 *   can have waiting; a line is cut at 2,000 bytes and its control characters become "?".
 *
 * SECURITY
 *   Reads untrusted bytes and does nothing with them but that. It runs as the mail owner, with the
 *   log file open and no file besides.
 */
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "service/service.h"

enum { LINE_LIMIT = 2000 };

static void append(struct str bytes)
{
    struct buf line = BUF(LINE_LIMIT + 1);

    buf_add(&line, str_upto(str_rtrim(bytes), LINE_LIMIT));
    for (size_t i = 0; i < line.n; i++)
        if ((unsigned char)line.p[i] < ' ' || line.p[i] == 127)
            line.p[i] = '?';
    buf_addc(&line, '\n');
    msg_flush(); /* our own lines come before */
    if (msg_fd() >= 0 && file_write_all(msg_fd(), line.p, line.n) < 0)
        msg_warn("write to the log: %m");
    buf_free(&line);
}

/* A datagram holds a line, or several that were written together. */
static void datagram(struct str bytes)
{
    struct str line;

    while (str_split(&bytes, '\n', &line))
        if (line.n > 0)
            append(line);
}

int main(int argc, char **argv)
{
    static const struct service postlogd = {
        .name = "postlogd", .rights = 0, .alone = true, .datagram = datagram};
    return service_main(&postlogd, argc, argv);
}
