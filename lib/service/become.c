#include "service/become.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/msg.h"
#include "service/jail.h"
#include "task/task.h"

/* Cached: the ids of the process only change in become_forever. */
static struct {
    bool known;
    bool root; /* or a user without any right of its own who may become others: jail.h */
    bool has_other; /* not root, but may act as one other user: jail_other_user */
    uid_t uid, other_uid;
    gid_t other_gid;
    bool works; /* the kernel has let us act as somebody else before */
    gid_t gid;
} process;

static bool runs_as_root(void)
{
    if (!process.known) {
        process.known = true;
        process.uid = geteuid();
        process.gid = getegid();
        process.root = process.uid == 0 || jail_may_become();
        process.has_other = jail_has_other_user(&process.other_uid, &process.other_gid);
    }
    return process.root;
}

static int refuse_root(uid_t uid, gid_t gid, struct why *why)
{
    if (uid == 0 || gid == 0)
        return why_set(why, "4.3.0", "refusing to act with uid %u gid %u", uid, gid);
    return 0;
}

/*
 * The file system ids belong to the calling thread alone, and the kernel takes the capabilities
 * that override file permissions from a thread whose fsuid leaves 0, and gives them back after.
 * They follow the task: its task-local value is uid and gid, 0 is the process itself.
 */
static void use_ids(uint64_t ids)
{
    bool own = ids == 0;

    setfsgid(own ? process.gid : (gid_t)(ids & UINT32_MAX));
    setfsuid(own ? process.uid : (uid_t)(ids >> 32));
}

int become_begin(uid_t uid, gid_t gid, struct why *why)
{
    if (!runs_as_root() && !process.has_other)
        return 0;
    if (refuse_root(uid, gid, why) < 0)
        return -1;
    if (process.has_other && (uid != process.other_uid || gid != process.other_gid))
        return why_set(why, "4.3.0", "cannot act with uid %u gid %u", uid, gid);
    task_on_local(use_ids);
    task_set_local((uint64_t)uid << 32 | gid);
    /* The calls return the former value, never an error: asking with an invalid one tells. What
     * they need, CAP_SETUID, a process has or has not. */
    if (!process.works)
        process.works = (gid_t)setfsgid((gid_t)-1) == gid && (uid_t)setfsuid((uid_t)-1) == uid;
    if (process.works)
        return 0;
    become_end();
    return why_set(why, "4.3.0", "cannot act with uid %u gid %u", uid, gid);
}

void become_end(void)
{
    if (runs_as_root() || process.has_other)
        task_set_local(0);
}

static int change_ids(uid_t uid, gid_t gid)
{
    return setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0
               ? -1
               : 0;
}

/* For the caller, should one of these succeed. */
static bool may_go_back(void)
{
    errno = EPERM;
    return setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setresgid((gid_t)-1, 0, (gid_t)-1) == 0;
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    return (int)syscall(SYS_capset, &head, none);
}

int become_forever(uid_t uid, gid_t gid, const char *const *dirs, size_t ndirs, struct why *why)
{
    if (runs_as_root()) {
        if (refuse_root(uid, gid, why) < 0)
            return -1;
        process.works = false;
        if (change_ids(uid, gid) < 0)
            return why_errno(why, "4.3.0", "become uid %u gid %u", uid, gid);
        if (drop_capabilities() < 0 || may_go_back())
            return why_errno(why, "4.3.0", "drop capabilities");
        process.root = process.has_other = false;
        process.uid = uid;
        process.gid = gid;
    }
    if (jail_confine_to(dirs, ndirs) < 0)
        return why_errno(why, "4.3.0", "confine uid %u to %s", uid,
                         ndirs > 0 ? dirs[0] : "nothing");
    if (jail_session_enter() < 0)
        return why_errno(why, "4.3.0", "filter of a session");
    return 0;
}
