/*
 * Milters: who has a say about a whole message, and what comes of it.
 */
#include "cleanup_milter.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "mail/dsn.h"
#include "net/stream.h"
#include "task/task.h"

/* A stream over a socket never blocks, whatever the client does with its own end. */
static bool is_socket(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

void cleanup_take_milters(struct cleanup *c, struct str state)
{
    bool may = (c->flags & SUBMIT_MILTERS) != 0 && c->has_sender && c->milters == NULL;
    int fds[SUBMIT_MILTERS_MOST], fd;
    size_t n = 0;

    while ((fd = stream_take_fd(c->from)) >= 0) {
        may = may && n < SUBMIT_MILTERS_MOST && is_socket(fd);
        if (may)
            fds[n++] = fd;
        else
            close(fd);
    }
    if (may && n > 0) {
        c->milters = milters_import(state, fds, n, cleanup_milter_macro, c, &c->why);
        c->stopped = c->stopped || c->milters == NULL;
    } else {
        cleanup_fail(c, "4.3.0", "internal protocol error: connections to milters");
        while (n > 0)
            close(fds[--n]);
    }
}

/* ---- what they say ---- */

static void log_verdict(const struct cleanup *c, const char *action, const char *event,
                        const char *text)
{
    struct buf line = BUF_TEXT(8192);

    if (task_is_cancelled()) /* the process ends: no milter has decided */
        return;
    buf_addf(&line, "%s: %s: %s from %s[%s]: %s;", cleanup_id(c), action, event,
             cleanup_client_name(c), cleanup_client_addr(c), text);
    cleanup_add_context(c, &line);
    msg_info("%s", line.p);
    buf_free(&line);
}

void cleanup_milter_hold(struct cleanup *c, const char *event)
{
    if ((c->flags & (SUBMIT_HOLD | SUBMIT_DISCARD)) != 0)
        return;
    log_verdict(c, "milter-hold", event, "milter triggers HOLD action");
    c->flags |= SUBMIT_HOLD;
    qfile_set_queue(c->file, Q_HOLD);
}

static void refuse(struct cleanup *c, const char *event, const struct milter_answer *a)
{
    char dsn[10];
    struct buf text = BUF_TEXT(MILTER_REPLY_MOST), logged = BUF_TEXT(MILTER_REPLY_MOST);
    int code = milter_answer_parts(a, dsn, &text);

    buf_addf(&logged, "%s%s%s", dsn, dsn[0] != 0 ? " " : "", text.p);
    log_verdict(c, "milter-reject", event, logged.p);
    if (dsn[0] == 0)
        dsn_of_code(code, dsn);
    c->reply = arena_strz(c->mem, buf_str(&a->reply));
    cleanup_refuse(c, dsn, "%s", text.p);
    buf_free(&text);
    buf_free(&logged);
}

/* An event's answer. What has failed otherwise stays what it is. */
void cleanup_milter_verdict(struct cleanup *c, const char *event, const struct milter_answer *a)
{
    if (cleanup_failed(c))
        return;
    switch (a->does) {
    case MILTER_GOES_ON:
        break;
    case MILTER_HOLDS:
        cleanup_milter_hold(c, event);
        break;
    case MILTER_DISCARDS:
        log_verdict(c, "milter-discard", event, "milter triggers DISCARD action");
        c->flags |= SUBMIT_DISCARD;
        break;
    case MILTER_REPLIES:
    case MILTER_SHUTS_DOWN:
        refuse(c, event, a);
        break;
    }
}

/* ---- the message ---- */

/* That the disk is full no milter has said. */
static void look_at_file(struct cleanup *c)
{
    struct why why = WHY;

    if (!cleanup_failed(c) && qfile_written(c->file, &why) < 0)
        cleanup_fail(c, why.code, "%s", why_text(&why));
    why_free(&why);
}

void cleanup_show_message(struct cleanup *c, struct milters *milters)
{
    struct cleanup_view view = {.c = c,
                                .field = BUF(MILTER_PACKET_MOST)}; /* asked: by read_field */
    struct milter_content content = {.arg = &view,
                                     .rewind = cleanup_view_rewind,
                                     .next_header = cleanup_view_header,
                                     .next_body = cleanup_view_body};
    struct milter_answer a = MILTER_ANSWER;

    cleanup_view_edits(&content);
    milters_message(milters, &content, &a);
    look_at_file(c);
    cleanup_milter_verdict(c, "END-OF-MESSAGE", &a);
    milter_answer_free(&a);
    qfile_close(&view.back);
    buf_free(&view.field);
    buf_free(&view.line);
}

bool cleanup_wants_milters(const struct cleanup *c)
{
    return !cleanup_failed(c) && c->file != NULL && (c->flags & SUBMIT_DISCARD) == 0;
}

/* Milters may take long. Who has gone meanwhile has told its own client to try again. */
static bool client_has_gone(const struct cleanup *c)
{
    char byte;
    ssize_t n = recv(stream_fd(c->from), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

void cleanup_ask_milters(struct cleanup *c)
{
    bool any = c->milters != NULL || cleanup_has_local_milters(c);

    if (!any || c->is_decided || !cleanup_wants_milters(c))
        return;
    cleanup_put(c, REC_END, STR("")); /* what they put in comes behind it */
    c->has_end = true;
    if (c->milters == NULL)
        cleanup_ask_local(c);
    else
        cleanup_show_message(c, c->milters);
    if (cleanup_wants_milters(c) && client_has_gone(c)) {
        msg_info("%s: not accepted: the client has gone while milters were asked", cleanup_id(c));
        cleanup_fail(c, "4.3.0", "the client has gone");
    }
    if (cleanup_wants_milters(c) && cleanup_late_actions(c, &c->why) < 0)
        c->stopped = true;
}
