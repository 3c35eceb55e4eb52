/*
 * The sockets and fifos of services. They stay open over a reload as long as the service is there,
 * so no client is ever refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/addr.h"
#include "net/sock.h"

#include "master.h"

enum { BACKLOG = 4096 }; /* the kernel cuts it to net.core.somaxconn */

static void on_client(struct watch *w)
{
    struct svc *s = w->arg;

    s->used = true;
    if (status_room(s) > 0)
        spawn_child(s);
    status_balance(s);
}

static void add_endpoint(struct svc *s, int fd, const char *at)
{
    struct endpoint *e = mem_new(sizeof *e);

    e->watch = (struct watch){.fd = fd, .fn = on_client, .arg = s};
    e->at = mem_dupz(at);
    e->kept = true;
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

static bool keep(struct svc *s, const char *at)
{
    VEC_EACH (&s->endpoints, e)
        if (strcmp((*e)->at, at) == 0) {
            (*e)->kept = true;
            return true;
        }
    return false;
}

static void drop_unwanted(struct svc *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->endpoints.n; i++)
        if (s->endpoints.at[i]->kept)
            s->endpoints.at[n++] = s->endpoints.at[i];
        else
            drop_endpoint(s->endpoints.at[i]);
    s->endpoints.n = n;
}

static bool uses_family(int family)
{
    const char *name = family == AF_INET ? "ipv4" : "ipv6";
    struct str rest = strz(conf.inet_protocols), word;

    while (str_word(&rest, ", \t\r\n", &word))
        if (str_ieqz(word, "all") || str_ieqz(word, name))
            return true;
    return false;
}

static int listen_at(struct svc *s, const struct addr *a, struct why *why)
{
    char text[ADDR_TEXT];
    struct buf at = BUF(100);
    int result = 0;

    buf_addf(&at, a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", addr_text(a, text), a->port);
    if (!keep(s, at.p)) {
        int fd = sock_listen(a, BACKLOG, why);
        if (fd >= 0)
            add_endpoint(s, fd, at.p);
        else if (errno == EAFNOSUPPORT && uses_family(AF_INET))
            msg_debug("master", "no IPv6 here: %s is left out", at.p); /* "all" */
        else
            result = -1;
    }
    buf_free(&at);
    return result;
}

/* A name of main.cf or master.cf that stands for addresses; this is start-up, so it may block. */
static int listen_at_name(struct svc *s, struct str host, in_port_t port, struct why *why)
{
    struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char *name = mem_dup(host.p, host.n);
    int error = getaddrinfo(name, NULL, &hints, &list);
    int result = error == 0 ? 0 : why_set(why, "4.3.5", "host %s: %s", name, gai_strerror(error));
    size_t tried = 0;

    free(name);
    for (struct addrinfo *i = error == 0 ? list : NULL; i != NULL && result == 0; i = i->ai_next) {
        struct addr a = {0};
        addr_from_sockaddr(&a, i->ai_addr, i->ai_addrlen);
        a.port = port;
        if (!uses_family(a.family))
            continue;
        result = listen_at(s, &a, why);
        tried++;
    }
    if (error == 0)
        freeaddrinfo(list);
    if (result == 0 && tried == 0)
        result = why_set(why, "4.3.5", "host %.*s: no address of the inet_protocols", (int)host.n,
                         host.p);
    return result;
}

static int listen_at_host(struct svc *s, struct str host, in_port_t port, struct why *why)
{
    struct addr a = {0};

    if (!addr_parse(host, &a))
        return listen_at_name(s, host, port, why);
    a.port = port;
    if (!uses_family(a.family))
        return 0;
    return listen_at(s, &a, why);
}

/* "all" and "loopback-only" stand for an address of each family. */
static int listen_at_interface(struct svc *s, struct str word, in_port_t port, struct why *why)
{
    const char *v4 = NULL, *v6 = NULL;

    if (str_ieqz(word, "all"))
        v4 = "0.0.0.0", v6 = "::";
    else if (str_ieqz(word, "loopback-only"))
        v4 = "127.0.0.1", v6 = "::1";
    if (v4 == NULL)
        return listen_at_host(s, word, port, why);
    if (listen_at_host(s, strz(v4), port, why) < 0)
        return -1;
    return listen_at_host(s, strz(v6), port, why);
}

static int port_of(struct str text, in_port_t *port, struct why *why)
{
    char *name;
    struct servent *entry;

    if (port_parse(text, port))
        return 0;
    name = mem_dup(text.p, text.n);
    entry = getservbyname(name, "tcp");
    free(name);
    if (entry == NULL)
        return why_set(why, "4.3.5", "no such port: %.*s", (int)text.n, text.p);
    *port = ntohs((in_port_t)entry->s_port);
    return 0;
}

static int listen_inet(struct svc *s, struct why *why)
{
    struct str name = strz(s->conf.name), rest = strz(conf.inet_interfaces), word;
    struct hostport hp;
    in_port_t port;

    if (name.n > 0 && name.p[0] == ':')
        name = str_from(name, 1);
    if (str_rfind(name, ':') >= 0) {
        if (!hostport_parse(name, &hp))
            return why_set(why, "4.3.5", "host:port is wanted");
        if (port_of(hp.port, &port, why) < 0)
            return -1;
        return listen_at_host(s, hp.host, port, why);
    }
    if (port_of(name, &port, why) < 0)
        return -1;
    while (str_word(&rest, ", \t\r\n", &word))
        if (listen_at_interface(s, word, port, why) < 0)
            return -1;
    return 0;
}

static int make_fifo(const char *path, struct why *why)
{
    struct stat st;

    if (mkfifo(path, 0622) < 0 && errno != EEXIST)
        return why_errno(why, "4.3.0", "mkfifo");
    /* Both ends, so that it never shows an end when a writer closes. */
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return why_errno(why, "4.3.0", "open");
    if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) || fchmod(fd, 0622) < 0) {
        close(fd);
        return why_set(why, "4.3.0", "not a fifo");
    }
    return fd;
}

static int make_datagram_socket(const char *path, struct why *why)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof at.sun_path)
        return why_set(why, "4.3.5", "the name is too long");
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || chmod(path, 0666) < 0) {
        why_errno(why, "4.3.0", "bind");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static int listen_path(struct svc *s, struct why *why)
{
    int fd;

    if (keep(s, s->path))
        return 0;
    if (s->conf.type == SERVICE_FIFO)
        fd = make_fifo(s->path, why);
    else if (s->conf.type == SERVICE_UNIX_DGRAM)
        fd = make_datagram_socket(s->path, why);
    else
        fd = sock_listen_unix(s->path, BACKLOG, 0666, why);
    if (fd < 0)
        return -1;
    add_endpoint(s, fd, s->path);
    return 0;
}

int listen_open(struct svc *s, struct why *why)
{
    VEC_EACH (&s->endpoints, e)
        (*e)->kept = false;
    int result = s->conf.type == SERVICE_INET ? listen_inet(s, why) : listen_path(s, why);
    drop_unwanted(s);
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
    if (s->conf.type != SERVICE_INET && s->endpoints.n > 0)
        unlink(s->path);
    listen_close(s);
}

void listen_attend(struct svc *s, bool attend)
{
    VEC_EACH (&s->endpoints, e)
        (*e)->watch.events = attend ? POLLIN : 0;
}
