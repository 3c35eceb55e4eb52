#include "net/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "net/peer.h"
#include "task/task.h"

enum { FLAGS = SOCK_CLOEXEC | SOCK_NONBLOCK };

/* sock_only_known */
static struct {
    bool only;
    const char *at;
    size_t n;
    void (*on_new)(const char *path);
} known;

static void set_on(int fd, int level, int option)
{
    int on = 1;

    setsockopt(fd, level, option, &on, sizeof on);
}

void sock_share_port(int fd)
{
    set_on(fd, SOL_SOCKET, SO_REUSEPORT);
}

/* Closes a socket that came to nothing. */
static int give_up(int fd, struct why *why, const char *what, const struct addr *a)
{
    char text[ADDR_TEXT];
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
    return why_errno(why, "4.3.0", "%s %s port %u", what, addr_text(a, text), a->port);
}

static int bound_socket(const struct addr *at, int type, bool shared, struct why *why)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(at, &sa);
    int fd = socket(at->family, type | FLAGS, 0);

    if (fd < 0)
        return give_up(fd, why, "socket for", at);
    set_on(fd, SOL_SOCKET, SO_REUSEADDR);
    if (shared)
        sock_share_port(fd);
    if (at->family == AF_INET6)
        set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (bind(fd, (struct sockaddr *)&sa, len) < 0)
        return give_up(fd, why, "bind", at);
    return fd;
}

static int listening(const struct addr *at, int backlog, bool shared, struct why *why)
{
    int fd = bound_socket(at, SOCK_STREAM, shared, why);

    if (fd < 0)
        return -1;
    set_on(fd, IPPROTO_TCP, TCP_NODELAY); /* Linux: clients inherit it */
    if (listen(fd, backlog) < 0)
        return give_up(fd, why, "listen", at);
    return fd;
}

int sock_listen(const struct addr *at, int backlog, struct why *why)
{
    return listening(at, backlog, false, why);
}

int sock_listen_shared(const struct addr *at, int backlog, struct why *why)
{
    return listening(at, backlog, true, why);
}

int sock_datagrams_kept(void)
{
    enum { OF_KERNEL = 10, MOST = 1000000 };
    struct buf text = BUF(32); /* asked: by file_read */
    struct why why = WHY;
    uint32_t kept = OF_KERNEL;

    if (file_read("/proc/sys/net/unix/max_dgram_qlen", &text, &why) == 0)
        num_parse_u32(str_rtrim(buf_str(&text)), 1, UINT32_MAX, &kept);
    why_free(&why);
    buf_free(&text);
    return (int)(kept < MOST ? kept : MOST);
}

int sock_datagram(const struct addr *at, struct why *why)
{
    return bound_socket(at, SOCK_DGRAM, false, why);
}

static int unix_address(const char *path, struct sockaddr_un *sa, struct why *why)
{
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (*path == '\0' || strlen(path) >= sizeof sa->sun_path)
        return why_set(why, "4.3.5", "no name for a socket, or too long: %s", path);
    memcpy(sa->sun_path, path, strlen(path));
    return 0;
}

int sock_listen_unix(const char *path, int backlog, unsigned mode, struct why *why)
{
    struct sockaddr_un sa;
    int fd;

    if (unix_address(path, &sa, why) < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | FLAGS, 0);
    if (fd < 0)
        return why_errno(why, "4.3.0", "socket for %s", path);
    unlink(path);
    /* By the umask: a chmod after it could hit what somebody has put there meanwhile. */
    mode_t before = umask(0777 & ~mode);
    int bound = bind(fd, (struct sockaddr *)&sa, sizeof sa);
    umask(before);
    if (bound < 0 || listen(fd, backlog) < 0) {
        why_errno(why, "4.3.0", "listen on %s", path);
        close(fd);
        return -1;
    }
    return fd;
}

/* Waits for a connection under way. -1 and errno. */
static int await(int fd, int64_t deadline)
{
    int error = 0;
    socklen_t len = sizeof error;

    switch (task_wait_fd(fd, POLLOUT, deadline)) {
    case WAIT_TIMEOUT:
        error = ETIMEDOUT;
        break;
    case WAIT_CANCELLED:
        error = ECANCELED;
        break;
    default:
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
            error = errno;
    }
    errno = error;
    return error == 0 ? 0 : -1;
}

