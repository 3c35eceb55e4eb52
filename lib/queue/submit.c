/*
 * Handing a message to cleanup over a kept-alive channel.
 */
#include "queue/submit.h"

#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/proto.h"
#include "task/task.h"

enum { ANSWER_MOST = 48 * 1024 }; /* a milter's reply of several lines, and what else there is */

struct submit {
    struct call *call;
    size_t milters; /* which cleanup will ask, at most */
    bool too_long; /* a record did not fit: there will be no commit */
    struct why why; /* of a descriptor that could not be sent */
};

/* One channel per process, shared by all its tasks. */
static struct channel *cleanup;

static unsigned overrides; /* bits of enum submit_override */

void submit_open_overrides(void)
{
    static const struct str_flag names[] = {
        {"no_unknown_recipient_checks", OVERRIDE_NO_UNKNOWN_RECIPIENT_CHECKS},
        {"no_address_mappings", OVERRIDE_NO_ADDRESS_MAPPINGS},
        {"no_header_body_checks", OVERRIDE_NO_HEADER_BODY_CHECKS},
        {"no_milters", OVERRIDE_NO_MILTERS},
        {0}};
    struct str unknown;

    if (!str_flags(conf.receive_override_options, names, &overrides, &unknown))
        conf_fault("receive_override_options",
                   "there is no \"%.*s\": no_unknown_recipient_checks, no_address_mappings, "
                   "no_header_body_checks, no_milters",
                   (int)unknown.n, unknown.p);
}

unsigned submit_overrides(void)
{
    return overrides;
}

unsigned submit_external(void)
{
    unsigned flags = SUBMIT_EXTERNAL;

    if ((overrides & OVERRIDE_NO_ADDRESS_MAPPINGS) != 0)
        flags &= ~(unsigned)(SUBMIT_MAP_OK | SUBMIT_BCC_OK);
    if ((overrides & OVERRIDE_NO_HEADER_BODY_CHECKS) != 0)
        flags &= ~(unsigned)SUBMIT_FILTER;
    return flags;
}

unsigned submit_class(const char *source)
{
    const char *classes = conf.smtputf8_autodetect_classes;
    bool named = str_ilisted(classes, strz(source)) || str_ilisted(classes, STR("all"));

    return conf.smtputf8_enable && named ? SUBMIT_FIND_UTF8 : 0;
}

struct submit *submit_begin(unsigned flags, struct why *why)
{
    struct attrs ask = ATTRS(1024);

    if (cleanup == NULL)
        cleanup = channel_to("public", conf.cleanup_service_name, 0);
    attrs_putz(&ask, A_REQUEST,
               (flags & SUBMIT_MILTERS) != 0 ? REQUEST_SUBMIT_MILTERS : REQUEST_SUBMIT);
    attrs_putn(&ask, A_FLAGS, flags);
    struct call *call = channel_begin(cleanup, &ask, 0, why);
    attrs_free(&ask);
    if (call == NULL)
        return NULL;
    struct submit *s = mem_new(sizeof *s);
    s->call = call;
    s->why = WHY;
    if ((flags & SUBMIT_LOCAL) != 0 && conf.non_smtpd_milters[0] != 0)
        s->milters = SUBMIT_MILTERS_MOST;
    return s;
}

static void submit_free(struct submit **s)
{
    why_free(&(*s)->why);
    free(*s);
    *s = NULL;
}

/* It is there all the same; the id is for people. */
static void take_id(struct attrs *answer, struct buf *queue_id)
{
    buf_setz(queue_id, attrs_opt(answer, A_QUEUE_ID, ""));
    if (!buf_ok(queue_id))
        buf_setz(queue_id, "?");
}

int submit_queue_id(struct submit *s, struct buf *queue_id, struct why *why)
{
    struct attrs answer = ATTRS(4096);
    int result = channel_hear(s->call, &answer, why);

    if (result == 0)
        take_id(&answer, queue_id);
    attrs_free(&answer);
    return result;
}

