/*
 * Tables that only root may read (quickstart's passwd is of mode 0600) are opened by a helper
 * process after they have changed: an answer must never come from what stood there before. The
 * helper has a uid that owns nothing, and one capability, to read any file of the tables'
 * directories. It takes nothing but the number of a table, and hands out descriptors for reading.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "service/helper.h"
#include "service/jail.h"
#include "service/service.h"
#include "task/task.h"

#include "authd.h"

enum { QUEUE_MOST = 1000 };

static struct {
    VEC(const char *) paths;
    struct helper_job job;
    struct helper *helper; /* null: not needed */
} state;

void reader_allow(const char *path)
{
    *VEC_ADD(&state.paths) = path;
}

/* In the supervisor. */
static void allow_tables(void)
{
    VEC_EACH (&state.paths, path)
        jail_read_file(*path);
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
    state.job = (struct helper_job){.name = "table reader",
                                    .count = 1,
                                    .queue_limit = QUEUE_MOST,
                                    .rights = RIGHT_READ | RIGHT_SEARCH,
                                    .user = conf.mail_owner,
                                    .start = allow_tables,
                                    .serve = open_table};
    if (geteuid() == 0 && state.paths.n > 0)
        state.helper = helper_start(&state.job);
}

void reader_watch(void)
{
    if (state.helper != NULL)
        helper_watch(state.helper);
}

/* Its directory is another one than at the start: a fresh process reaches that, too. */
static void shut_out_of(const char *path)
{
    struct buf text = BUF_TEXT(300);

    buf_addf(&text, "the directory of %s", path);
    service_refresh(text.p);
    buf_free(&text);
}

static int ask_for(size_t number, const char *path, struct why *why)
{
    struct buf ask = BUF(30); /* fits: a number */
    struct buf answer = BUF(HELPER_MESSAGE_MAX);
    int64_t until = task_now() + conf.auth_request_timeout * 1000;
    int fd = -1;

    buf_addf(&ask, "%zu", number);
    int result = helper_ask(state.helper, buf_str(&ask), until, &answer, &fd, why);
    if (result == 0 && fd < 0) {
        why_set(why, "4.3.5", "open %s: %s", path, answer.p);
        if (strcmp(answer.p, strerrordesc_np(EACCES)) == 0) /* to whom no mode refuses a file */
            shut_out_of(path);
    }
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
    if (access(path, R_OK) == 0) /* which does not ask Landlock, as open does */
        shut_out_of(path);
    return why_set(why, "4.3.5", "open %s: permission denied", path);
}
