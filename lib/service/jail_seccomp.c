/*
 * The system calls of each right, as an allow-list. A call that is not in it is logged by name and
 * ends the process. The tables are the documentation: which right opens what, and why.
 *
 * Arguments are looked at where the call alone says too little: memory is never made executable,
 * only UNIX sockets without RIGHT_NET or RIGHT_DNS, connected to those of the queue only
 * (jail_sockets.c), no thread but those that task_fsync needs, no namespace with a child, no file
 * opened for writing without RIGHT_WRITE, no mode or time of a file changed by its name, no signal
 * to another process, of fcntl no command that has the kernel send signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/msg.h"
#include "service/jail_parts.h"
#include "service/service.h"

enum {
    ALWAYS = 0, /* every process */
    FILES = RIGHT_READ | RIGHT_WRITE,
    INET = RIGHT_NET | RIGHT_DNS,
    CONNECTS = INET | RIGHT_ROOT |
               JAIL_ANY_SOCKET, /* to any address; local asks the name services of the host */
};

/* Allowed when the process has any of the rights. */
struct rule {
    unsigned rights;
    int call; /* or command of fcntl */
};
#define C(rights, name)                                                                            \
    {                                                                                              \
        rights, SCMP_SYS(name)                                                                     \
    }

static const struct rule plain[] = {
    /* descriptors it has, or gets from its listening sockets and channels */
    C(ALWAYS, read),
    C(ALWAYS, write),
    C(ALWAYS, readv),
    C(ALWAYS, writev),
    C(ALWAYS, pread64),
    C(ALWAYS, pwrite64),
    C(ALWAYS, lseek),
    C(ALWAYS, close),
    C(ALWAYS, close_range),
    C(ALWAYS, dup),
    C(ALWAYS, dup2),
    C(ALWAYS, dup3),
    C(ALWAYS, pipe2),
    C(ALWAYS, fstat),
    C(ALWAYS, fstatfs),
    /* looking at names gives no content; changed tables are noticed so */
    C(ALWAYS, stat),
    C(ALWAYS, lstat),
    C(ALWAYS, newfstatat),
    C(ALWAYS, statx),
    C(ALWAYS, getcwd),
    /* sockets; which kinds may be made is below */
    C(ALWAYS, accept),
    C(ALWAYS, accept4),
    C(ALWAYS, recvfrom),
    C(ALWAYS, recvmsg),
    C(ALWAYS, recvmmsg),
    C(RIGHT_SHUT, shutdown),
    C(ALWAYS, getsockname),
    C(ALWAYS, getpeername),
    C(ALWAYS, getsockopt),
    C(ALWAYS, sendfile),
    C(ALWAYS, splice),
    C(INET, bind),
    /* waiting */
    C(ALWAYS, epoll_create1),
    C(ALWAYS, epoll_ctl),
    C(ALWAYS, epoll_wait),
    C(ALWAYS, epoll_pwait),
    C(ALWAYS, epoll_pwait2),
    C(ALWAYS, poll),
    C(ALWAYS, ppoll),
    C(ALWAYS, select),
    C(ALWAYS, pselect6),
    C(ALWAYS, eventfd2),
    C(ALWAYS, signalfd4),
    C(ALWAYS, timerfd_create),
    C(ALWAYS, timerfd_settime),
    C(ALWAYS, setitimer), /* the watchdog: lib/task/watchdog.c */
    C(ALWAYS, nanosleep),
    C(ALWAYS, clock_nanosleep),
    C(ALWAYS, futex),
    C(ALWAYS, sched_yield),
    C(ALWAYS, restart_syscall),
    /* memory; not executable, below */
    C(ALWAYS, brk),
    C(ALWAYS, mincore),
    C(ALWAYS, membarrier),
    /* time, randomness, itself */
    C(ALWAYS, clock_gettime),
    C(ALWAYS, clock_getres),
    C(ALWAYS, gettimeofday),
    C(ALWAYS, time),
    C(ALWAYS, getrandom),
    C(ALWAYS, getpid),
    C(ALWAYS, gettid),
    C(ALWAYS, getppid),
    C(ALWAYS, getuid),
    C(ALWAYS, geteuid),
    C(ALWAYS, getgid),
    C(ALWAYS, getegid),
    C(ALWAYS, getgroups),
    C(ALWAYS, uname),
    C(ALWAYS, umask),
    C(ALWAYS, getrusage),
    C(ALWAYS, getrlimit),
    C(ALWAYS, sysinfo),
    C(ALWAYS, sched_getaffinity),
    C(ALWAYS, times),
    C(ALWAYS, exit),
    C(ALWAYS, exit_group),
    /* its signal handlers, its thread's bookkeeping */
    C(ALWAYS, rt_sigaction),
    C(ALWAYS, rt_sigprocmask),
    C(ALWAYS, rt_sigreturn),
    C(ALWAYS, rt_sigpending),
    C(ALWAYS, sigaltstack),
    C(ALWAYS, set_robust_list),
    C(ALWAYS, rseq),
    C(ALWAYS, set_tid_address),

    /* names below the paths of the jail; Landlock holds the paths */
    C(FILES, access),
    C(FILES, faccessat),
    C(FILES, faccessat2),
    C(FILES, readlink),
    C(FILES, readlinkat),
    C(FILES, getdents64),
    C(FILES, inotify_init1),
    C(FILES, inotify_add_watch),
    C(FILES, inotify_rm_watch),
    C(FILES, fadvise64),
    C(FILES, statfs),
    /* creating, changing, removing */
    C(RIGHT_WRITE, mkdir),
    C(RIGHT_WRITE, mkdirat),
    C(RIGHT_WRITE, rmdir),
    C(RIGHT_WRITE, unlink),
    C(RIGHT_WRITE, unlinkat),
    C(RIGHT_WRITE, rename),
    C(RIGHT_WRITE, renameat),
    C(RIGHT_WRITE, renameat2),
    C(RIGHT_WRITE, link),
    C(RIGHT_WRITE, linkat),
    C(RIGHT_WRITE, ftruncate),
    C(RIGHT_WRITE, flock), /* a lock on a table stops whoever opens or changes it */
    C(RIGHT_WRITE, fallocate),
    C(RIGHT_WRITE, fsync),
    C(RIGHT_WRITE, fdatasync),
    C(RIGHT_WRITE, msync),
    C(RIGHT_WRITE, sync_file_range),
    C(RIGHT_TIMES, utimensat), /* by name, too */
    C(RIGHT_WRITE, copy_file_range),
    C(RIGHT_WRITE, pwritev),
    C(RIGHT_WRITE, preadv),

    /* becoming somebody else; what for is bounded by the capabilities that are left (jail.c) */
    /* For files only (setfsuid: below). Its other ids say who a process is, to the others of the
     * suite and for signals: they never change, but in the child that becomes a user. */
    C(RIGHT_SETUID, setfsgid),
    C(RIGHT_OTHER, setfsgid),
    C(RIGHT_FORK, setresuid),
    C(RIGHT_FORK, setresgid),
    C(RIGHT_FORK, setgroups),
    C(RIGHT_FORK, capset),
    C(RIGHT_ROOT, fchown), /* a new mailbox in a spool directory */

    /* children of the same program, which confine themselves further */
    C(RIGHT_EXEC, memfd_create), /* a command's input */
    C(RIGHT_FORK, fork),
    C(RIGHT_FORK, wait4),
    C(RIGHT_FORK, waitid),
    C(RIGHT_FORK, tgkill), /* abort(3) in a child, whose number nobody knows yet */
    C(RIGHT_FORK, seccomp),
    C(RIGHT_FORK, landlock_create_ruleset),
    C(RIGHT_FORK, landlock_add_rule),
    C(RIGHT_FORK, landlock_restrict_self),
};

