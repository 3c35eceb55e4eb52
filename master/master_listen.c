/*
 * The sockets and fifos of services. They stay open over a reload as long as the service is there,
 * so no client is ever refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "net/addr.h"
#include "net/sock.h"

#include "master.h"

enum { BACKLOG = 4096 }; /* the kernel cuts it to net.core.somaxconn */

/* Nobody has read what the client has asked: a process of the suite knows that, and answers for the
 * service or puts the work off. */
static void refuse_client(int fd)
{
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (client >= 0)
        close(client);
}

static void on_client(struct watch *w)
{
    struct svc *s = w->arg;

    if (status_refuses(s)) {
        refuse_client(w->fd);
        return;
    }
    s->used = true;
    if (status_room(s) > 0)
        spawn_child(s);
    status_balance(s);
}

/* The processes have the same socket as we: none may leave a filter behind that keeps clients out.
 */
static void lock_filter(int fd)
{
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on); /* a fifo has none */
}

static void add_endpoint(struct svc *s, int fd, const char *at)
{
    struct endpoint *e = mem_new(sizeof *e);

    lock_filter(fd);

    e->watch = (struct watch){.fd = fd, .fn = on_client, .arg = s};
    e->at = mem_dupz(at);
    e->kept = true;
    e->datagrams_kept = s->conf.type == SERVICE_UNIX_DGRAM ? sock_datagrams_kept() : 0;
    loop_add(&e->watch);
    *VEC_ADD(&s->endpoints) = e;
}

static void drop_endpoint(struct endpoint *e)
{
    loop_drop(&e->watch);
    close(e->watch.fd);
    free(e->at);
    free(e);
}

static struct endpoint *find_endpoint(struct svc *s, const char *at)
{
    VEC_EACH (&s->endpoints, e)
        if (strcmp((*e)->at, at) == 0)
            return *e;
    return NULL;
}

void listen_drop(struct svc *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->endpoints.n; i++)
        if (s->endpoints.at[i]->kept)
            s->endpoints.at[n++] = s->endpoints.at[i];
        else
            drop_endpoint(s->endpoints.at[i]);
    s->endpoints.n = n;
}

static void take_endpoint(struct svc *to, struct svc *from, struct endpoint *e)
{
    for (size_t i = 0; i < from->endpoints.n; i++)
        if (from->endpoints.at[i] == e)
            from->endpoints.at[i--] = from->endpoints.at[--from->endpoints.n];
    e->watch.arg = to;
    *VEC_ADD(&to->endpoints) = e;
}

static void keep(struct svc *s, const char *at)
{
    struct endpoint *e = find_endpoint(s, at);

    LIST_EACH (&master.services, l) {
        struct svc *other = LIST_OF(l, struct svc, link);
        if (e == NULL && other->conf.type == SERVICE_INET && s->conf.type == SERVICE_INET &&
            (e = find_endpoint(other, at)) != NULL) {
            if (e->kept)
                e = NULL; /* two want it: the second is told so by bind(2) */
            else
                take_endpoint(s, other, e);
        }
    }
    if (e != NULL)
        e->kept = true;
}

