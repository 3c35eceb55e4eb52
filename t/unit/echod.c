/*
 * A daemon in one page, as lib/service/service.h describes it; for test_service.c and the
 * end-to-end tests of master. As "echo" it repeats each line of a session; as "ask" it answers
 * requests; as anything it counts wake-ups. Lines: "crash" ends the process, "mkdir" tries what its
 * jail refuses, "pid" tells which process it is. The request "leave" is answered when the process
 * has begun to drain, and leaves some work behind. A file "fail" in the queue directory lets it end
 * at once.
 */
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "ipc/proto.h"
#include "net/peer.h"
#include "net/stream.h"
#include "service/metrics.h"
#include "service/service.h"
#include "task/task.h"

static struct {
    uint64_t *lines, *wakes;
    bool drained, works;
} state;

static void open_early(void)
{
    if (access("fail", F_OK) == 0)
        msg_fatal("told to fail");
}

static void start(void)
{
    state.lines = metrics_counter("lines");
    state.wakes = metrics_counter("wakes");
}

static bool answer_line(struct stream *client, const struct buf *line)
{
    ++*state.lines;
    if (str_eqz(buf_str(line), "quit"))
        return false;
    if (str_eqz(buf_str(line), "crash"))
        raise(SIGKILL);
    if (str_eqz(buf_str(line), "mkdir"))
        stream_putf(client, "%d\r\n", mkdir("/tmp/echod.forbidden", 0700)); /* never returns */
    else if (str_eqz(buf_str(line), "pid"))
        stream_putf(client, "%d %s\r\n", (int)getpid(), service_name());
    else
        stream_putf(client, "%s\r\n", line->p);
    return true;
}

static void session(struct stream *client, const struct peer *peer, struct arena *mem)
{
    struct buf line = BUF(1000);

    (void)mem;
    stream_putf(client, "hello %s\r\n", peer->addr_text);
    while (stream_line(client, &line) != LINE_NONE && answer_line(client, &line))
        ;
    if (stream_state(client) == STREAM_CANCELLED)
        stream_putz(client, "shutting down\r\n");
    buf_free(&line);
}

static void work(void *arg)
{
    enum { WORK_MS = 300 };

    (void)arg;
    msg_info("work: %s", task_sleep(task_now() + WORK_MS) == WAIT_CANCELLED ? "cut off" : "done");
    state.works = false;
}

static void leave_work(void)
{
    while (!state.drained && task_sleep(task_now() + 1) != WAIT_CANCELLED)
        ;
    state.works = true;
    task_start("work", work, NULL);
}

static void drain(void)
{
    state.drained = true;
}

static bool lingers(void)
{
    return state.works;
}

static void request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    struct why why = WHY;

    (void)mem;
    if (strcmp(attrs_get(ask, A_REQUEST), "echo") == 0) {
        attrs_putz(answer, "text", attrs_get(ask, "text"));
        attrs_putn(answer, "pid", getpid());
    } else if (strcmp(attrs_get(ask, A_REQUEST), "leave") == 0) {
        leave_work();
    } else {
        why_set(&why, "5.5.1", "unknown request");
        attrs_put_why(answer, &why);
    }
    why_free(&why);
}

static void wake(char reason)
{
    ++*state.wakes;
    msg_info("woken: %c", reason);
}

int main(int argc, char **argv)
{
    static const struct service echo = {
        .name = "echod", .rights = 0, .start = start, .session = session, .open = open_early};
    static const struct service ask = {.name = "askd",
                                       .rights = 0,
                                       .start = start,
                                       .request = request,
                                       .wake = wake,
                                       .drain = drain,
                                       .lingers = lingers};
    const char *slash = strrchr(argv[0], '/');
    bool asks = strcmp(slash != NULL ? slash + 1 : argv[0], "askd") == 0;

    return service_main(asks ? &ask : &echo, argc, argv);
}
