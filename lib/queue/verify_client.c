/*
 * Clients of private/verify.
 */
#include "queue/verify_client.h"

#include <fcntl.h>

#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/proto.h"
#include "task/task.h"

/* Without the service in master.cf nobody waits for long. */
enum { REQUEST_MOST = 64 * 1024 + VERIFY_TEXT_MOST, ASK_MS = 10000 };

static struct {
    struct channel *channel; /* of the process, shared by all its tasks */
} verify;

static const char *const names[VERIFY_VERDICTS] = {
    [VERIFY_OK] = "ok",
    [VERIFY_LATER] = "later",
    [VERIFY_NEVER] = "never",
    [VERIFY_PENDING] = "pending",
};

const char *verify_verdict_name(enum verify_verdict v)
{
    return names[v];
}

bool verify_verdict_parse(const char *name, enum verify_verdict *v)
{
    for (int i = 0; i < VERIFY_VERDICTS; i++)
        if (strcmp(name, names[i]) == 0) {
            *v = (enum verify_verdict)i;
            return true;
        }
    return false;
}

static int call(struct attrs *ask, struct attrs *answer, struct why *why)
{
    if (verify.channel == NULL)
        verify.channel = channel_to("private", conf.address_verify_service_name, 0);
    if (!attrs_ok(ask))
        return why_set(why, "4.3.0", "the address is too long");
    return channel_call(verify.channel, ask, answer, task_now() + ASK_MS, why);
}

int verify_ask(const char *address, enum verify_verdict *v, struct buf *text, struct why *why)
{
    struct attrs ask = ATTRS(REQUEST_MOST), answer = ATTRS(REQUEST_MOST);

    attrs_putz(&ask, A_REQUEST, REQUEST_VERIFY);
    attrs_putz(&ask, A_ADDRESS, address);
    int result = call(&ask, &answer, why);
    if (result == 0 && !verify_verdict_parse(attrs_opt(&answer, A_VERDICT, ""), v))
        result = why_set(why, "4.3.0", "malformed answer of verify");
    if (result == 0)
        buf_setz(text, attrs_opt(&answer, A_TEXT, ""));
    attrs_free(&ask);
    attrs_free(&answer);
    return result;
}

int verify_tell(const char *queue_id, const char *address, enum verify_verdict v, const char *text,
                const struct qfile *file, struct why *why)
{
    struct attrs ask = ATTRS(REQUEST_MOST), answer = ATTRS(4096);
    struct buf reason = BUF_TEXT(VERIFY_TEXT_MOST);
    int fd = file != NULL ? fcntl(qfile_fd(file), F_DUPFD_CLOEXEC, 0) : -1;

    buf_addz(&reason, text);
    attrs_putz(&ask, A_REQUEST, REQUEST_VERIFIED);
    attrs_putz(&ask, A_QUEUE_ID, queue_id);
    attrs_putz(&ask, A_ADDRESS, address);
    attrs_putz(&ask, A_VERDICT, verify_verdict_name(v));
    attrs_putz(&ask, A_TEXT, reason.p);
    if (fd >= 0)
        attrs_put_fd(&ask, fd);
    int result = call(&ask, &answer, why);
    attrs_free(&ask);
    attrs_free(&answer);
    buf_free(&reason);
    return result;
}
