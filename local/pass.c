#include "pass.h"

#include <fcntl.h>

#include "base/hash.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict.h"
#include "ipc/channel.h"
#include "ipc/proto.h"

/* Channels by transport: as many as main.cf names. */
static struct hash *channels;

static struct channel *pass_channel(struct str transport)
{
    /* fits: too long for a socket is said when it is used */
    struct buf path = BUF(transport.n + 8);
    struct channel *c;

    if (channels == NULL)
        channels = hash_new();
    c = hash_find(channels, transport);
    if (c == NULL) {
        buf_addz(&path, "private/");
        buf_add(&path, transport);
        c = channel_new(path.p, 0);
        hash_put(channels, transport, c);
        buf_free(&path);
    }
    return c;
}

static enum rcpt_status ask(struct channel *c, const struct delivery *d, const struct qfile *file,
                            struct why *why)
{
    struct attrs request = ATTRS(DELIVERY_MAX), answer = ATTRS(65536);
    /* fits: one letter */
    struct delivery_result result = {.statuses = BUF(1), .why = WHY};
    enum rcpt_status status = RCPT_DEFERRED;

    attrs_putz(&request, A_REQUEST, REQUEST_DELIVER);
    delivery_encode(d, &request);
    int fd = fcntl(qfile_fd(file), F_DUPFD_CLOEXEC, 0);
    if (fd >= 0)
        attrs_put_fd(&request, fd);
    if (channel_call(c, &request, &answer, 0, why) == 0) {
        if (delivery_read_answer(&answer, &result, 1) < 0)
            why_set(why, "4.3.0", "malformed answer");
        else
            status = (enum rcpt_status)result.statuses.p[0];
    }
    delivery_result_free(&result);
    attrs_free(&request);
    attrs_free(&answer);
    return status;
}

enum rcpt_status pass_to(struct job *job, const char *transport, const struct rcpt *rcpt,
                         const char *sender)
{
    const char *colon = strchr(transport, ':');
    const char *at = strrchr(rcpt->address, '@');
    struct str name = {transport, colon == NULL ? strlen(transport) : (size_t)(colon - transport)};
    struct rcpt passed = *rcpt;
    struct delivery d = job->d;
    struct why why = WHY;
    enum rcpt_status status;

    d.flags |= DELIVERY_PART; /* marked here, when all that it led to is known */
    d.rcpts = &passed;
    d.nrcpts = 1;
    d.sender = sender;
    d.nexthop = colon != NULL && colon[1] != 0 ? colon + 1 : at != NULL ? at + 1 : conf.myhostname;
    status = ask(pass_channel(name), &d, job->file, &why);
    if (why.code[0] != 0) {
        why_in(&why, "transport %.*s", (int)name.n, name.p);
        status = outcome_say_failed(&job->outcome, rcpt, &why);
    }
    why_free(&why);
    return status;
}
