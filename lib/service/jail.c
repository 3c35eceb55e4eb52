#include "service/jail.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "service/jail_parts.h"
#include "service/service.h"
#include "task/task.h"

enum { DNS_PORT = 53 };

/* What a process that acts as other users may still do. Everything else is gone, also for root. */
static const struct {
    unsigned right;
    int capability;
} kept[] = {
    /* become the recipient: setfsuid, or in a child of RIGHT_FORK setresuid and setgroups */
    {RIGHT_SETUID, CAP_SETUID},
    {RIGHT_SETUID, CAP_SETGID},
    /* read :include: files of aliases, write to mailboxes in a spool directory */
    {RIGHT_ROOT, CAP_DAC_READ_SEARCH},
    {RIGHT_SEARCH, CAP_DAC_READ_SEARCH},
    {RIGHT_ROOT, CAP_DAC_OVERRIDE},
    /* give a new mailbox there to its user */
    {RIGHT_ROOT, CAP_CHOWN},
};

/* One that was given to jail_note, as it was then. */
struct noted {
    char *name;
    dev_t dev;
    ino_t ino; /* 0: it was not there */
};

static struct {
    struct jail_paths paths;
    bool left_root;
    uid_t other_uid; /* 0: nobody */
    gid_t other_gid;
    bool has_other; /* in the jail */
    bool may_become;
    VEC(struct noted) noted;
    int64_t looked_ms; /* at all of them */
} jail;

enum { GLANCE_MS = 1000 };

#if defined(__SANITIZE_ADDRESS__)
/* For sanitized builds: leaks are looked for in /proc, which a process that has changed its uid or
 * root cannot read. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return jail.left_root;
}
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    /* The symbolizer is another program. Who allocated, which only reports say, costs a process of
     * the tests a tenth of its start: ASAN_OPTIONS=malloc_context_size=30 brings it back. */
    return "symbolize=0:malloc_context_size=0";
}
#endif

/* The path is not what it should be; another start finds the same. */
static bool is_lasting(int error)
{
    return error == EACCES || error == EPERM || error == ENOTDIR || error == ELOOP ||
           error == ENAMETOOLONG;
}

/* A process whose jail lacks a path cannot work, and would not know: what passes (no descriptor, a
 * disk that does not answer) ends it, and master starts another one. */
static void add_path(const char *path, bool may_write)
{
    struct jail_path p;

    if (jail_path_open(path, may_write, &p))
        *VEC_ADD(&jail.paths.at) = p;
    else if (is_lasting(errno))
        msg_warn("jail: open %s: %m", path);
    else if (errno != ENOENT)
        msg_fatal("jail: open %s: %m", path);
}

void jail_read(const char *path)
{
    add_path(path, false);
}

void jail_write(const char *path)
{
    add_path(path, true);
}

static void add_queue(const char *dir, bool may_write)
{
    struct jail_path p;

    jail_note(dir);
    if (!jail_path_open(dir, may_write, &p))
        msg_fatal("jail: open %s: %m", dir);
    *VEC_ADD(&jail.paths.at) = p;
}

void jail_note(const char *dir)
{
    struct stat st;
    bool there = stat(dir, &st) == 0;

    *VEC_ADD(&jail.noted) = (struct noted){
        .name = mem_dupz(dir), .dev = there ? st.st_dev : 0, .ino = there ? st.st_ino : 0};
}

/* In another root directory these names lead elsewhere, or nowhere. */
static void forget_absolute(void)
{
    size_t left = 0;

    VEC_EACH (&jail.noted, d)
        if (d->name[0] == '/')
            free(d->name);
        else
            jail.noted.at[left++] = *d;
    jail.noted.n = left;
}

static bool is_another(const struct noted *d)
{
    struct stat now;

    return stat(d->name, &now) == 0 && S_ISDIR(now.st_mode) &&
           (now.st_dev != d->dev || now.st_ino != d->ino);
}

const char *jail_replaced(void)
{
    jail.looked_ms = task_now();
    VEC_EACH (&jail.noted, d)
        if (is_another(d))
            return d->name;
    return NULL;
}

