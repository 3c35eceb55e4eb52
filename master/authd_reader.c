/*
 * Tables that only root may read (quickstart's passwd is of mode 0600) are opened by a helper
 * process after they have changed: an answer must never come from what stood there before. The
 * helper is the mail owner with one capability, to read any file, takes nothing but the number of a
 * table, and hands out descriptors for reading.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "service/helper.h"
#include "task/task.h"

#include "authd.h"

enum { QUEUE_MOST = 1000 };

static struct {
    VEC(const char *) paths;
    struct helper *helper; /* null: not needed */
} state;

void reader_allow(const char *path)
{
    *VEC_ADD(&state.paths) = path;
}

/* In the helper: becomes the mail owner, who may read every file and do nothing else. */
static void enter(void)
{
    const struct passwd *pw = getpwnam(conf.mail_owner);
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.effective = 1U << CAP_DAC_READ_SEARCH, .permitted = 1U << CAP_DAC_READ_SEARCH}};

    if (pw == NULL || pw->pw_uid == 0)
        msg_fatal("mail_owner: no such user: %s", conf.mail_owner);
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ||
        setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
        setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0 || syscall(SYS_capset, &head, data) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0) < 0)
        msg_fatal("authd-reader: become user %s: %m", pw->pw_name);
}

/* In the helper. The question is the number of a table; the answer is empty, or why not. */
static void open_table(struct str ask, struct buf *answer, int *fd)
{
    int64_t n;

    if (!num_parse(ask, 0, (int64_t)state.paths.n - 1, &n))
        msg_panic("a malformed question of %zu bytes", ask.n);
    *fd = open(state.paths.at[n], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0)
        buf_addz(answer, strerrordesc_np(errno));
}

void reader_start(void)
{
    static const struct helper_job job = {.name = "table reader",
                                          .count = 1,
                                          .queue_limit = QUEUE_MOST,
                                          .start = enter,
                                          .serve = open_table};

    if (geteuid() == 0 && state.paths.n > 0)
        state.helper = helper_start(&job);
}

void reader_watch(void)
{
    if (state.helper != NULL)
        helper_watch(state.helper);
}

static int ask_for(size_t number, const char *path, struct why *why)
{
    struct buf ask = BUF(30); /* fits: a number */
    struct buf answer = BUF(HELPER_MESSAGE_MAX);
    int64_t until = task_now() + conf.auth_request_timeout * 1000;
    int fd = -1;

    buf_addf(&ask, "%zu", number);
    int result = helper_ask(state.helper, buf_str(&ask), until, &answer, &fd, why);
    if (result == 0 && fd < 0)
        why_set(why, "4.3.5", "open %s: %s", path, answer.p);
    buf_free(&ask);
    buf_free(&answer);
    return fd;
}

int reader_open(const char *path, struct why *why)
{
    if (state.helper != NULL)
        for (size_t i = 0; i < state.paths.n; i++)
            if (strcmp(state.paths.at[i], path) == 0)
                return ask_for(i, path, why);
    return why_set(why, "4.3.5", "open %s: permission denied", path);
}
