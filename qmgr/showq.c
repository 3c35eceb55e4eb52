/*
 * NAME
 *   showq - lists the queue
 *
 * DESCRIPTION
 *   Whoever connects gets the list of all messages in the queue, and the connection is closed.
 *   postqueue(1) prints it; so do other programs, therefore it is in Postfix's form.
 *
 * SECURITY
 *   It reads queue files and the logs of deferred mail. It reads nothing from its client.
 *
 * FILES
 *   maildrop, active, incoming, deferred, hold, defer
 *
 * SEE ALSO
 *   postqueue(1), qmgr(8)
 */
#include "base/str.h"
#include "conf/conf.h"
#include "net/stream.h"
#include "queue/listing.h"
#include "service/jail.h"
#include "service/service.h"

static bool emit(void *arg, struct str list)
{
    struct stream *client = arg;

    stream_put(client, list);
    return stream_state(client) == STREAM_OK;
}

static void session(struct stream *client, const struct peer *peer, struct arena *mem)
{
    (void)peer;
    (void)mem;
    stream_set_idle(client, conf.ipc_timeout * 1000);
    /* What cannot be seen must not look like an empty queue: the client hears an error. */
    if (service_look_at_dirs())
        return;
    listing_walk(emit, client);
}

static void showq_paths(void)
{
    for (enum queue q = Q_MAILDROP; q <= Q_HOLD; q++)
        jail_read_queue(queue_name(q));
    jail_read(queue_name(Q_DEFER)); /* only tells why */
    jail_note(queue_name(Q_DEFER));
}

int main(int argc, char **argv)
{
    static const struct service showq = {
        .name = "showq",
        .in_queue = true,
        .rights = RIGHT_READ,
        .paths = showq_paths,
        .session = session,
    };
    return service_main(&showq, argc, argv);
}
