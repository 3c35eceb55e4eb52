/*
 * IDLE: what happens is told at once, until DONE. RFC 2177.
 */
#include "base/str.h"
#include "conf/conf.h"

#include "imap.h"

enum { DONE_LINE = 1024 };

/* (waits) True: the client has sent a line, or is gone. */
static bool wait_for_client(struct imap *c, int64_t until)
{
    int64_t next = task_now() + conf.imap_idle_notify_interval * 1000;

    switch (stream_wait(c->client, next < until ? next : until)) {
    case WAIT_WOKEN:
        imap_updates(c, true);
        return false;
    case WAIT_TIMEOUT:
        if (task_now() >= until) {
            stream_fail(c->client, "timed out");
            return true;
        }
        imap_updates(c, true); /* where nobody tells of changes, as on NFS */
        stream_putz(c->client, "* OK Still here\r\n"); /* so that routers keep the connection */
        return false;
    default:
        return true;
    }
}

void cmd_idle(struct imap *c)
{
    struct buf line = BUF(DONE_LINE);
    int64_t until = task_now() + conf.imap_timeout * 1000;

    if (!imap_end(c))
        return;
    if (c->box != NULL)
        mailbox_watch(c->box, task_self());
    stream_putz(c->client, "+ idling\r\n");
    imap_updates(c, true);
    while (!c->logout && !session_draining() && stream_state(c->client) == STREAM_OK &&
           !wait_for_client(c, until))
        ;
    if (c->box != NULL)
        mailbox_watch(c->box, NULL);
    if (!c->logout && !session_draining()) {
        if (stream_line(c->client, &line) != LINE_NONE && str_ieqz(buf_str(&line), "DONE"))
            imap_ok(c, "Idle completed.");
        else
            imap_bad(c, "Expected DONE.");
    }
    buf_free(&line);
}