/* Anew for each piece: how long the client takes for all of them is none of cleanup's doing. */
static void wait_for_cleanup(struct submit *s, int64_t more_s)
{
    channel_set_deadline(s->call, task_now() + (conf.ipc_timeout + more_s) * 1000);
}

static void put_whole(struct submit *s, enum rec type, struct str body)
{
    char head[8];

    wait_for_cleanup(s, 0);
    channel_put(s->call, (struct str){head, qrec_head(head, type, body.n)});
    channel_put(s->call, body);
}

void submit_put(struct submit *s, enum rec type, struct str body)
{
    /* REC_FILT has the letter of REC_CONT; it comes through submit_raw only. */
    bool content = type == REC_NORM || type == REC_CONT;

    for (; content && body.n > SUBMIT_RECORD_MAX; body = str_from(body, SUBMIT_RECORD_MAX))
        put_whole(s, REC_CONT, str_upto(body, SUBMIT_RECORD_MAX));
    if (body.n <= SUBMIT_RECORD_MAX)
        put_whole(s, type, body);
    else
        s->too_long = true;
}

void submit_milters(struct submit *s, struct str state, const int *fds, size_t n)
{
    if (state.n > SUBMIT_RECORD_MAX || n > SUBMIT_MILTERS_MOST)
        s->too_long = true;
    s->milters = n;
    for (size_t i = 0; i < n && !s->too_long && s->why.code[0] == 0; i++)
        channel_put_fd(s->call, fds[i], &s->why);
    if (!s->too_long)
        put_whole(s, REC_MILT, state);
}

void submit_putf(struct submit *s, enum rec type, const char *fmt, ...)
{
    struct buf body = BUF(REC_MAX);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&body, fmt, ap);
    va_end(ap);
    s->too_long |= !buf_ok(&body);
    submit_put(s, type, buf_str(&body));
    buf_free(&body);
}

void submit_line(struct submit *s, struct str line)
{
    size_t max = (size_t)conf.line_length_limit;

    while (line.n > max) {
        submit_put(s, REC_CONT, str_upto(line, max));
        line = str_from(line, max);
    }
    submit_put(s, REC_NORM, line);
}

void submit_raw(struct submit *s, struct str records)
{
    wait_for_cleanup(s, 0);
    channel_put(s->call, records);
}

static int submit_failed(struct submit **s, struct why *why)
{
    int result = (*s)->too_long ? why_set(why, "5.3.4", "a record of the message is too long")
                                : why_set(why, (*s)->why.code, "%s", why_text(&(*s)->why));
    submit_abort(s);
    return result;
}

int submit_commit(struct submit **s, struct buf *queue_id, struct why *why)
{
    struct buf reply = BUF_TEXT(ANSWER_MOST);
    bool answered;
    int result = submit_commit_reply(s, queue_id, &reply, &answered, why);

    buf_free(&reply);
    return result;
}

int submit_commit_reply(struct submit **s, struct buf *queue_id, struct buf *reply, bool *answered,
                        struct why *why)
{
    struct attrs answer = ATTRS(ANSWER_MOST);

    *answered = false;
    if ((*s)->too_long || (*s)->why.code[0] != 0)
        return submit_failed(s, why);
    wait_for_cleanup(*s, (int64_t)(*s)->milters * conf.milter_message_time_limit);
    int result = channel_end(&(*s)->call, &answer, why);

    if (queue_id != NULL && result == 0)
        take_id(&answer, queue_id);
    *answered = answer.wire.n > 0;
    buf_setz(reply, attrs_opt(&answer, A_REPLY, ""));
    attrs_free(&answer);
    submit_free(s);
    return result;
}

void submit_abort(struct submit **s)
{
    if (*s == NULL)
        return;
    channel_abort(&(*s)->call);
    submit_free(s);
}
