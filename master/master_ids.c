/*
 * The user and group numbers of the suite's processes, and who may reach their sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"

#include "master.h"

/* Where a free block is looked for: numbers that systemd keeps unused, then those that it lends to
 * services for as long as they run. */
enum { BLOCKS_FROM = 60608, BLOCKS_TO = 65504 };

static struct trust_ids ids;
static gid_t owner_gid, drop_gid;

static bool is_free(gid_t first)
{
    for (gid_t n = first; n < first + TRUST_BLOCK; n++)
        if (getpwuid(n) != NULL || getgrgid(n) != NULL)
            return false;
    return true;
}

static gid_t free_block(void)
{
    for (gid_t first = BLOCKS_FROM; first <= BLOCKS_TO; first += TRUST_BLOCK)
        if (is_free(first))
            return first;
    msg_fatal("process_gid_base: no %d group numbers in a row are free between %d and %d",
              TRUST_BLOCK, BLOCKS_FROM, BLOCKS_TO);
}

static uid_t uid_of_network(void)
{
    const struct passwd *pw = getpwnam(conf.network_owner);
    uint32_t number;

    if (pw != NULL)
        number = pw->pw_uid;
    else if (!num_parse_u32(strz(conf.network_owner), 0, UINT32_MAX - 1, &number))
        number = ids.base;
    if (number == 0)
        msg_fatal("network_owner: %s has uid 0; an account without rights is needed",
                  conf.network_owner);
    return number;
}

void ids_choose(void)
{
    if (geteuid() != 0)
        return;
    const struct passwd *pw = getpwnam(conf.mail_owner);
    if (pw == NULL || pw->pw_uid == 0)
        msg_fatal("mail_owner: %s is no user without rights", conf.mail_owner);
    ids.owner = pw->pw_uid;
    owner_gid = pw->pw_gid;
    const struct group *gr = getgrnam(conf.setgid_group);
    drop_gid = gr != NULL ? gr->gr_gid : owner_gid;
    ids.base = conf.process_gid_base != 0 ? (gid_t)conf.process_gid_base : free_block();
    ids.network = uid_of_network();
}

const struct trust_ids *ids_of_suite(void)
{
    return &ids;
}

/* Postfix keeps private/ for mail_owner, and public/ for the group of its tools. Ours must be
 * passed by network processes, too: what they may ask, the sockets' own modes say. */
static void add_mode(const char *dir, mode_t wanted, gid_t gid)
{
    struct stat st;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return; /* the sockets in it will say so */
    if (fstat(fd, &st) < 0 || st.st_uid != ids.owner)
        msg_warn("%s/%s: not owned by %s", conf.queue_directory, dir, conf.mail_owner);
    else if ((st.st_gid != gid && fchown(fd, (uid_t)-1, gid) < 0) ||
             ((st.st_mode & wanted) != wanted && fchmod(fd, (st.st_mode & 07777) | wanted) < 0))
        msg_warn("%s/%s: %m", conf.queue_directory, dir);
    close(fd);
}

void ids_open_dirs(void)
{
    if (ids.base == 0)
        return;
    add_mode("private", 0710, owner_gid);
    add_mode("public", 02711, drop_gid);
}

static unsigned network_roles(void)
{
    unsigned roles = 0;

    for (enum role r = ROLE_SMTPD; r < ROLE_OTHER; r++)
        if (trust_uid_of_program(trust_role_name(r)) == TRUST_NETWORK)
            roles |= ROLE_BIT(r);
    return roles;
}

struct socket_access ids_access(const struct conf_service *s)
{
    unsigned askers = trust_askers(s->command);
    struct socket_access a = {.mode = 0600, .gid = owner_gid};

    if (ids.base == 0) { /* one user: others may come as far as the directory lets them */
        a.mode = 0666;
    } else if (!s->is_private && (askers == 0 || (askers & ROLE_BIT(ROLE_TOOL)) != 0)) {
        a.mode = 0660;
        a.gid = drop_gid;
    } else if (askers == 0 || (askers & network_roles()) != 0) {
        a.mode = 0660;
    }
    return a;
}

/* The kernel makes a socket's name with the effective ids and the umask: nobody who may write the
 * directory can slip another file under a later chown or chmod. */
void ids_begin_socket(const struct socket_access *a)
{
    umask(0777 & ~a->mode);
    if (ids.base != 0 && (setegid(a->gid) < 0 || seteuid(ids.owner) < 0))
        msg_fatal("become user %s: %m", conf.mail_owner);
}

void ids_end_socket(const char *path, const struct socket_access *a)
{
    int error = errno;

    /* In a set-gid directory the name has the directory's group. */
    if (ids.base != 0 && lchown(path, (uid_t)-1, a->gid) < 0 && errno != ENOENT)
        msg_warn("chgrp %s/%s: %m", conf.queue_directory, path);
    if (ids.base != 0 && (seteuid(0) < 0 || setegid(0) < 0))
        msg_fatal("become root again: %m");
    umask(077);
    errno = error;
}