/* Of fcntl: copies, flags and locks. Not: who gets SIGIO, and which signal (F_SETOWN, F_SETSIG),
 * leases, notifications, seals, sizes of pipes. */
static const struct rule fcntl_commands[] = {
    {ALWAYS, F_DUPFD},          {ALWAYS, F_DUPFD_CLOEXEC},  {ALWAYS, F_GETFD},
    {ALWAYS, F_SETFD},          {ALWAYS, F_GETFL},          {RIGHT_WRITE, F_GETLK},
    {RIGHT_WRITE, F_SETLK},     {RIGHT_WRITE, F_SETLKW},    {RIGHT_WRITE, F_OFD_GETLK},
    {RIGHT_WRITE, F_OFD_SETLK}, {RIGHT_WRITE, F_OFD_SETLKW}};

/*
 * Calls that every process may make and a session has no use for: it gets its connections from the
 * mailbox broker, and makes and connects nothing. It copies a descriptor only to sync a journal
 * that another task may close meanwhile (fcntl with F_DUPFD_CLOEXEC). Together with the rules of
 * RIGHT_FORK, RIGHT_SETUID and RIGHT_EXEC this is what its second filter takes away.
 */
static const int not_in_sessions[] = {
    SCMP_SYS(connect),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(bind),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(prctl),
    SCMP_SYS(kill),
    SCMP_SYS(tkill),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(splice),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(setfsuid),
};

