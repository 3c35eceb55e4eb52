/* unix_server.h - a UNIX socket that a test serves with a task for each connection */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "task/task.h"

#include "test.h"

struct unix_server {
    char path[64];
    int listener;
    task_fn *serve; /* arg: the descriptor */
};

static void unix_server_accept(void *arg)
{
    struct unix_server *u = arg;

    while (task_wait_fd(u->listener, POLLIN, 0) == WAIT_READY) {
        int fd = accept4(u->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            task_start("serve", u->serve, (void *)(intptr_t)fd);
    }
    task_close(u->listener);
}

/* It listens until the task is cancelled. */
static struct task *unix_server_start(struct unix_server *u, const char *name, task_fn *serve)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    u->serve = serve;
    snprintf(u->path, sizeof u->path, "/tmp/%s.%d", name, (int)getpid());
    snprintf(at.sun_path, sizeof at.sun_path, "%s", u->path);
    unlink(u->path);
    u->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(u->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(u->listener, 20), 0);
    return task_start("accept", unix_server_accept, u);
}