const char *jail_glance(void)
{
    bool all = task_now() - jail.looked_ms >= GLANCE_MS;

    if (all)
        return jail_replaced();
    VEC_EACH (&jail.noted, d)
        if (d->name[0] == '/' && is_another(d))
            return d->name;
    return NULL;
}

void jail_read_queue(const char *dir)
{
    add_queue(dir, false);
}

void jail_write_queue(const char *dir)
{
    add_queue(dir, true);
}

void jail_port(int port)
{
    *VEC_ADD(&jail.paths.ports) = port;
}

void jail_socket(const char *path)
{
    *VEC_ADD(&jail.paths.sockets) = mem_dupz(path);
}

static void read_directory_of(struct str path)
{
    struct buf dir = BUF(4096);
    ptrdiff_t slash = str_rfind(path, '/');

    if (path.n > 0 && path.p[0] == '/') {
        buf_add(&dir, str_upto(path, slash > 0 ? (size_t)slash : 1));
        if (!buf_ok(&dir))
            msg_fatal("a path is too long: %.100s...", path.p);
        jail_read(dir.p);
    }
    buf_free(&dir);
}

void jail_read_file(const char *path)
{
    char *real = realpath(path, NULL);

    read_directory_of(strz(path));
    if (real != NULL)
        read_directory_of(strz(real));
    free(real);
}

/* The files of "type:/dir/name" stand in /dir: name itself, name.db and the like. */
static void read_table(struct str spec)
{
    ptrdiff_t colon = str_find(spec, ':');

    read_directory_of(colon < 0 ? spec : str_from(spec, (size_t)colon + 1));
}

void jail_read_tables(const char *list)
{
    struct str rest = strz(list), word;

    while (str_word_braces(&rest, ", \t\r\n", &word))
        read_table(word);
}

static uint64_t kept_capabilities(unsigned rights)
{
    uint64_t mask = 0;

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if ((rights & kept[i].right) != 0)
            mask |= 1ULL << kept[i].capability;
    return mask;
}

static int set_capabilities(uint64_t mask)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        data[i].permitted = data[i].effective = (uint32_t)(mask >> (32 * i));
    return (int)syscall(SYS_capset, &head, data);
}