/* What the leak checker at the end of a sanitized process and Valgrind's own machine call. */
static const int of_debuggers[] = {
    SCMP_SYS(clone),      SCMP_SYS(ptrace),     SCMP_SYS(wait4),
    SCMP_SYS(prctl),      SCMP_SYS(openat),     SCMP_SYS(open),
    SCMP_SYS(readlink),   SCMP_SYS(readlinkat), SCMP_SYS(access),
    SCMP_SYS(getdents64), SCMP_SYS(getdents),   SCMP_SYS(process_vm_readv),
    SCMP_SYS(tgkill),     SCMP_SYS(tkill),      SCMP_SYS(setrlimit),
    SCMP_SYS(prlimit64),  SCMP_SYS(kill),       SCMP_SYS(fork),
    SCMP_SYS(unlink),     SCMP_SYS(arch_prctl), SCMP_SYS(mmap),
    SCMP_SYS(mprotect),   SCMP_SYS(pipe),       SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(gettid),     SCMP_SYS(ioctl),      SCMP_SYS(rt_tgsigqueueinfo),
};

/* Refused with an error, not with the end: libraries try these and have another way. */
static const struct {
    int call, error;
} soft[] = {
    {SCMP_SYS(clone3), ENOSYS}, /* its flags are behind a pointer: the C library then uses clone */
    {SCMP_SYS(io_uring_setup), ENOSYS},
    {SCMP_SYS(mlock), EPERM},
    {SCMP_SYS(mbind), EPERM},
};

static scmp_filter_ctx filter;

static void jail_seccomp_add(uint32_t action, int call, unsigned argc,
                             const struct scmp_arg_cmp *args)
{
    int error = seccomp_rule_add_array(filter, action, call, argc, args);
    /* EDOM, EEXIST: not a call of this machine, or allowed already without conditions */
    if (error < 0 && error != -EDOM && error != -EEXIST && error != -EOPNOTSUPP)
        msg_fatal("seccomp rule for call %d: %s", call, strerror(-error));
}

static void allow(int call)
{
    jail_seccomp_add(SCMP_ACT_ALLOW, call, 0, NULL);
}

static void allow_if(int call, struct scmp_arg_cmp a)
{
    jail_seccomp_add(SCMP_ACT_ALLOW, call, 1, &a);
}

static void refuse_if(int call, struct scmp_arg_cmp a)
{
    jail_seccomp_add(SCMP_ACT_TRAP, call, 1, &a);
}

static void allow_if2(int call, struct scmp_arg_cmp a, struct scmp_arg_cmp b)
{
    jail_seccomp_add(SCMP_ACT_ALLOW, call, 2, (struct scmp_arg_cmp[]){a, b});
}

