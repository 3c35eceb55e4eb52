/*
 * NAME
 *   bounce - delivery reports, and the logs that they are made of
 *
 * DESCRIPTION
 *   The same program serves three names. bounce keeps, per message, the log of recipients that
 *   could not be delivered and never will; defer that of those that will be tried again; trace that
 *   of deliveries that somebody wants to be told of. Agents append, and when a message has had its
 *   turn the queue manager asks for a report: to the sender, from the null sender, in the form of
 *   RFC 3464. What cannot be reported to a sender goes to the postmaster if notify_classes says so.
 *
 *   A bounce record is on stable storage before it is answered, because its recipient is then
 *   marked as done in the queue file.
 *
 * SECURITY
 *   It writes its log directories and reads queue files for the original message. It talks to
 *   cleanup only.
 *
 * STANDARDS
 *   RFC 3461, 3464, 6522 (reports), RFC 3834 (automatic responses), RFC 6533 (UTF-8)
 *
 * FILES
 *   bounce, defer, trace: the logs, in Postfix's format
 *
 * SEE ALSO
 *   qmgr(8), cleanup(8)
 */
#include "bounce.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/proto.h"
#include "queue/qid.h"
#include "queue/report_source.h"
#include "queue/report_words.h"
#include "service/jail.h"
#include "service/service.h"

static struct {
    struct dsn_words words[DSN_REPORT_KINDS];
} state;

static enum queue which_log(void)
{
    const char *name = service_name();

    if (strcmp(name, conf.defer_service_name) == 0)
        return Q_DEFER;
    if (strcmp(name, conf.trace_service_name) == 0)
        return Q_TRACE;
    return Q_BOUNCE;
}

/*
 * Where the file may be that an agent delivers: in active, where qmgr gave it to the agent. A qmgr
 * that starts meanwhile (a reload, a changed table) moves it to incoming, back, and to deferred, as
 * it is still being delivered; the administrator may hold it. In maildrop it is to become another
 * message: what is recorded there nobody would report.
 */
static const enum queue places_of_agents[] = {Q_ACTIVE, Q_INCOMING, Q_DEFERRED, Q_HOLD, Q_COUNT};
static const enum queue places_of_cleanup[] = {Q_INCOMING, Q_COUNT};

static bool is_in(const enum queue *places, const char *id, int fd)
{
    struct stat st;

    for (; *places != Q_COUNT; places++)
        if (queue_is_file(*places, id, fd, &st))
            return *places != Q_INCOMING || !queue_is_taken(id, &st);
    return false;
}

/*
 * Whoever writes to a message's log, or has a report sent of it, must have its file: an agent the
 * one that it was given to deliver, cleanup the one in incoming which it gives back. So none of
 * them can say anything of other messages. qmgr has all of them.
 */
static int check_proof(struct attrs *ask, const char *id, struct why *why)
{
    const enum queue *places = ask->from == ROLE_CLEANUP ? places_of_cleanup : places_of_agents;

    if (ask->from == ROLE_QMGR || ask->from == ROLE_ROOT || ask->from == ROLE_SELF)
        return 0;
    int fd = attrs_take_fd(ask);
    /* Twice, because a file that moves meanwhile may be in none of the places as we look. */
    bool ours = is_in(places, id, fd) || is_in(places, id, fd);
    if (fd >= 0)
        close(fd);
    if (ours)
        return 0;
    msg_warn("%s: refused: %s has no such file", id, trust_role_name(ask->from));
    return why_set(why, "5.7.0", "not your message");
}

static int append(struct attrs *ask, struct arena *mem, struct why *why)
{
    struct bounce_record r;
    const char *id = attrs_get(ask, A_QUEUE_ID);

    if (!qid_valid(strz(id)))
        return why_set(why, "5.3.0", "malformed request: bad queue id");
    if (check_proof(ask, id, why) < 0)
        return -1;
    if (bounce_record_of_attrs(ask, mem, &r, why) < 0)
        return -1;
    /* Whoever names another reader of the report can have the message sent to anybody. */
    if (*r.report_to != 0 && strcmp(attrs_get(ask, A_REQUEST), REQUEST_APPEND_OWNER) != 0)
        return why_set(why, "5.7.0", "malformed request: it tells nobody but the sender");
    return bounce_file_append(which_log(), id, &r, why);
}

static int decode(struct attrs *ask, struct arena *mem, struct delivery *d, struct why *why)
{
    if (delivery_decode(ask, 0, mem, d, why) < 0)
        return -1;
    if (ask->from == ROLE_CLEANUP)
        d->queue = Q_INCOMING; /* where the file is that it shows */
    return check_proof(ask, d->queue_id, why);
}