static void add_place(struct buf *at, const struct addr *a)
{
    char text[ADDR_TEXT];

    buf_addf(at, a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", addr_text(a, text), a->port);
}

static bool is_wildcard(const struct addr *a)
{
    static const unsigned char none[16];

    return memcmp(a->ip, none, a->family == AF_INET ? 4 : 16) == 0;
}

/* A socket that is no longer wanted stands in the way: that of all addresses in that of one, or the
 * other way round. Its processes may hold it for some moments more; shut, it blocks nobody. */
static bool clear_way(const struct addr *wanted)
{
    bool found = false;

    LIST_EACH (&master.services, l) {
        struct svc *s = LIST_OF(l, struct svc, link);
        VEC_EACH (&s->endpoints, e) {
            struct addr a = {0};
            if ((*e)->kept || !sock_local((*e)->watch.fd, &a))
                continue;
            if (a.family != wanted->family || a.port != wanted->port ||
                (!is_wildcard(&a) && !is_wildcard(wanted)))
                continue;
            found = shutdown((*e)->watch.fd, SHUT_RDWR) == 0 || found;
        }
    }
    return found;
}

/* Have we a socket for all addresses of the port, and this is a single one, or the other way round?
 * They do not exclude each other: the kernel gives a client to the one that fits better. */
static bool share_port(const struct addr *wanted)
{
    bool found = false;

    LIST_EACH (&master.services, l) {
        struct svc *s = LIST_OF(l, struct svc, link);
        VEC_EACH (&s->endpoints, e) {
            struct addr a = {0};
            if (s->conf.type != SERVICE_INET || !sock_local((*e)->watch.fd, &a) ||
                a.family != wanted->family || a.port != wanted->port ||
                is_wildcard(&a) == is_wildcard(wanted))
                continue;
            found = true;
            sock_share_port((*e)->watch.fd);
        }
    }
    return found;
}

static int listen_at(struct svc *s, const struct addr *a, struct why *why)
{
    /* fits: an address and a port; a path is asked for by has_second_path */
    struct buf at = BUF(100);
    int result = 0;

    add_place(&at, a);
    if (find_endpoint(s, at.p) == NULL) {
        int fd = sock_listen(a, BACKLOG, why);
        if (fd < 0 && errno == EADDRINUSE && clear_way(a)) {
            why_clear(why);
            fd = sock_listen(a, BACKLOG, why);
        }
        if (fd < 0 && errno == EADDRINUSE && share_port(a)) {
            why_clear(why);
            fd = sock_listen_shared(a, BACKLOG, why);
        }
        if (fd >= 0)
            add_endpoint(s, fd, at.p);
        else if (interfaces_may_miss(&s->places, a, errno))
            msg_debug("master", "no IPv6 here: %s is left out", at.p);
        else
            result = -1;
    }
    buf_free(&at);
    return result;
}

static int make_fifo(const char *path, mode_t mode, struct why *why)
{
    struct stat st;

    if (mkfifo(path, mode) < 0 && errno != EEXIST)
        return why_errno(why, "4.3.0", "mkfifo");
    /* Both ends, so that it never shows an end when a writer closes. */
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return why_errno(why, "4.3.0", "open");
    if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) || fchmod(fd, mode) < 0) {
        close(fd);
        return why_set(why, "4.3.0", "not a fifo");
    }
    return fd;
}

static int make_datagram_socket(const char *path, mode_t mode, struct why *why)
{
    int on = 1;
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof at.sun_path)
        return why_set(why, "4.3.5", "the name is too long");
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || chmod(path, mode) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0) {
        why_errno(why, "4.3.0", "bind");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static int make_endpoint(const struct svc *s, const char *path, mode_t mode, struct why *why)
{
    if (s->conf.type == SERVICE_FIFO)
        return make_fifo(path, mode & 0622, why);
    if (s->conf.type == SERVICE_UNIX_DGRAM)
        return make_datagram_socket(path, mode, why);
    return sock_listen_unix(path, BACKLOG, mode, why);
}

/* Postlogd has a second socket, which only root may open: by it come the lines of the daemons. */
static bool has_second_path(const struct svc *s, struct buf *path)
{
    if (!services_is_log(s))
        return false;
    buf_addf(path, "private/%s", s->conf.name);
    return buf_ok(path);
}

static int listen_second_path(struct svc *s, const char *path, struct why *why)
{
    int fd = find_endpoint(s, path) == NULL ? make_datagram_socket(path, 0600, why) : -1;

    if (fd >= 0)
        add_endpoint(s, fd, path);
    return fd < 0 && find_endpoint(s, path) == NULL ? -1 : 0;
}

static struct socket_access access_to(const struct svc *s)
{
    struct socket_access a = ids_access(&s->conf);

    if (s->conf.type == SERVICE_FIFO)
        a.mode &= 0622;
    return a;
}

/* It may be of another program now. */
static void allow_kept(const struct svc *s)
{
    struct socket_access a = access_to(s);

    ids_begin_socket(&a);
    if (chmod(s->path, a.mode) < 0)
        msg_warn("chmod %s: %m", s->path);
    ids_end_socket(s->path, &a);
}

static int make_path(const struct svc *s, struct why *why)
{
    struct socket_access a = access_to(s);

    ids_begin_socket(&a);
    int fd = make_endpoint(s, s->path, a.mode, why);
    ids_end_socket(s->path, &a);
    return fd;
}

static int listen_path(struct svc *s, struct why *why)
{
    if (find_endpoint(s, s->path) != NULL) {
        allow_kept(s);
        return 0;
    }
    int fd = make_path(s, why);
    if (fd < 0)
        return -1;
    add_endpoint(s, fd, s->path);
    return 0;
}

static int listen_paths(struct svc *s, struct why *why)
{
    /* asked: by has_second_path */
    struct buf second = BUF(sizeof((struct sockaddr_un *)0)->sun_path);
    int result = listen_path(s, why);

    if (result == 0 && has_second_path(s, &second))
        result = listen_second_path(s, second.p, why);
    buf_free(&second);
    return result;
}

static bool has_path(const struct svc *s)
{
    return s->conf.type == SERVICE_UNIX || s->conf.type == SERVICE_PASS;
}

/* One that has a path stays as it is when it has been shut; one of TCP no longer listens. */
static bool is_shut(const struct svc *s, int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLRDHUP};
    int listens = 1;
    socklen_t len = sizeof listens;

    if (has_path(s))
        return poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLRDHUP)) != 0;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens == 0;
}

