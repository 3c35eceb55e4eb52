/*
 * The end: sizes, stable storage, and the word to qmgr. Or the bounce of what cannot be taken.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/proto.h"
#include "mail/path.h"
#include "queue/bounce_log.h"
#include "queue/outcome.h"

#include "cleanup.h"

/* As reports show it. */
static const char *external(struct cleanup *c, const char *address)
{
    struct buf quoted = BUF(REC_MAX);

    path_quote(strz(address), &quoted);
    const char *copy = buf_ok(&quoted) ? arena_strz(c->mem, buf_str(&quoted)) : address;
    buf_free(&quoted);
    return copy;
}

static int report(struct cleanup *c, struct why *why)
{
    for (size_t i = 0; i < c->rcpts.n; i++) {
        struct bounce_record r = {.recipient = external(c, c->rcpts.at[i].address),
                                  .original = external(c, c->rcpts.at[i].original),
                                  .dsn_orcpt = c->rcpts.at[i].dsn_orcpt,
                                  .dsn_notify = c->rcpts.at[i].dsn_notify,
                                  .status = c->why.code,
                                  .action = "failed",
                                  .diag_type = "",
                                  .diag_text = "",
                                  .mta_type = "",
                                  .mta_name = "",
                                  .reason = why_text(&c->why)};
        if (bounce_append(Q_BOUNCE, c->d.queue_id, &r, c->file, why) < 0)
            return -1;
    }
    return bounce_report(Q_BOUNCE, REQUEST_FLUSH, &c->d, c->file, why);
}

/* Each recipient ends in one line that says what became of it, as from an agent. */
static void log_bounced(struct cleanup *c)
{
    struct outcome o = {.d = &c->d, .relay = "none", .begin_us = clock_wall_us()};

    for (size_t i = 0; i < c->rcpts.n; i++)
        outcome_log(&o, &c->rcpts.at[i], c->why.code, "bounced", why_text(&c->why));
}

/* Nobody has been told of them, and nobody will: pickup comes again, and this id with its log is
 * left to whatever message gets it next. */
static void forget_records(struct cleanup *c)
{
    struct why why = WHY;

    if (bounce_report(Q_BOUNCE, REQUEST_FORGET, &c->d, c->file, &why) < 0)
        msg_warn("%s: its records in the bounce log stay: %s", c->d.queue_id, why_text(&why));
    why_free(&why);
}

/* By the client, or because cleanup has found that it is needed. */
static unsigned sendopts_asked(const struct cleanup *c)
{
    bool utf8 =
        (c->flags & SUBMIT_UTF8) != 0 ||
        (c->d.sendopts & (SENDOPT_UTF8_HEADER | SENDOPT_UTF8_SENDER | SENDOPT_UTF8_RCPT)) != 0;

    return (utf8 ? SENDOPT_UTF8 : 0u) |
           ((c->flags & SUBMIT_REQUIRETLS) != 0 ? SENDOPT_REQUIRETLS : 0u);
}

static void fill_in(struct cleanup *c)
{
    if (c->eight_bit)
        qfile_patch(c->file, c->encoding_at, REC_ATTR, STR("encoding=8bit"));
    c->d.encoding = c->eight_bit ? "8bit" : "7bit";
    c->d.sendopts |= sendopts_asked(c);
    c->size.sendopts = c->d.sendopts & ~(unsigned)SENDOPT_UTF8_RCPT;
    qfile_patch_size(c->file, &c->size);
}

/*
 * A message of a local program that nobody waits for: who sent it gets a report and the message,
 * or what was written of it, read by bounce from the queue file. For pickup it is done then; if
 * there is no report, pickup keeps it and comes again.
 */
static int report_to_sender(struct cleanup *c)
{
    struct why why = WHY;
    int result;

    c->d.queue = Q_INCOMING;
    c->d.content_size = c->content;
    if (c->stopped) /* cut off: not the whole */
        c->d.dsn_ret = DSN_RET_HDRS;
    fill_in(c);
    qfile_set_queue(c->file, Q_INCOMING); /* a check may have said HOLD before */
    result = qfile_show(c->file, &why);
    if (result == 0 && (result = report(c, &why)) < 0)
        forget_records(c);
    if (result == 0)
        log_bounced(c);
    qfile_abort(&c->file);
    if (result < 0) {
        msg_warn("%s: no report of %s: %s", c->d.queue_id, why_text(&c->why), why_text(&why));
        why_set(&c->why, "4.3.0", "%s", why_text(&why));
    }
    why_free(&why);
    return result;
}

static int cleanup_finish_refuse(struct cleanup *c)
{
    bool never = c->why.code[0] == '5';

    if (never && (c->flags & SUBMIT_BOUNCE) != 0 && c->rcpts.n > 0 && c->d.data_offset > 0)
        return report_to_sender(c);
    if (c->file != NULL)
        qfile_abort(&c->file);
    return -1;
}

int cleanup_finish(struct cleanup *c)
{
    if (cleanup_failed(c) || c->file == NULL)
        return cleanup_finish_refuse(c);
    if ((c->flags & SUBMIT_DISCARD) != 0) {
        qfile_abort(&c->file);
        return 0;
    }
    if (!c->has_end)
        cleanup_put(c, REC_END, STR(""));
    fill_in(c);
    int fd = -1;
    if (qfile_commit_keep(&c->file, &fd, &c->why) < 0)
        return -1;
    if ((c->flags & SUBMIT_HOLD) != 0) {
        close(fd);
        return 0;
    }
    c->d.queue = Q_INCOMING;
    c->d.content_size = c->size.content;
    c->d.rcpts = c->rcpts.at;
    c->d.nrcpts = c->rcpts.n;
    delivery_announce(&c->d, fd);
    cleanup_flow_wait(c);
    return 0;
}