/* What no program that is executed could gain again; none is. */
static void drop_bounding_set(void)
{
    for (int cap = 0; cap <= 63; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* beyond the kernel's last: EINVAL */
}

static void enter_root(const char *root)
{
    if (chroot(root) < 0 || chdir("/") < 0)
        msg_fatal("chroot %s: %m", root);
    forget_absolute();
}

static void become_owner(const struct jail *j, const struct passwd *pw)
{
    uid_t uid = j->uid != 0 ? j->uid : pw->pw_uid;
    gid_t gid = j->gid != 0 ? j->gid : pw->pw_gid;
    uid_t other_uid = jail.has_other ? jail.other_uid : uid;
    gid_t other_gid = jail.has_other ? jail.other_gid : gid;

    if (setresgid(gid, gid, other_gid) < 0 || setresuid(uid, uid, other_uid) < 0)
        msg_fatal("become user %s: %m", pw->pw_name);
    if (setresuid((uid_t)-1, 0, (uid_t)-1) == 0)
        msg_panic("user %s may become root again", pw->pw_name);
}

/*
 * The mail owner's, so that sockets of other programs for his group stay reachable. What acts as
 * other users has no group that would be theirs meanwhile; what forks a process for each of them
 * needs the way into private/, and the child leaves it behind.
 */
static void set_groups(const struct passwd *pw, unsigned rights)
{
    int result;

    if ((rights & RIGHT_FORK) != 0)
        result = setgroups(1, &pw->pw_gid);
    else if ((rights & RIGHT_SETUID) != 0 || jail.has_other)
        result = setgroups(0, NULL);
    else
        result = initgroups(pw->pw_name, pw->pw_gid);
    if (result < 0)
        msg_fatal("groups of user %s: %m", pw->pw_name);
}

/*
 * What acts as other users needs nothing of root's, not even the files that root owns: it is the
 * mail owner. What forks a process for each user needs nothing of his either. The number of its
 * role is free as a uid as well; without one it is a number that distributions and systemd leave
 * unused. A user namespace may not have it; then the process stays root with its capabilities.
 */
static void leave_root(const struct jail *j, const struct passwd *pw, unsigned rights)
{
    uid_t own = (rights & RIGHT_FORK) == 0 ? pw->pw_uid : j->gid != 0 ? j->gid : (uid_t)-3;

    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        msg_fatal("keep capabilities: %m");
    if (j->gid == 0 && setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0)
        msg_fatal("become group %u: %m", pw->pw_gid);
    bool left = setresuid(own, own, own) == 0;
    if (!left && errno != EINVAL)
        msg_fatal("become uid %u: %m", own);
    jail.may_become = left && (rights & RIGHT_SETUID) != 0;
    if (set_capabilities(kept_capabilities(rights)) < 0)
        msg_fatal("capset: %m");
    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
}

bool jail_may_become(void)
{
    return jail.may_become;
}

static void drop_root(const struct jail *j, unsigned rights)
{
    bool stays = (rights & (RIGHT_SETUID | RIGHT_SEARCH)) != 0; /* with capabilities */
    const struct passwd *pw = getpwnam(j->user);

    jail.left_root = true;

    if (pw == NULL)
        msg_fatal("mail_owner: no such user: %s", j->user);
    if (pw->pw_uid == 0)
        msg_fatal("mail_owner: %s has uid 0", j->user);
    set_groups(pw, rights);
    if (j->root != NULL)
        enter_root(j->root);
    drop_bounding_set();
    if (stays && j->gid != 0 && setresgid(j->gid, j->gid, j->gid) < 0)
        msg_fatal("become group %u: %m", j->gid);
    uint64_t needed = 1ULL << CAP_SETUID | 1ULL << CAP_SETGID;
    if (set_capabilities(needed | kept_capabilities(rights)) < 0)
        msg_fatal("capset: %m");
    if (!stays) {
        become_owner(j, pw);
        set_capabilities(0);
    } else if ((rights & RIGHT_ROOT) == 0) {
        leave_root(j, pw, rights);
    }
}

void jail_other_user(uid_t uid, gid_t gid)
{
    jail.other_uid = uid;
    jail.other_gid = gid;
}

bool jail_has_other_user(uid_t *uid, gid_t *gid)
{
    *uid = jail.other_uid;
    *gid = jail.other_gid;
    return jail.has_other;
}

void jail_enter(const struct jail *j)
{
    unsigned rights = j->rights | (j->any_socket ? JAIL_ANY_SOCKET : 0);

    if (geteuid() == 0 && (rights & RIGHT_SETUID) != 0 && jail.other_uid != 0) {
        jail.has_other = true;
        rights = (rights & ~(unsigned)RIGHT_SETUID) | RIGHT_OTHER;
    }
    if (JAIL_SANITIZED)
        jail_read("/proc/self"); /* the leak checker */
    if (JAIL_COVERAGE[0] != 0)
        jail_write(JAIL_COVERAGE);
    if ((j->rights & RIGHT_DNS) != 0)
        jail_port(DNS_PORT);
    if (jail_knows_sockets(rights))
        jail_sockets(&jail.paths, j->on_new_socket);
    if (geteuid() == 0)
        drop_root(j, rights);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        msg_fatal("no_new_privs: %m");
    if (j->ends_with_parent && prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0)
        msg_fatal("parent death signal: %m");
    if (jail_landlock(&jail.paths, (j->rights & RIGHT_NET) != 0) < 0)
        msg_fatal("landlock: %m");
    VEC_EACH (&jail.paths.at, p)
        close(p->fd);
    VEC_FREE(&jail.paths.at);
    VEC_FREE(&jail.paths.ports);
    VEC_EACH (&jail.paths.sockets, path)
        free(*path);
    VEC_FREE(&jail.paths.sockets);
    jail_seccomp(rights);
}

int jail_confine_to(const char *const *dirs, size_t ndirs)
{
    struct jail_paths only = {0};
    int result = 0;

    for (size_t i = 0; i < ndirs && result == 0; i++) {
        struct jail_path p;
        if (jail_path_open(dirs[i], true, &p))
            *VEC_ADD(&only.at) = p;
        else
            result = -1;
    }
    if (result == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        result = jail_landlock(&only, false);
    int saved = errno;
    VEC_EACH (&only.at, p)
        close(p->fd);
    VEC_FREE(&only.at);
    errno = saved;
    return result;
}