/* A new socket in the place of one that was shut. The other processes still have that one, by which
 * nobody comes any more: they finish what they do. */
static int replace_path(struct svc *s, struct endpoint *e)
{
    struct why why = WHY;
    int fd = make_path(s, &why);

    if (fd >= 0) {
        lock_filter(fd);
        loop_drop(&e->watch);
        close(e->watch.fd);
        e->watch.fd = fd;
        loop_add(&e->watch);
        status_drain(s);
    }
    why_free(&why);
    return fd < 0 ? -1 : 0;
}

/* An intruder may have connected it to somebody: it cannot listen before it has been disconnected.
 * It is still bound to its port. */
static int listen_anew(int fd)
{
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

    connect(fd, &nobody, sizeof nobody); /* where it fails, listen says why */
    return listen(fd, BACKLOG);
}

void listen_again(struct svc *s, pid_t ended)
{
    if (s->conf.type != SERVICE_INET && !has_path(s))
        return; /* of datagrams: what shuts sockets has none of these */
    VEC_EACH (&s->endpoints, e) {
        int fd = (*e)->watch.fd;
        if (!is_shut(s, fd))
            continue;
        if ((has_path(s) ? replace_path(s, *e) : listen_anew(fd)) == 0)
            msg_error("%s: process %d has closed the socket for all: it is open again", (*e)->at,
                      (int)ended);
        else
            msg_error("%s: process %d has closed the socket for all, and it cannot listen: %m",
                      (*e)->at, (int)ended);
    }
}

void listen_mark(void)
{
    LIST_EACH (&master.services, l) {
        struct svc *s = LIST_OF(l, struct svc, link);
        VEC_EACH (&s->endpoints, e)
            (*e)->kept = false;
    }
}

int listen_keep(struct svc *s, struct why *why)
{
    /* fits: an address and a port; a path is asked for by has_second_path */
    struct buf at = BUF(100);

    interfaces_free(&s->places);
    if (s->conf.type != SERVICE_INET) {
        keep(s, s->path);
        if (has_second_path(s, &at))
            keep(s, at.p);
    } else if (interfaces_of(s->conf.name, &s->places, why) < 0) {
        interfaces_free(&s->places); /* what it has stays */
        VEC_EACH (&s->endpoints, e)
            (*e)->kept = true;
        return why_in(why, "inet: service %s", s->path);
    }
    VEC_EACH (&s->places.at, a) {
        buf_clear(&at);
        add_place(&at, a);
        keep(s, at.p);
    }
    buf_free(&at);
    return 0;
}

static int listen_inet(struct svc *s, struct why *why)
{
    VEC_EACH (&s->places.at, a)
        if (listen_at(s, a, why) < 0)
            return -1;
    return 0;
}

/* "pickup fifo" was "pickup unix" before, or the other way round: what was left there is no
 * endpoint of this type. Nothing but sockets and fifos is removed. */
static void remove_other_kind(const struct svc *s)
{
    mode_t wanted = s->conf.type == SERVICE_FIFO ? S_IFIFO : S_IFSOCK;
    struct stat st;

    if (s->conf.type == SERVICE_INET || lstat(s->path, &st) < 0)
        return;
    mode_t kind = st.st_mode & S_IFMT;
    if (kind != wanted && (kind == S_IFIFO || kind == S_IFSOCK) && unlink(s->path) < 0)
        msg_warn("remove %s: %m", s->path);
}

int listen_open(struct svc *s, struct why *why)
{
    remove_other_kind(s);
    int result = s->conf.type == SERVICE_INET ? listen_inet(s, why) : listen_paths(s, why);

    interfaces_free(&s->places);
    if (result < 0)
        return why_in(why, "%s: service %s", conf_service_type_name(s->conf.type), s->path);
    return 0;
}

void listen_close(struct svc *s)
{
    VEC_EACH (&s->endpoints, e)
        drop_endpoint(*e);
    s->endpoints.n = 0;
}

void listen_remove(struct svc *s)
{
    if (s->conf.type != SERVICE_INET)
        VEC_EACH (&s->endpoints, e)
            unlink((*e)->at);
    listen_close(s);
}

void listen_attend(struct svc *s, bool attend)
{
    VEC_EACH (&s->endpoints, e)
        (*e)->watch.events = attend ? POLLIN : 0;
}