/* As many reports as it takes. When one cannot be handed in the caller tries all of them again:
 * better twice than not at all. */
static int send_reports(struct report_source *s, const struct delivery *d,
                        int (*send)(enum queue log, const struct delivery *d,
                                    const struct bounce_log *records, struct why *why),
                        struct why *why)
{
    size_t max = (size_t)conf.bounce_report_recipient_limit;
    struct bounce_log portion;
    int result = 0;

    do {
        struct arena *mem = arena_new(NULL);
        result = report_source_next(s, max, mem, &portion, why);
        if (result == 0 && portion.n > 0)
            result = send(which_log(), d, &portion, why);
        arena_free(&mem);
    } while (result == 0 && portion.n > 0);
    return result;
}

/* Its records are to have no more consequences. What cannot be removed is emptied: the next attempt
 * of a message that waits for others of its recipients would report them again. */
static void drop_log(enum queue q, const char *id)
{
    struct buf path = BUF(512); /* fits: see queue_path */
    struct why why = WHY;

    if (queue_remove(q, id, &why) < 0 && errno != ENOENT) {
        msg_warn("%s: %s", id, why_text(&why));
        queue_path(&path, q, id);
        int fd = open(path.p, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
            close(fd);
        else
            msg_warn("%s: cannot empty %s either: its records may be reported again", id, path.p);
    }
    buf_free(&path);
    why_free(&why);
}

/* The defer log is reported when the message has expired: nobody will look at it again. */
static int flush(struct attrs *ask, struct arena *mem, struct why *why)
{
    enum queue q = which_log();
    struct delivery d;

    if (decode(ask, mem, &d, why) < 0)
        return -1;
    struct report_source *s = report_source_new(q, &d, q == Q_DEFER);
    int result = send_reports(s, &d, bounce_flush, why);
    report_source_free(&s);
    if (result == 0)
        drop_log(q, d.queue_id);
    return result;
}

static int warn(struct attrs *ask, struct arena *mem, struct why *why)
{
    struct delivery d;

    if (decode(ask, mem, &d, why) < 0)
        return -1;
    struct report_source *s = report_source_new(which_log(), &d, false);
    int result = send_reports(s, &d, bounce_warn, why);
    report_source_free(&s);
    return result;
}

static int forget(struct attrs *ask, struct arena *mem, struct why *why)
{
    struct delivery d;

    if (decode(ask, mem, &d, why) < 0)
        return -1;
    drop_log(which_log(), d.queue_id);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(struct attrs *ask, struct arena *mem, struct why *why);
} requests[] = {
    {REQUEST_APPEND, append}, {REQUEST_APPEND_OWNER, append}, {REQUEST_FLUSH, flush},
    {REQUEST_WARN, warn},     {REQUEST_FORGET, forget},
};

static void bounce_request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    const char *name = attrs_get(ask, A_REQUEST);
    struct why why = WHY;

    size_t i = 0;
    while (i < sizeof requests / sizeof *requests && strcmp(name, requests[i].name) != 0)
        i++;
    if (i == sizeof requests / sizeof *requests)
        why_set(&why, "5.3.0", "unknown request");
    else if (requests[i].run(ask, mem, &why) == 0)
        why_clear(&why);
    attrs_put_why(answer, &why);
    why_free(&why);
}

const struct dsn_words *bounce_words(enum dsn_kind kind)
{
    return &state.words[kind];
}

static void open_words(void)
{
    struct why why = WHY;

    if (report_words_load(conf.bounce_template_file, arena_new(NULL), state.words, &why) < 0)
        msg_warn("%s", why_text(&why));
    why_free(&why);
}

static void bounce_paths(void)
{
    jail_write_queue(queue_name(Q_BOUNCE));
    jail_write_queue(queue_name(Q_DEFER));
    jail_write_queue(queue_name(Q_TRACE));
    for (enum queue q = Q_INCOMING; q <= Q_HOLD; q++)
        jail_read_queue(queue_name(q));
}

int main(int argc, char **argv)
{
    static const struct service bounce = {
        .name = "bounce",
        .in_queue = true,
        .rights = RIGHT_READ | RIGHT_WRITE,
        .open = open_words,
        .paths = bounce_paths,
        .request = bounce_request,
        .request_limit = BOUNCE_REQUEST_MAX,
    };
    return service_main(&bounce, argc, argv);
}