/* Of a client, with that local address; *fd may be open also where this fails, with errno. */
static bool bind_client(int *fd, int family, const struct addr *from)
{
    struct sockaddr_storage sa;

    *fd = socket(family, SOCK_STREAM | FLAGS, 0);
    if (*fd < 0 || from == NULL || from->family != family)
        return *fd >= 0;
    socklen_t len = addr_to_sockaddr(from, &sa);
    return bind(*fd, (struct sockaddr *)&sa, len) == 0;
}

static int connect_to(const struct addr *to, const struct addr *from, int64_t deadline)
{
    struct sockaddr_storage sa;
    socklen_t len;
    int fd;
    bool ok = bind_client(&fd, to->family, from);

    if (ok) {
        set_on(fd, IPPROTO_TCP, TCP_NODELAY);
        len = addr_to_sockaddr(to, &sa);
        ok = connect(fd, (struct sockaddr *)&sa, len) == 0 ||
             (errno == EINPROGRESS && await(fd, deadline) == 0);
    }
    if (!ok) {
        task_close(fd);
        return -1;
    }
    return fd;
}

bool sock_can_bind(const struct addr *at, struct why *why)
{
    int fd;
    bool can = bind_client(&fd, at->family, at);

    if (!can)
        give_up(fd, why, "bind", at);
    else
        close(fd);
    return can;
}

int sock_connect(const struct addr *to, const struct addr *from, int64_t deadline, struct why *why)
{
    int fd = connect_to(to, from, deadline);

    if (fd < 0)
        why_set(why, "4.4.1", "%s", strerrordesc_np(errno));
    return fd;
}

void sock_only_known(const char *addresses, size_t n, void (*on_new)(const char *path))
{
    known.only = true;
    known.at = addresses;
    known.n = n;
    known.on_new = on_new;
}

/* The address that the jail lets connect(2) have; null and errno: none. */
static const struct sockaddr_un *find_known(const char *path)
{
    for (size_t i = 0; i < known.n; i++) {
        const struct sockaddr_un *sa = (const void *)(known.at + i * SOCK_KNOWN_STEP);
        if (strcmp(sa->sun_path, path) == 0)
            return sa;
    }
    struct stat st;
    if (known.on_new != NULL && stat(path, &st) == 0)
        known.on_new(path);
    errno = EACCES;
    return NULL;
}

int sock_try_unix(const char *path)
{
    struct sockaddr_un own;
    const struct sockaddr_un *sa = &own;

    if (unix_address(path, &own, NULL) < 0) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (known.only && (sa = find_known(path)) == NULL)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | FLAGS, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)sa, sizeof *sa) < 0) {
        task_close(fd); /* keeps errno */
        return -1;
    }
    return fd;
}

int sock_connect_unix(const char *path, int64_t deadline, struct why *why)
{
    enum { RETRY_MS = 20 };
    struct sockaddr_un sa;
    int fd;

    if (unix_address(path, &sa, why) < 0)
        return -1;
    while ((fd = sock_try_unix(path)) < 0) {
        bool full = errno == EAGAIN;
        if (full && (deadline == 0 || task_now() < deadline) &&
            task_sleep(task_now() + RETRY_MS) == WAIT_TIMEOUT)
            continue;
        if (full)
            errno = ETIMEDOUT;
        return why_errno(why, "4.3.0", "connect to %s", path);
    }
    return fd;
}

int sock_accept(int listener, struct peer *to)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    int fd = accept4(listener, (struct sockaddr *)&sa, &len, FLAGS);
    struct addr from, at = {0};

    if (fd >= 0 && to != NULL) {
        addr_from_sockaddr(&from, (struct sockaddr *)&sa, len);
        if (from.family != AF_UNIX)
            sock_local(fd, &at);
        peer_set(to, &from, &at);
    }
    return fd;
}

int sock_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | FLAGS, 0, fds);
}

int sock_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void sock_ack_now(int fd)
{
    set_on(fd, IPPROTO_TCP, TCP_QUICKACK);
}

bool sock_local(int fd, struct addr *a)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;

    *a = (struct addr){0};
    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
        return false;
    addr_from_sockaddr(a, (struct sockaddr *)&sa, len);
    return true;
}

bool sock_remote(int fd, struct addr *a)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;

    *a = (struct addr){0};
    if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0)
        return false;
    addr_from_sockaddr(a, (struct sockaddr *)&sa, len);
    return true;
}