static void allow_if3(int call, struct scmp_arg_cmp a, struct scmp_arg_cmp b, struct scmp_arg_cmp c)
{
    jail_seccomp_add(SCMP_ACT_ALLOW, call, 3, (struct scmp_arg_cmp[]){a, b, c});
}

/* Nothing is made executable, and what lies below JAIL_LOW_END stays as it is. */
static void add_memory(void)
{
    struct scmp_arg_cmp above = SCMP_A0(SCMP_CMP_GE, JAIL_LOW_END);
    struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);

    allow_if2(SCMP_SYS(mmap), above, not_executable);
    allow_if3(SCMP_SYS(mmap), SCMP_A0(SCMP_CMP_EQ, 0), not_executable,
              SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_FIXED, 0));
    allow_if2(SCMP_SYS(mprotect), above, not_executable);
    allow_if(SCMP_SYS(munmap), above);
    allow_if(SCMP_SYS(madvise), above);
    allow_if2(SCMP_SYS(mremap), above, SCMP_A3(SCMP_CMP_MASKED_EQ, MREMAP_FIXED, 0));
}

/* Landlock holds the ports of plain TCP only, not those of other protocols that end in TCP. */
static void add_internet(void)
{
    static const struct {
        unsigned type, protocol;
    } kinds[] = {{SOCK_STREAM, 0}, /* long DNS answers */
                 {SOCK_STREAM, IPPROTO_TCP},
                 {SOCK_DGRAM, 0},
                 {SOCK_DGRAM, IPPROTO_UDP}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct scmp_arg_cmp type = SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, kinds[i].type);
        struct scmp_arg_cmp protocol = SCMP_A2(SCMP_CMP_EQ, kinds[i].protocol);
        allow_if3(SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET), type, protocol);
        allow_if3(SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET6), type, protocol);
    }
}

/* Nowhere with MSG_FASTOPEN: it connects, which neither Landlock nor the rule of connect(2) sees.
 * Without INET no address is seen at all, and sendmsg is there for descriptors. */
static void add_sending(unsigned rights)
{
    struct scmp_arg_cmp nowhere = SCMP_A4(SCMP_CMP_EQ, 0);
    struct scmp_arg_cmp connected = SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0);

    allow_if(SCMP_SYS(sendmsg), SCMP_A2(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));
    if ((rights & INET) == 0) {
        allow_if2(SCMP_SYS(sendto), nowhere, connected);
        return;
    }
    allow_if(SCMP_SYS(sendto), connected);
    allow_if(SCMP_SYS(sendmmsg), connected);
}

static bool is_given(unsigned needed, unsigned rights)
{
    return needed == ALWAYS || (needed & rights) != 0;
}

/* The listening sockets are those of all processes of the service, and the next ones get them, too:
 * with others an intruder could keep clients out after its end. */
static void add_options(unsigned rights)
{
    static const struct {
        unsigned rights;
        int level, option;
    } options[] = {
        {ALWAYS, IPPROTO_TCP, TCP_NODELAY},
        {ALWAYS, IPPROTO_TCP, TCP_QUICKACK},
        /* of the libraries that ask name servers */
        {INET, IPPROTO_TCP, TCP_FASTOPEN_CONNECT},
        {INET, IPPROTO_IP, IP_RECVERR},
        {INET, IPPROTO_IP, IP_MTU_DISCOVER},
        {INET, IPPROTO_IPV6, IPV6_RECVERR},
        {INET, IPPROTO_IPV6, IPV6_MTU_DISCOVER},
    };

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (is_given(options[i].rights, rights))
            allow_if2(SCMP_SYS(setsockopt), SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)options[i].level),
                      SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)options[i].option));
}

bool jail_knows_sockets(unsigned rights)
{
    return (rights & CONNECTS) == 0 && !jail_is_valgrind(); /* whose memory may be anywhere */
}

