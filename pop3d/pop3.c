/*
 * NAME
 *     pop3 - POP3 after login
 *
 * SYNOPSIS
 *     pop3 [service options]; started by master
 *
 * DESCRIPTION
 *     Waits for the mailbox broker and forks a process for each user whose connection it passes.
 *     That process holds the mailbox alone (a second session is refused with [IN-USE]), serves the
 *     TRANSACTION state, and removes messages only after QUIT.
 *
 * SECURITY
 *     The process of a user has his uid and by Landlock no access to anything but his mail
 *     directory; it opens no connection and starts no program. What forks it reads no byte of a
 *     client.
 *
 * STANDARDS
 *     RFC 1939, RFC 2449 (RESP-CODES, PIPELINING), RFC 3206 (SYS/TEMP)
 *
 * SEE ALSO
 *     pop3d, mailbox, authd, imap
 */
#include "pop3.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "net/stream.h"
#include "service/conf_check.h"
#include "service/metrics.h"
#include "store/store_conf.h"
#include "store/uidset.h"

enum { LINE_MAX_BYTES = 1024 }; /* RFC 2449 4: 255 octets with arguments; be generous */

static void pop3_refuse(struct stream *client, const struct handover *h, const struct why *why)
{
    bool limit = strcmp(why->code, SESSION_LIMIT) == 0;

    (void)h;
    stream_putf(client, "-ERR [%s] %s\r\n", limit ? "IN-USE" : "SYS/TEMP", why_text(why));
}

/* All sizes are needed at once: clients ask STAT or LIST first. */
static void take_messages(struct pop3 *s, struct arena *mem)
{
    uint32_t count = mailbox_count(s->box);
    struct why why = WHY;

    s->numbers = arena_array(mem, count + 1, sizeof *s->numbers);
    s->sizes = arena_array(mem, count + 1, sizeof *s->sizes);
    s->marks = arena_array(mem, count + 1, sizeof *s->marks);
    for (uint32_t n = 1; n <= count; n++) {
        uint64_t size = mailbox_msg(s->box, n)->size;
        if (size == 0 && mailbox_size(s->box, n, &size, &why) < 0) {
            msg_warn("user %s: message with uid %u is left out: %s", session_user()->name,
                     mailbox_msg(s->box, n)->uid, why_text(&why));
            continue;
        }
        s->numbers[s->count] = n;
        s->sizes[s->count++] = size;
        s->total += size;
    }
    why_free(&why);
}

static int open_mailbox(struct pop3 *s, struct arena *mem, bool *in_use, struct why *why)
{
    struct store_settings settings = store_conf();
    const char *path = arena_strz(mem, user_maildir(session_user()));

    s->store = store_open(path, &settings, true, why);
    if (s->store == NULL)
        return -1;
    s->box = mailbox_open(s->store, "INBOX", false, why);
    if (s->box == NULL)
        return -1;
    if (mailbox_lock_session(s->box, why) < 0) {
        *in_use = strcmp(why->code, "4.2.0") == 0;
        return -1;
    }
    take_messages(s, mem);
    return 0;
}

static bool set_of(const struct pop3 *s, unsigned mark, struct uidset *out)
{
    for (uint32_t n = 1; n <= s->count; n++)
        if ((s->marks[n - 1] & mark) != 0) {
            uint32_t uid = mailbox_msg(s->box, s->numbers[n - 1])->uid;
            uidset_add(out, uid, uid);
        }
    return out->n > 0;
}

/* RFC 1939 6: only after QUIT, and nothing that was not marked. That a message was seen is of no
 * concern to the client, so it need not hear that this could not be kept. */
bool pop3_update(struct pop3 *s)
{
    struct uidset which = UIDSET;
    struct why why = WHY;
    struct flag_change seen = {.op = FLAGS_ADD, .flags = MSG_SEEN, .silent = true};
    bool removed = true, kept = true;

    if (set_of(s, POP3_DELETED, &which))
        removed = mailbox_expunge(s->box, &which, true, &why) == 0;
    uidset_clear(&which);
    if (removed && !conf.pop3_no_flag_updates && set_of(s, POP3_SEEN, &which))
        kept = mailbox_flag(s->box, &which, &seen, &why) == 0;
    if (!removed || !kept)
        msg_warn("user %s: update of the mailbox: %s", session_user()->name, why_text(&why));
    uidset_free(&which);
    why_free(&why);
    return removed;
}

static void serve(struct pop3 *s)
{
    struct buf line = BUF(LINE_MAX_BYTES);
    enum line end = LINE_NONE;

    stream_set_idle(s->client, conf.pop3_timeout * 1000);
    while (!s->quit && s->bad < conf.pop3_max_bad_commands && !session_draining() &&
           (end = stream_line(s->client, &line)) != LINE_NONE) {
        if (end == LINE_TOO_LONG) {
            stream_putz(s->client, "-ERR Input line too long.\r\n");
            s->bad++;
        } else {
            pop3_command(s, buf_str(&line));
        }
    }
    buf_free(&line);
    if (s->quit)
        s->ended = "Logged out";
    else if (s->bad >= conf.pop3_max_bad_commands)
        s->ended = "Too many bad commands";
    else if (stream_state(s->client) == STREAM_TIMEOUT)
        s->ended = "Disconnected for inactivity";
    else if (stream_state(s->client) == STREAM_CANCELLED || session_draining())
        s->ended = "Server shutting down";
    else
        s->ended = "Connection closed";
    /* RFC 1939 3: an idle client is left without the UPDATE state. */
    if (!s->quit && stream_state(s->client) != STREAM_EOF)
        stream_putf(s->client, "-ERR %s.\r\n", s->ended);
}

static void log_end(const struct pop3 *s)
{
    msg_info("pop3(%s): %s: top=%u/%llu, retr=%u/%llu, del=%u/%u, size=%llu, rip=%s, session=<%s>",
             session_user()->name, s->ended, s->top, (unsigned long long)s->top_bytes, s->retr,
             (unsigned long long)s->retr_bytes, s->quit ? s->deleted : 0, s->count,
             (unsigned long long)s->total, s->from->client_address, s->from->session);
}

void pop3_connection(struct stream *client, const struct handover *h, struct arena *mem)
{
    struct pop3 s = {.client = client, .from = h, .ended = "No mailbox"};
    struct why why = WHY;
    bool in_use = false;

    ++*metrics_counter("sessions");
    if (open_mailbox(&s, mem, &in_use, &why) < 0) {
        msg_info("pop3(%s): %s", session_user()->name, why_text(&why));
        stream_putf(client, "-ERR [%s] %s\r\n", in_use ? "IN-USE" : "SYS/TEMP",
                    in_use ? "The mailbox is in use by another session."
                           : "The mailbox cannot be opened, try again later.");
    } else {
        stream_putz(client, "+OK Logged in.\r\n");
        serve(&s);
        log_end(&s);
    }
    mailbox_close(&s.box);
    store_close(&s.store);
    why_free(&why);
}

static void check_settings(void)
{
    struct why why = WHY;

    if (conf_check_pop3(&why) < 0)
        msg_fatal("%s", why_text(&why));
}

int main(int argc, char **argv)
{
    static const struct session_program pop3 = {.name = "pop3",
                                                .open = check_settings,
                                                .connection = pop3_connection,
                                                .refuse = pop3_refuse};

    return session_main(&pop3, argc, argv);
}
