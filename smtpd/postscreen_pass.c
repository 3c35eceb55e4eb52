/*
 * A client is passed to smtpd: its socket, and who it is, over private/smtpd. What it has sent so
 * far is still in the socket: postscreen only looks at it (MSG_PEEK).
 */
#include <errno.h>
#include <fcntl.h>

#include "base/msg.h"
#include "conf/conf.h"
#include "ipc/attrs.h"
#include "ipc/channel.h"
#include "ipc/proto.h"
#include "task/task.h"

#include "postscreen.h"

enum { HANDOVER_MS = 100000, PAUSE_MS = 500 }; /* for all attempts; between two */

static int put_client(struct attrs *hand, struct screen *s, struct why *why)
{
    char text[ADDR_TEXT];
    int fd = fcntl(stream_fd(s->stream), F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return why_errno(why, "4.3.0", "copy of a socket");
    attrs_put_fd(hand, fd);
    attrs_putz(hand, A_REQUEST, TRUST_PASS);
    attrs_putz(hand, A_CLIENT_ADDRESS, s->peer.addr_text);
    attrs_putn(hand, A_CLIENT_PORT, s->peer.addr.port);
    attrs_putz(hand, A_SERVER_ADDRESS, addr_text(&s->peer.local, text));
    attrs_putn(hand, A_SERVER_PORT, s->peer.local.port);
    return 0;
}

/* It closes the connection when it has read all; if it has gone before, the kernel says that it has
 * not. */
static bool is_taken(struct stream *to)
{
    return stream_peek(to).n == 0 && stream_state(to) == STREAM_EOF;
}

static bool pass_once(const char *path, const struct attrs *hand, int64_t deadline, struct why *why)
{
    struct stream *to = channel_connect(path, deadline, why);

    if (to == NULL)
        return false;
    stream_set_deadline(to, deadline);
    bool taken = attrs_send(to, hand, why) == 0 && is_taken(to);
    if (!taken && why->code[0] == 0)
        why_set(why, "4.3.0", "%s: %s", path, stream_error(to));
    stream_abort(&to);
    return taken;
}

bool screen_pass(struct screen *s)
{
    struct buf path = BUF(300);
    struct attrs hand = ATTRS(4096); /* fits: two addresses */
    struct why why = WHY;
    int64_t deadline = task_now() + HANDOVER_MS;
    bool taken = false;

    buf_addf(&path, "private/%s", conf.smtpd_service_name);
    if (!buf_ok(&path))
        why_set(&why, "4.3.5", "smtpd_service_name: too long");
    else if (put_client(&hand, s, &why) == 0)
        while (!(taken = pass_once(path.p, &hand, deadline, &why)) && task_now() < deadline) {
            if (task_sleep(task_now() + PAUSE_MS) == WAIT_CANCELLED)
                break;
            why_clear(&why);
        }
    if (!taken)
        msg_warn("cannot pass %s to service %s: %s", s->who, conf.smtpd_service_name,
                 why_text(&why));
    attrs_free(&hand);
    buf_free(&path);
    why_free(&why);
    return taken;
}