static void add_sockets(unsigned rights)
{
    struct scmp_arg_cmp stream = SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM);

    add_options(rights);
    allow_if2(SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX), stream);
    allow_if2(SCMP_SYS(socketpair), SCMP_A0(SCMP_CMP_EQ, AF_UNIX), stream);
    if (!jail_knows_sockets(rights))
        allow(SCMP_SYS(connect));
    else
        allow_if2(SCMP_SYS(connect), /* an address of jail_sockets.c */
                  SCMP_A1(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)(JAIL_SOCKETS_SIZE - SOCK_KNOWN_STEP),
                          JAIL_SOCKETS_AT),
                  SCMP_A2(SCMP_CMP_EQ, sizeof(struct sockaddr_un)));
    if ((rights & INET) != 0)
        add_internet();
    add_sending(rights);
}

/*
 * Landlock has no say in the mode, the times and (before Linux 6.2) the length of a file, so these
 * are changed through a descriptor only: what is open has passed it. No file is made that runs as
 * its owner.
 */
static void add_files(unsigned rights)
{
    const uint64_t set_ids = S_ISUID | S_ISGID;

    if ((rights & RIGHT_WRITE) != 0) {
        allow_if(SCMP_SYS(open), SCMP_A2(SCMP_CMP_MASKED_EQ, set_ids, 0));
        allow_if(SCMP_SYS(openat), SCMP_A3(SCMP_CMP_MASKED_EQ, set_ids, 0));
        allow_if(SCMP_SYS(fchmod), SCMP_A1(SCMP_CMP_MASKED_EQ, set_ids, 0));
        allow_if(SCMP_SYS(utimensat), SCMP_A1(SCMP_CMP_EQ, 0));
    } else if ((rights & RIGHT_READ) != 0) {
        const uint64_t changes = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
        allow_if(SCMP_SYS(open), SCMP_A1(SCMP_CMP_MASKED_EQ, changes, 0));
        allow_if(SCMP_SYS(openat), SCMP_A2(SCMP_CMP_MASKED_EQ, changes, 0));
    }
}

static void add_fcntl(unsigned rights)
{
    for (size_t i = 0; i < sizeof fcntl_commands / sizeof *fcntl_commands; i++)
        if (is_given(fcntl_commands[i].rights, rights) || JAIL_COVERAGE[0] != 0)
            allow_if(SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)fcntl_commands[i].call));
    /* What is shared stays as it is: a listening socket that blocks stops whoever accepts. */
    allow_if2(SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_SETFL),
              SCMP_A2(SCMP_CMP_MASKED_EQ, O_ASYNC | O_NONBLOCK, O_NONBLOCK));
}

/* Not to root. The kernel takes 32 bits of the argument, and a filter compares 64: so it is not 0
 * if one of these 32 is set. */
static void allow_setfsuid(void)
{
    for (int bit = 0; bit < 32; bit++) {
        scmp_datum_t is_set = 1ULL << bit;
        allow_if(SCMP_SYS(setfsuid), SCMP_A0(SCMP_CMP_MASKED_EQ, is_set, is_set));
    }
}

/* Threads for task_fsync; a process's signals to itself; the names of its threads and memory. */
static void add_self(unsigned rights)
{
    enum { NAME_MEMORY = 0x53564d41 }; /* PR_SET_VMA */

    const uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

    if ((rights & RIGHT_FORK) != 0) {
        allow_if(SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0));
        allow_if(SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NO_NEW_PRIVS));
        allow_if(SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG)); /* of a helper */
    } else {
        if ((rights & RIGHT_WRITE) != 0)
            allow_if(SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
        allow_if(SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    }
    /* Files of root's are for those that are root. */
    if ((rights & RIGHT_ROOT) != 0)
        allow(SCMP_SYS(setfsuid));
    else if ((rights & (RIGHT_SETUID | RIGHT_OTHER)) != 0)
        allow_setfsuid();
    allow_if(SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, NAME_MEMORY));
    /* Limits may be read, not set. */
    allow_if2(SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
    allow_if(SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, FIONREAD));
    allow_if(SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, SIOCOUTQ)); /* has the other side read it? */
    allow_if(SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, TCGETS));
}

