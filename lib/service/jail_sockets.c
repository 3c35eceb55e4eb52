/*
 * Connections to the sockets of the queue and those that the program names, and to no other socket
 * that has a path.
 *
 * A filter sees the pointer that is given to connect(2), and not the path behind it; and Landlock
 * does not know sockets that have a path. So, before the filter is loaded, the addresses are
 * written into memory of their own, which is then read-only. The filter takes connect(2) with
 * pointers into it only, to whole addresses; places without one are spoilt. This memory lies below
 * everything else that the process has. So "no call may change what is mapped below JAIL_LOW_END"
 * is a comparison of one argument, and the addresses stay what they are until the process ends.
 *
 * The paths are relative to the queue directory, which is why no process may change its directory
 * in the jail.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/msg.h"
#include "net/sock.h"
#include "service/jail_parts.h"

static_assert(sizeof(struct sockaddr_un) <= SOCK_KNOWN_STEP, "an address fits into its place");

/* How many there are with it. One whose path is too long is left out: nobody can connect to it. */
static size_t add_socket(char *at, size_t n, const char *dir, const char *name)
{
    struct sockaddr_un *sa = (void *)(at + n * SOCK_KNOWN_STEP);

    if (n == JAIL_SOCKETS_MOST) {
        msg_warn("jail: more than %d sockets: %s is left out", JAIL_SOCKETS_MOST, name);
        return n;
    }
    int len = snprintf(sa->sun_path, sizeof sa->sun_path, "%s%s", dir, name);
    if (len >= (int)sizeof sa->sun_path)
        return n;
    sa->sun_family = AF_UNIX;
    return n + 1;
}

/* Which sockets a service has is known when it starts: master has opened those of all services. */
static size_t add_sockets_of(const char *dir, char *at, size_t n)
{
    DIR *d = opendir(dir);

    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            n = add_socket(at, n, dir, e->d_name);
    if (d != NULL)
        closedir(d);
    else if (errno != ENOENT)
        msg_warn("jail: %s: %m", dir);
    return n;
}

/* What is not an address of a socket must be none at all: zero is AF_UNSPEC, with which connect(2)
 * disconnects a socket, also a listening one of TCP that all processes of the service have. */
static void spoil_rest(char *at, size_t n)
{
    const sa_family_t of_nothing = UINT16_MAX;
    const size_t page = (size_t)getpagesize();
    size_t used = (n * SOCK_KNOWN_STEP + page - 1) / page * page;

    for (size_t i = n; i * SOCK_KNOWN_STEP < used; i++)
        ((struct sockaddr_un *)(void *)(at + i * SOCK_KNOWN_STEP))->sun_family = of_nothing;
    if (mprotect(at, used, PROT_READ) < 0 ||
        mprotect(at + used, JAIL_SOCKETS_SIZE - used, PROT_NONE) < 0)
        msg_fatal("jail: mprotect: %m");
}

void jail_sockets(struct jail_paths *paths, void (*on_new)(const char *path))
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    void *wanted = (void *)(uintptr_t)JAIL_SOCKETS_AT; // NOLINT: chosen by us
    char *at = mmap(wanted, JAIL_SOCKETS_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);

    if (at != wanted)
        msg_fatal("jail: memory at %d: %m", JAIL_SOCKETS_AT);
    size_t n = add_sockets_of("private/", at, 0);
    n = add_sockets_of("public/", at, n);
    VEC_EACH (&paths->sockets, path)
        n = add_socket(at, n, "", *path);
    spoil_rest(at, n);
    sock_only_known(at, n, on_new);
}
