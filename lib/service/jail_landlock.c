/*
 * Landlock by raw system calls: Debian 12's headers and libc know only its first versions. What
 * each version of the interface added is in the table; what the kernel does not know is left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/msg.h"
#include "service/jail.h"
#include "service/jail_parts.h"

/* include/uapi/linux/landlock.h */
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_CHAR = 1 << 6,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_MAKE_FIFO = 1 << 10,
    FS_MAKE_BLOCK = 1 << 11,
    FS_MAKE_SYM = 1 << 12,
    FS_REFER = 1 << 13,
    FS_TRUNCATE = 1 << 14,
    FS_IOCTL_DEV = 1 << 15,
};
enum { NET_BIND_TCP = 1 << 0, NET_CONNECT_TCP = 1 << 1 };
enum { SCOPE_ABSTRACT_SOCKET = 1 << 0, SCOPE_SIGNAL = 1 << 1 };
enum { RULE_PATH = 1, RULE_PORT = 2 };

struct ruleset {
    uint64_t fs, net, scoped;
};
struct path_rule {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));
struct port_rule {
    uint64_t allowed, port;
};

/* Known from this version of the interface on. Version 7 adds only what is logged. */
static const struct {
    int version;
    struct ruleset adds;
    size_t size; /* of struct ruleset as that kernel takes it */
} versions[] = {
    {1, {FS_REFER - 1, 0, 0}, 8},  {2, {FS_REFER, 0, 0}, 8},
    {3, {FS_TRUNCATE, 0, 0}, 8},   {4, {0, NET_BIND_TCP | NET_CONNECT_TCP, 0}, 16},
    {5, {FS_IOCTL_DEV, 0, 0}, 16}, {6, {0, 0, SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL}, 24},
};

static const uint64_t reading = FS_READ_FILE | FS_READ_DIR;
static const uint64_t writing = FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_REMOVE_DIR |
                                FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SYM |
                                FS_REFER | FS_TRUNCATE;
static const uint64_t of_files = FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE | FS_EXECUTE;

int jail_landlock_version(void)
{
    enum { ASK_VERSION = 1 };
    long v = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, ASK_VERSION);
    return v < 0 ? 0 : (int)v;
}

bool jail_path_open(const char *path, bool may_write, struct jail_path *out)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    *out = (struct jail_path){fd, may_write, S_ISDIR(st.st_mode)};
    return true;
}

static int add_path(int rules, const struct jail_path *p, uint64_t known)
{
    struct path_rule rule = {(p->may_write ? writing : reading) & known, p->fd};

    if (!p->is_dir)
        rule.allowed &= of_files;
    return (int)syscall(SYS_landlock_add_rule, rules, RULE_PATH, &rule, 0);
}

static int add_port(int rules, int port)
{
    struct port_rule rule = {NET_CONNECT_TCP, (uint64_t)port};
    return (int)syscall(SYS_landlock_add_rule, rules, RULE_PORT, &rule, 0);
}

static int add_rules(int rules, const struct jail_paths *paths, const struct ruleset *handled)
{
    for (size_t i = 0; i < paths->at.n; i++)
        if (add_path(rules, &paths->at.at[i], handled->fs) < 0)
            return -1;
    for (size_t i = 0; handled->net != 0 && i < paths->ports.n; i++)
        if (add_port(rules, paths->ports.at[i]) < 0)
            return -1;
    return 0;
}

int jail_landlock(const struct jail_paths *paths, bool any_port)
{
    struct ruleset handled = {0};
    size_t size = 0;
    int version = jail_landlock_version();

    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        if (version >= versions[i].version) {
            handled.fs |= versions[i].adds.fs;
            handled.net |= versions[i].adds.net;
            handled.scoped |= versions[i].adds.scoped;
            size = versions[i].size;
        }
    /* The first version forbids every rename between directories, which a queue is made of. */
    if (version < 2)
        return 0;
    if (any_port)
        handled.net = 0;
    int rules = (int)syscall(SYS_landlock_create_ruleset, &handled, size, 0);
    if (rules < 0)
        return -1;
    int result = add_rules(rules, paths, &handled);
    if (result == 0)
        result = (int)syscall(SYS_landlock_restrict_self, rules, 0);
    int saved = errno;
    close(rules);
    errno = saved;
    return result;
}