static void begin_filter(uint32_t otherwise)
{
    filter = seccomp_init(otherwise);
    if (filter == NULL)
        msg_fatal("seccomp: no memory");
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0); /* done by jail_enter */
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1); /* no slower than an unjailed process */
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
}

static void end_filter(void)
{
    seccomp_release(filter);
    filter = NULL;
}

static bool is_of_sessions(const struct rule *r)
{
    return is_given(r->rights, FILES | RIGHT_TIMES | RIGHT_SHUT);
}

/*
 * A session sends lines to the log by a socket that its parent and all other sessions use, too. It
 * may not shut it or change it; nor copy it, since a copy in the channel's place could be sent to
 * any address.
 */
static void keep_from(int shared)
{
    /* of whose 64 bits the kernel takes 32 */
    struct scmp_arg_cmp fd = SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)shared);

    refuse_if(SCMP_SYS(shutdown), fd);
    refuse_if(SCMP_SYS(setsockopt), fd);
    jail_seccomp_add(SCMP_ACT_TRAP, SCMP_SYS(fcntl), 2,
                     (struct scmp_arg_cmp[]){fd, SCMP_A1(SCMP_CMP_EQ, F_DUPFD_CLOEXEC)});
}

/*
 * The second filter, made ready by the process that forks sessions. What depends on the child
 * stands in it as JAIL_PID, JAIL_CHANNEL and JAIL_LOG (jail_parts.h).
 */
static void prepare_session(void)
{
    begin_filter(SCMP_ACT_ALLOW);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (!is_of_sessions(&plain[i]) && plain[i].call != SCMP_SYS(tgkill))
            jail_seccomp_add(SCMP_ACT_TRAP, plain[i].call, 0, NULL);
    for (size_t i = 0; i < sizeof not_in_sessions / sizeof *not_in_sessions; i++)
        jail_seccomp_add(SCMP_ACT_TRAP, not_in_sessions[i], 0, NULL);
    refuse_if(SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    refuse_if(SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_NE, JAIL_PID));
    refuse_if(SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_DUPFD));
    /* To whom a message goes is seen in the call only without sendmsg: that is for the broker. */
    refuse_if(SCMP_SYS(sendto), SCMP_A4(SCMP_CMP_NE, 0));
    refuse_if(SCMP_SYS(sendmsg), SCMP_A0(SCMP_CMP_NE, JAIL_CHANNEL));
    keep_from(JAIL_LOG);
    keep_from(STDERR_FILENO);
    int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0 || seccomp_export_bpf(filter, fd) < 0)
        msg_fatal("seccomp filter of sessions: %m");
    jail_session_take(fd);
    close(fd);
    end_filter();
}

void jail_seccomp(unsigned rights)
{
    if ((rights & RIGHT_FORK) != 0)
        prepare_session();
    begin_filter(SCMP_ACT_TRAP);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (is_given(plain[i].rights, rights))
            allow(plain[i].call);
    if (JAIL_SANITIZED || JAIL_COVERAGE[0] != 0 || jail_is_valgrind())
        for (size_t i = 0; i < sizeof of_debuggers / sizeof *of_debuggers; i++)
            allow(of_debuggers[i]);
    for (size_t i = 0; i < sizeof soft / sizeof *soft; i++)
        jail_seccomp_add(SCMP_ACT_ERRNO((uint32_t)soft[i].error), soft[i].call, 0, NULL);
    add_memory();
    add_sockets(rights);
    add_files(rights);
    add_fcntl(rights);
    add_self(rights);
    jail_catch_refusals();
    int error = seccomp_load(filter);
    if (error < 0)
        msg_fatal("seccomp: %s", strerror(-error));
    end_filter();
}
