/* jail_parts.h - between jail.c, jail_landlock.c and jail_seccomp.c */
#ifndef SERVICE_JAIL_PARTS_H
#define SERVICE_JAIL_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/vec.h"
#include "net/sock.h"

/* One path that stays reachable, opened before the chroot. */
struct jail_path {
    int fd; /* O_PATH */
    bool may_write, is_dir;
};
struct jail_paths {
    VEC(struct jail_path) at;
    VEC(int) ports;
    VEC(char *) sockets; /* beside those of the queue */
};

bool jail_path_open(const char *path, bool may_write, struct jail_path *out); /* false: errno */
/* Nothing but these paths and ports from now on. any_port: TCP is not restricted. 0, or -1 and
 * errno; a kernel without Landlock: 0. */
int jail_landlock(const struct jail_paths *paths, bool any_port);

/*
 * Below all other memory, where no call in a jail changes what is mapped: the addresses of sockets
 * that most processes may connect to, and no others (jail_sockets.c), the process's page of
 * counters (metrics.c), and its part of the memory with the clients of its service
 * (client_count.c).
 */
enum {
    JAIL_SOCKETS_AT = 0x20000, /* vm.mmap_min_addr is 0x10000, as a rule */
    JAIL_SOCKETS_SIZE = 0x20000, /* a power of two, at a multiple of itself */
    JAIL_SOCKETS_END = JAIL_SOCKETS_AT + JAIL_SOCKETS_SIZE,
    JAIL_SOCKETS_MOST = JAIL_SOCKETS_SIZE / SOCK_KNOWN_STEP,
    JAIL_METRICS_AT = JAIL_SOCKETS_END,
    JAIL_CLIENTS_AT = JAIL_METRICS_AT + 0x10000,
    JAIL_LOW_END = JAIL_CLIENTS_AT + 0x90000,
};
enum { JAIL_ANY_SOCKET = 1 << 30 }; /* beside the rights: jail.any_socket */
bool jail_knows_sockets(unsigned rights); /* with these rights: connects to those only */
/* In the queue directory: those in private/ and public/, and of paths, from now on; on_new: see
 * sock_only_known. Ends the process when it fails. */
void jail_sockets(struct jail_paths *paths, void (*on_new)(const char *path));

/* The allow-list of the rights. Ends the process when it fails. */
void jail_seccomp(unsigned rights);

/* jail_session.c: the second filter, from the process that forks sessions to their own start. These
 * numbers stand in it for what only the child knows: its pid, its descriptors of the broker and of
 * the log. */
enum { JAIL_PID = 0x5e551011, JAIL_CHANNEL = 0x5e551022, JAIL_LOG = 0x5e551033 };
void jail_session_take(int fd); /* a file of the compiled filter; ends the process when it fails */

/* A debug build needs more: leak detection reads /proc and stops threads by ptrace. */
#if defined(__SANITIZE_ADDRESS__)
enum { JAIL_SANITIZED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { JAIL_SANITIZED = 1 };
#else
enum { JAIL_SANITIZED = 0 };
#endif
#else
enum { JAIL_SANITIZED = 0 };
#endif
bool jail_is_valgrind(void);
void jail_catch_refusals(void); /* the handler of SIGSYS */

/* A coverage build writes its counts when a process ends; this is where. */
#if defined(POMBAL_COVERAGE)
#define JAIL_COVERAGE POMBAL_COVERAGE
#else
#define JAIL_COVERAGE ""
#endif

#endif
