/* A child enters each profile and tries what it must not be able to do, and what it must. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/msg.h"
#include "net/sock.h"
#include "service/become.h"
#include "service/jail.h"
#include "service/jail_parts.h"
#include "service/metrics.h"
#include "service/service.h"
#include "task/task.h"

#include "test.h"

static char dir[100], inside[200], outside[200], host_socket[200], named_socket[200];
static int listeners[3], accepting, closed; /* the last two of TCP; closed: has no other side */

enum { DONE = 0, REFUSED = 10, KILLED = 20 }; /* refused: with an error; killed: by the filter */

static int result_of(bool worked)
{
    return worked ? DONE : REFUSED;
}

static int try_read_inside(void)
{
    return result_of(open(inside, O_RDONLY | O_CLOEXEC) >= 0);
}
static int try_read_outside(void)
{
    return result_of(open(outside, O_RDONLY | O_CLOEXEC) >= 0);
}
static int try_read_passwd(void)
{
    return result_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
}
static int try_write_inside(void)
{
    return result_of(open(inside, O_WRONLY | O_CLOEXEC) >= 0);
}
static int try_write_outside(void)
{
    return result_of(open(outside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0);
}

static int try_new_file(void)
{
    struct buf name = BUF(300), other = BUF(300);

    buf_addf(&name, "%s/new", dir);
    buf_addf(&other, "%s/sub/newer", dir);
    int fd = open(name.p, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 &&
                rename(name.p, other.p) == 0 && unlink(other.p) == 0;
    buf_free(&name);
    buf_free(&other);
    return result_of(good);
}

static int try_mkdir(void)
{
    return result_of(mkdir("/tmp/test_jail.forbidden", 0700) == 0);
}
/* A file of its uid, which Landlock does not let it open. */
static int try_mode_by_name(void)
{
    return result_of(chmod(outside, 0666) == 0);
}
static int try_mode_by_name_at(void)
{
    return result_of(fchmodat(AT_FDCWD, outside, 0666, 0) == 0);
}
static int try_times_by_name(void)
{
    struct timespec at[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    return result_of(utimensat(AT_FDCWD, outside, at, 0) == 0);
}
static int try_cut_by_name(void)
{
    return result_of(syscall(SYS_truncate, outside, 0) == 0);
}
static int try_mode_and_times(void)
{
    int fd = open(inside, O_WRONLY | O_CLOEXEC);
    return result_of(fd >= 0 && fchmod(fd, 0666) == 0 && futimens(fd, NULL) == 0);
}
static int try_set_user_id(void)
{
    int fd = open(inside, O_RDONLY | O_CLOEXEC);
    return result_of(fd >= 0 && fchmod(fd, 04755) == 0);
}
static int try_new_set_user_id(void)
{
    struct buf name = BUF(300);

    buf_addf(&name, "%s/sub/new", dir);
    int fd = open(name.p, O_WRONLY | O_CREAT | O_CLOEXEC, 04755);
    if (fd >= 0)
        unlink(name.p);
    buf_free(&name);
    return result_of(fd >= 0);
}
static int try_new_set_group_id(void)
{
    struct buf name = BUF(300);

    buf_addf(&name, "%s/sub/new", dir);
    int fd = (int)syscall(SYS_open, name.p, O_WRONLY | O_CREAT | O_CLOEXEC, 02755);
    if (fd >= 0)
        unlink(name.p);
    buf_free(&name);
    return result_of(fd >= 0);
}
/* One that it may read, as tables are. */
static int try_lock(void)
{
    int fd = open(inside, O_RDONLY | O_CLOEXEC);
    return result_of(fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0);
}
static int try_lock_by_fcntl(void)
{
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int fd = open(inside, O_RDONLY | O_CLOEXEC);
    return result_of(fd >= 0 && fcntl(fd, F_SETLK, &l) == 0);
}
static int try_shut(void)
{
    int pair[2];
    return result_of(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 &&
                     shutdown(pair[0], SHUT_RDWR) == 0);
}
static int try_exec(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return REFUSED;
}
static int try_unix_socket(void)
{
    return result_of(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
}
static int try_unix_datagrams(void)
{
    return result_of(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
}
static int try_queue_socket(void)
{
    return result_of(sock_try_unix("private/known") >= 0);
}

/* One that the program has named. */
static int try_named_socket(void)
{
    return result_of(sock_try_unix(named_socket) >= 0);
}

static int new_sockets;
static void count_new(const char *path)
{
    new_sockets += strcmp(path, "private/later") == 0;
}
static int try_later_socket(void)
{
    char path[] = "private/later";
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool told = sock_try_unix("private/never") < 0 && new_sockets == 0 && sock_try_unix(path) < 0 &&
                errno == EACCES && new_sockets == 1;

    return result_of(fd >= 0 && unlink(path) == 0 && told);
}

static int connect_unix(const struct sockaddr_un *to, size_t size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return result_of(fd >= 0 && connect(fd, (const struct sockaddr *)to, (socklen_t)size) == 0);
}
static int try_host_socket(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    memcpy(to.sun_path, host_socket, strlen(host_socket));
    return connect_unix(&to, sizeof to);
}

/* The address that may be used, and what an intruder would make of it. */
static char *known_address(void)
{
    return (char *)(uintptr_t)JAIL_SOCKETS_AT; // NOLINT: see jail_sockets.c
}
static int try_other_length(void)
{
    return connect_unix((void *)known_address(), offsetof(struct sockaddr_un, sun_path) + 8);
}
static int try_between_addresses(void)
{
    return connect_unix((void *)(known_address() + SOCK_KNOWN_STEP / 2),
                        sizeof(struct sockaddr_un));
}
static int try_write_address(void)
{
    return result_of(mprotect(known_address(), 4096, PROT_READ | PROT_WRITE) == 0);
}
static int try_unmap_address(void)
{
    return result_of(munmap(known_address(), 4096) == 0);
}
static int try_map_address(void)
{
    return result_of(mmap(known_address(), 4096, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
}
static int try_map_from_zero(void)
{
    return result_of(mmap(NULL, JAIL_SOCKETS_END, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
}
static int try_move_memory(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return result_of(mremap(p, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, known_address()) !=
                     MAP_FAILED);
}
static int try_move_address(void)
{
    return result_of(mremap(known_address(), 4096, 8192, MREMAP_MAYMOVE) != MAP_FAILED);
}
static int try_forget_address(void)
{
    return result_of(madvise(known_address(), 4096, MADV_DONTNEED) == 0);
}
static int try_longer_page(void)
{
    return result_of(mremap(metrics_mine(), METRICS_PAGE, 2 * METRICS_PAGE, MREMAP_MAYMOVE) !=
                     MAP_FAILED);
}
static int try_second_page(void) /* 0: the same pages once more */
{
    return result_of(mremap(metrics_mine(), 0, 2 * METRICS_PAGE, MREMAP_MAYMOVE) != MAP_FAILED);
}
static int try_count(void)
{
    return result_of(++*metrics_counter("x") == 1);
}
static int try_own_memory(void)
{
    int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    return result_of(fd >= 0 && pwrite(fd, "x", 1, JAIL_SOCKETS_AT + 3) == 1);
}
static int try_read_into_address(void)
{
    int fd = open(inside, O_RDONLY | O_CLOEXEC);
    return result_of(fd >= 0 && read(fd, known_address(), 1) == 1);
}
static int try_chdir(void)
{
    return result_of(chdir("/tmp") == 0);
}
static int try_fchdir(void)
{
    return result_of(fchdir(0) == 0);
}

static int try_udp(void)
{
    return result_of(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
}
static int try_raw(void)
{
    return result_of(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) >= 0);
}
static int try_packet(void)
{
    return result_of(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0);
}

static int connect_to(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* Nobody listens on either port: what the network says is not what the jail says. */
    return result_of(
        fd >= 0 && (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == ECONNREFUSED));
}
static int try_tcp_port_9(void)
{
    return connect_to(9);
}
static int try_tcp_port_53(void)
{
    return connect_to(53);
}
static int try_multipath_tcp(void)
{
    return result_of(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP) >= 0);
}
static int try_tcp_fast_open(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return result_of(fd >= 0 &&
                     (sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to) == 1 ||
                      errno == ECONNREFUSED));
}
/* By a socket that it has already, as it may get one: its clients', its listening one. */
static struct msghdr to_port_9(struct sockaddr_in *to, struct iovec *part)
{
    *to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(9)};
    to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *part = (struct iovec){.iov_base = dir, .iov_len = 1};
    return (struct msghdr){
        .msg_name = to, .msg_namelen = sizeof *to, .msg_iov = part, .msg_iovlen = 1};
}
static int try_fast_message(void)
{
    struct sockaddr_in to;
    struct iovec part;
    struct msghdr m = to_port_9(&to, &part);
    return result_of(sendmsg(closed, &m, MSG_FASTOPEN | MSG_NOSIGNAL) == 1 ||
                     errno == ECONNREFUSED || errno == EINPROGRESS);
}
static int try_fast_messages(void)
{
    struct sockaddr_in to;
    struct iovec part;
    struct mmsghdr m = {.msg_hdr = to_port_9(&to, &part)};
    return result_of(sendmmsg(closed, &m, 1, MSG_FASTOPEN | MSG_NOSIGNAL) == 1 ||
                     errno == ECONNREFUSED || errno == EINPROGRESS);
}
/* Flags that the filter must see below bits that the kernel does not. */
static int try_fast_message_by_high_bits(void)
{
    struct sockaddr_in to;
    struct iovec part;
    struct msghdr m = to_port_9(&to, &part);
    return result_of(syscall(SYS_sendmsg, closed, &m, 1UL << 40 | MSG_FASTOPEN | MSG_NOSIGNAL) ==
                         1 ||
                     errno == ECONNREFUSED || errno == EINPROGRESS);
}
static int try_fast_send(void)
{
    return result_of(send(closed, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL) == 1 || errno == EINVAL);
}
/* To no place of the page: AF_UNSPEC would disconnect. */
static int try_disconnect(void)
{
    for (int i = 0; i < JAIL_SOCKETS_MOST; i++) {
        const char *at = (const char *)(uintptr_t)(JAIL_SOCKETS_AT + i * SOCK_KNOWN_STEP); // NOLINT
        if (connect(closed, (const void *)at, sizeof(struct sockaddr_un)) == 0)
            return DONE;
    }
    return REFUSED;
}
static int try_listen(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return result_of(listen(fd, 1) == 0);
}
static int try_become_root(void)
{
    return result_of(setresuid(0, 0, 0) == 0);
}
static int try_mount(void)
{
    return result_of(mount("none", "/tmp", "tmpfs", 0, NULL) == 0);
}
static int try_chroot(void)
{
    return result_of(chroot("/tmp") == 0);
}
static int try_kill_parent(void)
{
    return result_of(kill(getppid(), 0) == 0);
}
static int try_executable_memory(void)
{
    return result_of(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}
static int try_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return result_of(pid > 0 && waitpid(pid, NULL, 0) == pid);
}
static int try_sigio_owner(void)
{
    int fds[2];
    return result_of(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0 &&
                     fcntl(fds[0], F_SETOWN, getppid()) == 0);
}
static int try_sigio_signal(void)
{
    return result_of(fcntl(0, F_SETSIG, SIGKILL) == 0);
}
static int try_sigio(void)
{
    return result_of(fcntl(0, F_SETFL, O_ASYNC) == 0);
}
static int try_lease(void)
{
    return result_of(fcntl(0, F_SETLEASE, F_RDLCK) == 0);
}
static int try_nonblocking(void)
{
    int fds[2];
    return result_of(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0 &&
                     fcntl(fds[0], F_SETFL, fcntl(fds[0], F_GETFL) | O_NONBLOCK) == 0 &&
                     fcntl(fds[0], F_DUPFD_CLOEXEC, 0) > fds[0]);
}
/* What stays with a socket that other processes accept by. */
static int try_blocking(void)
{
    return result_of(fcntl(accepting, F_SETFL, 0) == 0);
}
static int try_blocking_by_ioctl(void)
{
    int off = 0;
    return result_of(ioctl(accepting, FIONBIO, &off) == 0);
}
static int set_option(int level, int option, int value)
{
    return result_of(setsockopt(accepting, level, option, &value, sizeof value) == 0);
}
static int try_no_delay(void)
{
    return set_option(IPPROTO_TCP, TCP_NODELAY, 1);
}
static int try_defer_accept(void)
{
    return set_option(IPPROTO_TCP, TCP_DEFER_ACCEPT, 200);
}
static int try_least_hops(void)
{
    return set_option(IPPROTO_IP, IP_MINTTL, 255);
}
static int try_one_device(void)
{
    return result_of(setsockopt(accepting, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0);
}
static int try_socket_filter(void)
{
    struct sock_filter none = {.code = BPF_RET | BPF_K};
    struct sock_fprog program = {1, &none};
    return result_of(
        setsockopt(accepting, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
}
static int try_user_namespace(void)
{
    return result_of(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL) >= 0);
}
static int try_dumpable(void)
{
    return result_of(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}
static int try_no_new_privs(void)
{
    FILE *f = fopen("/proc/self/status", "re"); /* sanitized builds may read it */
    char line[200];
    int seen = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        seen += strcmp(line, "NoNewPrivs:\t1\n") == 0 || strcmp(line, "Seccomp:\t2\n") == 0;
    if (f != NULL)
        fclose(f);
    return result_of(seen == 2);
}

static int synced = -1;
static void sync_task(void *arg)
{
    (void)arg;
    synced = -1;
    int fd = open(inside, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "y", 1) == 1)
        synced = task_fsync(fd);
}
static int try_sync_thread(void)
{
    task_start("sync", sync_task, NULL);
    task_loop();
    return result_of(synced == 0);
}

/* The page before the last of a file. */
static void open_metrics(void)
{
    int fd = memfd_create("metrics", MFD_CLOEXEC);

    if (ftruncate(fd, 3 * METRICS_PAGE) < 0)
        _exit(41);
    metrics_open(fd, 1, "test", "test");
    close(fd);
}

/* In a child, because there is no way out of a jail. */
static int in_jail(unsigned rights, int (*attempt)(void))
{
    int status;

    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct jail j = {
            .name = "test", .rights = rights, .user = "nobody", .on_new_socket = count_new};
        alarm(20);
        msg_to_stderr(false);
        if (chdir(dir) < 0)
            _exit(40);
        open_metrics();
        if ((rights & RIGHT_READ) != 0)
            jail_read(dir);
        if ((rights & RIGHT_WRITE) != 0)
            jail_write((rights & RIGHT_FORK) != 0 ? "/" : dir);
        jail_socket(named_socket);
        jail_enter(&j);
        _exit(attempt());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? KILLED : 1000 + WTERMSIG(status);
    return WEXITSTATUS(status);
}

/* As the queue directory has them, and one elsewhere. */
static void make_sockets(void)
{
    static char known[200];

    snprintf(known, sizeof known, "%s/private/known", dir);
    snprintf(host_socket, sizeof host_socket, "%s/elsewhere", dir);
    snprintf(named_socket, sizeof named_socket, "%s/named", dir);
    listeners[0] = sock_listen_unix(known, SOMAXCONN, 0666, NULL);
    listeners[1] = sock_listen_unix(host_socket, SOMAXCONN, 0666, NULL);
    listeners[2] = sock_listen_unix(named_socket, SOMAXCONN, 0666, NULL);
    struct addr here = {.family = AF_INET, .ip = {127, 0, 0, 1}};
    accepting = sock_listen(&here, SOMAXCONN, NULL);
    closed = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listeners[0] >= 0 && listeners[1] >= 0 && listeners[2] >= 0 && accepting >= 0 &&
                closed >= 0);
}

static void make_files(void)
{
    struct buf sub = BUF(200), private = BUF(200);

    snprintf(dir, sizeof dir, "/tmp/test_jail.%d", (int)getpid());
    snprintf(inside, sizeof inside, "%s/file", dir);
    snprintf(outside, sizeof outside, "%s.outside", dir);
    buf_addf(&sub, "%s/sub", dir);
    umask(0);
    assert_int_equal(mkdir(dir, 0777), 0);
    assert_int_equal(mkdir(sub.p, 0777), 0);
    buf_addf(&private, "%s/private", dir);
    assert_int_equal(mkdir(private.p, 0777), 0);
    buf_free(&private);
    make_sockets();
    assert_true(close(open(inside, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)) == 0);
    assert_true(close(open(outside, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)) == 0);
    if (geteuid() == 0) /* the user in the jail: only the jail is in the way */
        assert_true(chown(inside, 65534, 65534) == 0 && chown(outside, 65534, 65534) == 0);
    buf_free(&sub);
}

static void remove_files(void)
{
    struct buf sub = BUF(200), private = BUF(200), known = BUF(200);

    buf_addf(&sub, "%s/sub", dir);
    buf_addf(&private, "%s/private", dir);
    buf_addf(&known, "%s/known", private.p);
    close(listeners[0]);
    close(listeners[1]);
    close(listeners[2]);
    close(accepting);
    close(closed);
    unlink(known.p);
    unlink(host_socket);
    unlink(named_socket);
    rmdir(private.p);
    buf_free(&private);
    buf_free(&known);
    unlink(inside);
    unlink(outside);
    rmdir(sub.p);
    rmdir(dir);
    buf_free(&sub);
}

static const struct attempt {
    const char *name;
    int (*fn)(void);
    unsigned needs; /* any of these rights makes it work; 0: none does; ~0: always works */
} attempts[] = {
    {"read a file of its paths", try_read_inside, RIGHT_READ | RIGHT_WRITE},
    {"read another file", try_read_outside, 0},
    {"read /etc/passwd", try_read_passwd, 0},
    {"write a file of its paths", try_write_inside, RIGHT_WRITE},
    {"write another file", try_write_outside, 0},
    {"create, sync, rename, remove", try_new_file, RIGHT_WRITE},
    {"make a directory elsewhere", try_mkdir, 0},
    {"sync in a thread", try_sync_thread, RIGHT_WRITE},
    {"mode and times of an open file", try_mode_and_times, RIGHT_WRITE},
    {"lock a file", try_lock, RIGHT_WRITE},
    {"shut a socket", try_shut, RIGHT_SHUT},
    {"lock it by fcntl", try_lock_by_fcntl, RIGHT_WRITE},
    {"the mode of a file by its name", try_mode_by_name, 0},
    {"that by another call", try_mode_by_name_at, 0},
    {"the times of a file by its name", try_times_by_name, RIGHT_TIMES},
    {"cut a file by its name", try_cut_by_name, 0},
    {"make a file run as its owner", try_set_user_id, 0},
    {"a new file that runs as its owner", try_new_set_user_id, 0},
    {"a new file that runs as its group", try_new_set_group_id, 0},
    {"execute", try_exec, 0},
    {"a UNIX socket", try_unix_socket, ~0u},
    {"a UNIX socket for datagrams", try_unix_datagrams, 0},
    {"connect to a socket of the queue", try_queue_socket, ~0u},
    {"connect to a socket that was named", try_named_socket, ~0u},
    {"connect to a socket of the host", try_host_socket, RIGHT_NET | RIGHT_DNS | RIGHT_ROOT},
    {"connect to an address cut short", try_other_length, 0},
    {"connect to the middle of an address", try_between_addresses, 0},
    {"make the addresses writable", try_write_address, 0},
    {"unmap them", try_unmap_address, 0},
    {"map over them", try_map_address, 0},
    {"map over all that is low", try_map_from_zero, 0},
    {"move other memory over them", try_move_memory, 0},
    {"move them", try_move_address, 0},
    {"empty them", try_forget_address, 0},
    {"write to them by /proc", try_own_memory, 0},
    {"have the kernel write to them", try_read_into_address, 0},
    {"count", try_count, ~0u},
    {"another process's page of counters", try_longer_page, 0},
    {"that by a second mapping", try_second_page, 0},
    {"another working directory", try_chdir, 0},
    {"that by a descriptor", try_fchdir, 0},
    {"a datagram socket", try_udp, RIGHT_NET | RIGHT_DNS},
    {"a raw socket", try_raw, 0},
    {"a packet socket", try_packet, 0},
    {"connect to any port", try_tcp_port_9, RIGHT_NET},
    {"multipath TCP", try_multipath_tcp, 0},
    {"connect by sending", try_tcp_fast_open, 0},
    {"connect by a message", try_fast_message, 0},
    {"connect by a message with other flags", try_fast_message_by_high_bits, 0},
    {"connect by messages", try_fast_messages, 0},
    {"send as one who connects so", try_fast_send, 0},
    {"disconnect", try_disconnect, 0},
    {"connect to the resolver", try_tcp_port_53, RIGHT_NET | RIGHT_DNS},
    {"listen", try_listen, 0},
    {"become root", try_become_root, 0},
    {"mount", try_mount, 0},
    {"chroot", try_chroot, 0},
    {"fork", try_fork, RIGHT_FORK},
    {"signal another process", try_kill_parent, 0},
    {"executable memory", try_executable_memory, 0},
    {"have the kernel signal another process", try_sigio_owner, 0},
    {"choose the signal for that", try_sigio_signal, 0},
    {"turn that on", try_sigio, 0},
    {"a lease", try_lease, 0},
    {"flags and copies of descriptors", try_nonblocking, ~0u},
    {"send small packets at once", try_no_delay, ~0u},
    {"make a socket block that others accept by", try_blocking, 0},
    {"that by ioctl", try_blocking_by_ioctl, 0},
    {"have it wait for what clients say", try_defer_accept, 0},
    {"have it take near clients only", try_least_hops, 0},
    {"have it take clients of the host only", try_one_device, 0},
    {"have it take nobody", try_socket_filter, 0},
    {"a user namespace", try_user_namespace, 0},
    {"be traced", try_dumpable, 0},
};

/* What the leak checker needs is open in a sanitized build. */
static bool is_softened(const struct attempt *a)
{
    return (JAIL_SANITIZED || JAIL_COVERAGE[0] != 0) &&
           (a->fn == try_fork || a->fn == try_executable_memory || a->fn == try_kill_parent ||
            a->fn == try_user_namespace || a->fn == try_dumpable || a->fn == try_write_address ||
            a->fn == try_map_address || a->fn == try_map_from_zero ||
            a->fn == try_new_set_user_id || a->fn == try_new_set_group_id ||
            a->fn == try_blocking_by_ioctl);
}

static bool may(const struct attempt *a, unsigned rights)
{
    if (a->needs == ~0u || (a->needs & rights) != 0)
        return true;
    /* Older kernels cannot tell ports apart. */
    return a->fn == try_tcp_port_9 && (rights & RIGHT_DNS) != 0 && jail_landlock_version() < 4;
}

TEST(each_right_opens_what_its_row_says_and_nothing_else)
{
    static const unsigned profiles[] = {
        0,
        RIGHT_NET,
        RIGHT_DNS,
        RIGHT_READ,
        RIGHT_WRITE,
        RIGHT_FORK,
        RIGHT_DNS | RIGHT_READ,
        RIGHT_NET | RIGHT_DNS | RIGHT_WRITE,
        RIGHT_SETUID | RIGHT_READ | RIGHT_WRITE,
        RIGHT_READ | RIGHT_WRITE | RIGHT_TIMES,
        RIGHT_SHUT,
    };

    if (jail_is_valgrind())
        skip(); /* its signals are not the kernel's */
    make_files();
    for (size_t p = 0; p < sizeof profiles / sizeof *profiles; p++)
        for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
            const struct attempt *a = &attempts[i];
            int got = in_jail(profiles[p], a->fn);
            if (is_softened(a) && !may(a, profiles[p]))
                continue;
            if (a->fn == try_listen && got == REFUSED)
                got = KILLED;
            if ((got == DONE) != may(a, profiles[p]))
                fail_msg("rights %u: %s: result %d", profiles[p], a->name, got);
            if (got != DONE && got != REFUSED && got != KILLED)
                fail_msg("rights %u: %s: ended by signal %d", profiles[p], a->name, got - 1000);
        }
    remove_files();
}

/* The service starts again then. */
TEST(a_socket_that_came_later_is_told_of)
{
    if (jail_is_valgrind())
        skip();
    make_files();
    assert_int_equal(in_jail(RIGHT_WRITE, try_later_socket), DONE);
    remove_files();
}

TEST(the_kernel_says_so)
{
    if (!JAIL_SANITIZED)
        skip();
    make_files();
    assert_int_equal(in_jail(0, try_no_new_privs), DONE);
    remove_files();
}

static int try_see_only_one_dir(void)
{
    const char *dirs[] = {dir};
    struct why why = WHY;

    if (become_forever(65534, 65534, dirs, 1, &why) < 0)
        return 30;
    if (try_new_file() != DONE)
        return 31;
    return try_write_outside() == DONE || try_read_passwd() == DONE ? DONE : REFUSED;
}

static int without_jail(int (*attempt)(void))
{
    int status;

    pid_t pid = fork();
    if (pid == 0)
        _exit(attempt());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(who_becomes_a_user_sees_only_his_directory)
{
    if (jail_landlock_version() < 2)
        skip();
    make_files();
    assert_int_equal(without_jail(try_see_only_one_dir), REFUSED);
    remove_files();
}

/* Another directory takes the place of one that was noted before the jail. */
static const char *replaced_in(const char *name, const char *root)
{
    struct jail j = {.name = "test", .rights = RIGHT_READ, .user = "nobody", .root = root};

    msg_to_stderr(false);
    open_metrics();
    if (chdir(dir) < 0)
        _exit(40);
    jail_note(name);
    if (rename("sub", "sub.old") < 0 || mkdir("sub", 0755) < 0)
        _exit(42);
    jail_enter(&j);
    return jail_replaced();
}

static int try_notice(void)
{
    const char *found = replaced_in("sub", NULL);
    return result_of(found != NULL && strcmp(found, "sub") == 0);
}
static int try_nothing_replaced(void)
{
    return result_of(replaced_in("private", NULL) != NULL);
}
/* Here the name leads elsewhere: to what has it in the new root directory. */
static int try_notice_in_chroot(void)
{
    struct buf sub = BUF(300), make = BUF(700);

    buf_addf(&sub, "%s/sub", dir);
    buf_addf(&make, "mkdir -p %s%s", dir, sub.p);
    if (system(make.p) != 0) // NOLINT: of this test
        return 43;
    return result_of(replaced_in(sub.p, dir) != NULL);
}

static int noticed(int (*attempt)(void))
{
    struct buf clean = BUF(700);

    make_files();
    int result = without_jail(attempt);
    buf_addf(&clean, "cd %s && rm -rf sub sub.old tmp && mkdir sub", dir);
    assert_int_equal(system(clean.p), 0); // NOLINT: of this test
    buf_free(&clean);
    remove_files();
    return result;
}

TEST(a_directory_that_was_replaced_is_told_of)
{
    assert_int_equal(noticed(try_notice), DONE);
    assert_int_equal(noticed(try_nothing_replaced), REFUSED);
    if (geteuid() == 0)
        assert_int_equal(noticed(try_notice_in_chroot), REFUSED);
}

/* In a session: a child of a process with RIGHT_FORK that has become a user. */
static int channel[2], log_pair[2];
static int (*in_session)(void);

static int become_session(void)
{
    const char *dirs[] = {dir};
    struct why why = WHY;

    jail_session_channel(channel[0]);
    msg_to_postlogd(log_pair[0]);
    if (become_forever(65534, 65534, dirs, 1, &why) < 0) {
        fprintf(stderr, "%s\n", why_text(&why));
        return 30;
    }
    return in_session();
}

static int fork_session(void)
{
    int status;

    pid_t pid = fork();
    if (pid == 0)
        _exit(become_session());
    if (waitpid(pid, &status, 0) != pid)
        return 31;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? KILLED : 32;
    return WEXITSTATUS(status);
}

static int try_connect(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    return result_of(connect(channel[0], (struct sockaddr *)&to, sizeof to) == 0);
}
static int try_copy(void)
{
    return result_of(dup(0) >= 0);
}
static int try_copy_to(void)
{
    return result_of(dup2(0, channel[0]) >= 0);
}
static int try_copy_by_fcntl(void)
{
    return result_of(fcntl(0, F_DUPFD, 0) >= 0);
}
static int try_copy_of_file(void)
{
    return result_of(fcntl(0, F_DUPFD_CLOEXEC, 0) >= 0);
}
static int try_copy_of_log(void)
{
    close(channel[0]);
    return result_of(fcntl(msg_fd(), F_DUPFD_CLOEXEC, channel[0]) == channel[0]);
}
static int try_copy_of_errors(void)
{
    return result_of(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0) >= 0);
}
static int try_shut_log(void)
{
    return result_of(shutdown(msg_fd(), SHUT_RDWR) == 0);
}
/* The kernel looks at 32 bits of a descriptor. */
static const long high_bit = 1L << 32;
static int try_shut_log_by_high_bits(void)
{
    return result_of(syscall(SYS_shutdown, msg_fd() | high_bit, SHUT_RDWR) == 0);
}
static int try_copy_of_log_by_high_bits(void)
{
    return result_of(syscall(SYS_fcntl, msg_fd() | high_bit, F_DUPFD_CLOEXEC, 0) >= 0);
}
static int try_shut_errors(void)
{
    return result_of(shutdown(STDERR_FILENO, SHUT_RDWR) == 0 || errno == ENOTSOCK);
}
static int try_change_log(void)
{
    int size = 0;
    return result_of(setsockopt(msg_fd(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
}
static int try_shut_channel(void)
{
    return result_of(shutdown(channel[0], SHUT_WR) == 0);
}
static int try_log(void)
{
    msg_info("a line");
    return result_of(send(msg_fd(), "x", 1, MSG_DONTWAIT) == 1);
}
static int try_set_groups(void)
{
    return result_of(setgroups(0, NULL) == 0);
}
static int try_chown(void)
{
    return result_of(chown(inside, 65534, 65534) == 0);
}
static int try_capset(void)
{
    return result_of(syscall(SYS_capset, NULL, NULL) == 0);
}
static int try_kill_by_thread(void)
{
    return result_of(syscall(SYS_tgkill, getppid(), getppid(), 0) == 0);
}
static int try_process_descriptor(void)
{
    return result_of(syscall(SYS_pidfd_open, getppid(), 0) >= 0);
}
static int try_address(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    return result_of(sendto(channel[1], "x", 1, 0, (struct sockaddr *)&to, sizeof to) == 1);
}

static int send_message(int fd)
{
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    return result_of(sendmsg(fd, &m, MSG_DONTWAIT) == 1);
}
static int try_message_elsewhere(void)
{
    return send_message(channel[1]);
}
static int try_message_to_broker(void)
{
    return send_message(channel[0]);
}
static int try_send(void)
{
    return result_of(send(channel[1], "x", 1, MSG_DONTWAIT) == 1);
}
static int try_abort(void)
{
    msg_to_stderr(false);
    signal(SIGABRT, SIG_DFL);
    pid_t self = getpid();
    return result_of(syscall(SYS_tgkill, self, self, 0) == 0);
}

TEST(a_session_may_do_what_it_needs_and_nothing_else)
{
    static const struct {
        const char *name;
        int (*fn)(void);
        int result;
    } rows[] = {
        {"create, sync, rename, remove", try_new_file, DONE},
        {"sync in a thread", try_sync_thread, DONE},
        {"mode and times of an open file", try_mode_and_times, DONE},
        {"the mode of a file by its name", try_mode_by_name, KILLED},
        {"the times of a file by its name", try_times_by_name, KILLED},
        {"cut a file by its name", try_cut_by_name, KILLED},
        {"make a file run as its owner", try_set_user_id, KILLED},
        {"send", try_send, DONE},
        {"a message to the broker", try_message_to_broker, DONE},
        {"signal itself", try_abort, DONE},
        {"read another file", try_read_outside, REFUSED},
        {"signal another process", try_kill_parent, KILLED},
        {"signal another thread", try_kill_by_thread, KILLED},
        {"a descriptor of a process", try_process_descriptor, KILLED},
        {"fork", try_fork, KILLED},
        {"a user namespace", try_user_namespace, KILLED},
        {"be traced", try_dumpable, KILLED},
        {"execute", try_exec, KILLED},
        {"become root", try_become_root, KILLED},
        {"groups", try_set_groups, KILLED},
        {"capabilities", try_capset, KILLED},
        {"give files away", try_chown, KILLED},
        {"a UNIX socket", try_unix_socket, KILLED},
        {"connect", try_connect, KILLED},
        {"copy a descriptor", try_copy, KILLED},
        {"copy it to a place", try_copy_to, KILLED},
        {"copy it by fcntl", try_copy_by_fcntl, KILLED},
        {"copy a file's descriptor", try_copy_of_file, DONE},
        {"log", try_log, DONE},
        {"tell the broker that it ends", try_shut_channel, DONE},
        {"copy the log's into the place of the channel", try_copy_of_log, KILLED},
        {"copy that of standard error", try_copy_of_errors, KILLED},
        {"silence the log of all sessions", try_shut_log, KILLED},
        {"silence it by a large number", try_shut_log_by_high_bits, KILLED},
        {"copy it by a large number", try_copy_of_log_by_high_bits, KILLED},
        {"silence their standard error", try_shut_errors, KILLED},
        {"change the log's socket", try_change_log, KILLED},
        {"send to an address", try_address, KILLED},
        {"a message elsewhere", try_message_elsewhere, KILLED},
    };

    if (jail_is_valgrind())
        skip();
    make_files();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, log_pair), 0);
        in_session = rows[i].fn;
        unsigned rights = RIGHT_SETUID | RIGHT_FORK | RIGHT_READ | RIGHT_WRITE | RIGHT_SHUT;
        int got = in_jail(rights, fork_session);
        if (got != rows[i].result)
            fail_msg("%s: result %d", rows[i].name, got);
        close(channel[0]);
        close(channel[1]);
        close(log_pair[0]);
        close(log_pair[1]);
    }
    remove_files();
}

static int try_what_root_owns(void)
{
    if (geteuid() == 0 || open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0)
        return DONE;
    return result_of(open(outside, O_WRONLY | O_CLOEXEC) >= 0);
}

TEST(what_forks_sessions_can_open_nothing_of_root)
{
    if (geteuid() != 0 || jail_is_valgrind())
        skip();
    make_files();
    assert_int_equal(chmod(outside, 0600), 0);
    assert_int_equal(in_jail(RIGHT_SETUID | RIGHT_FORK | RIGHT_READ | RIGHT_WRITE | RIGHT_SHUT,
                             try_what_root_owns),
                     REFUSED);
    assert_int_equal(
        in_jail(RIGHT_SETUID | RIGHT_FORK | RIGHT_READ | RIGHT_WRITE | RIGHT_SHUT, try_own_memory),
        REFUSED);
    remove_files();
}

static int try_as_user(void)
{
    struct stat st;
    struct why why = WHY;

    if (become_begin(0, 65534, &why) == 0 || become_begin(65534, 0, &why) == 0)
        return 30; /* root is refused */
    if (become_begin(65534, 65534, &why) < 0)
        return 31;
    int fd = open(inside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool shadow = open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0;
    become_end();
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != 65534 || st.st_gid != 65534)
        return 32;
    if (shadow)
        return 33;
    return result_of(open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0);
}

TEST(files_are_made_as_the_user_between_begin_and_end)
{
    if (geteuid() != 0 || jail_is_valgrind())
        skip();
    make_files();
    unlink(inside);
    assert_int_equal(without_jail(try_as_user), DONE);
    remove_files();
}

static int try_user_only(void)
{
    struct why why = WHY;

    if (geteuid() == 0)
        return 34;
    if (become_begin(65533, 65533, &why) < 0)
        return 35;
    become_end();
    return DONE;
}
static int try_files_of_root(void)
{
    setfsuid(0);
    return DONE;
}
/* The kernel takes the lower half of the register only. */
static int try_files_of_root_64(void)
{
    syscall(SYS_setfsuid, 1L << 32);
    return DONE;
}
static int try_another_user(void)
{
    return result_of(setresuid(65534, 65534, 65534) == 0);
}
static int try_another_role(void)
{
    return result_of(setresgid(60614, 60614, 60614) == 0);
}

static long forbidden;
static int try_forbidden(void)
{
    long pid = getppid();
    return result_of(syscall(forbidden, pid, pid, 0, 0, 0, 0) >= 0);
}

/* Several processes have one uid, and older kernels have no Landlock that keeps them apart. */
TEST(no_call_reaches_another_process_of_the_same_user)
{
    static const struct {
        long call;
        bool softened; /* open in a sanitized build */
    } rows[] = {
        {SYS_kill, true},
        {SYS_tkill, true},
        {SYS_rt_sigqueueinfo, false},
        {SYS_rt_tgsigqueueinfo, true},
        {SYS_pidfd_open, false},
        {SYS_pidfd_send_signal, false},
        {SYS_pidfd_getfd, false},
        {SYS_ptrace, true},
        {SYS_process_vm_readv, true},
        {SYS_process_vm_writev, false},
        {SYS_process_madvise, false},
        {SYS_kcmp, false},
        {SYS_perf_event_open, false},
        {SYS_prlimit64, true},
        {SYS_setpriority, false},
        {SYS_ioprio_set, false},
        {SYS_sched_setaffinity, false},
        {SYS_sched_setscheduler, false},
        {SYS_move_pages, false},
        {SYS_migrate_pages, false},
        {SYS_setpgid, false},
        {SYS_timer_create, false},
        {SYS_shmget, false},
        {SYS_semget, false},
        {SYS_msgget, false},
        {SYS_mq_open, false},
        {SYS_keyctl, false},
        {SYS_add_key, false},
        {SYS_request_key, false},
        {SYS_io_uring_setup, false},
        {SYS_userfaultfd, false},
        {SYS_bpf, false},
        {SYS_setns, false},
        {SYS_unshare, false},
        {SYS_open_by_handle_at, false},
        {SYS_fanotify_init, false},
    };
    static const unsigned profiles[] = {
        0,
        RIGHT_NET | RIGHT_DNS | RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC,
        RIGHT_SETUID | RIGHT_ROOT | RIGHT_EXEC | RIGHT_READ | RIGHT_WRITE,
        RIGHT_SETUID | RIGHT_FORK | RIGHT_READ | RIGHT_WRITE | RIGHT_SHUT,
    };
    bool soft = JAIL_SANITIZED || JAIL_COVERAGE[0] != 0;

    if (jail_is_valgrind())
        skip();
    make_files();
    for (size_t p = 0; p < sizeof profiles / sizeof *profiles; p++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            if (soft && rows[i].softened)
                continue;
            forbidden = rows[i].call;
            int got = in_jail(profiles[p], try_forbidden);
            if (got != KILLED && !(got == REFUSED && forbidden == SYS_io_uring_setup))
                fail_msg("rights %u, call %ld: result %d", profiles[p], forbidden, got);
        }
    remove_files();
}

/* Other ids than those for files would be another process's, for its neighbours. */
TEST(what_acts_as_other_users_is_neither_root_nor_somebody_else)
{
    static const struct {
        int (*fn)(void);
        unsigned rights;
        int result;
    } rows[] = {
        {try_user_only, 0, DONE},
        {try_what_root_owns, 0, REFUSED},
        {try_files_of_root, 0, KILLED},
        {try_files_of_root_64, 0, KILLED},
        {try_become_root, 0, KILLED},
        {try_another_user, 0, KILLED},
        {try_another_role, 0, KILLED},
        {try_another_user, RIGHT_ROOT, KILLED},
        {try_another_role, RIGHT_ROOT, KILLED},
    };

    if (geteuid() != 0 || jail_is_valgrind())
        skip();
    make_files();
    assert_int_equal(chmod(outside, 0600), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int got = in_jail(RIGHT_SETUID | RIGHT_READ | RIGHT_WRITE | rows[i].rights, rows[i].fn);
        if (got != rows[i].result)
            fail_msg("row %zu: result %d", i, got);
    }
    remove_files();
}

RUN_TESTS(T(each_right_opens_what_its_row_says_and_nothing_else), T(the_kernel_says_so),
          T(a_socket_that_came_later_is_told_of), T(a_directory_that_was_replaced_is_told_of),
          T(who_becomes_a_user_sees_only_his_directory),
          T(a_session_may_do_what_it_needs_and_nothing_else),
          T(what_forks_sessions_can_open_nothing_of_root),
          T(files_are_made_as_the_user_between_begin_and_end),
          T(no_call_reaches_another_process_of_the_same_user),
          T(what_acts_as_other_users_is_neither_root_nor_somebody_else))
