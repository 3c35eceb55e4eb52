/*
 * The commands of the TRANSACTION state. RFC 1939 5 and 7.
 */
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/pop3_uidl.h"
#include "net/stream.h"
#include "task/task.h"

#include "pop3.h"

enum { UIDL_MAX = 1000 }; /* RFC 1939 7 says 70; a file name can be longer */
enum { LINES_A_TURN = 1000 }; /* then the user's other sessions have theirs */

static void bad(struct pop3 *s, const char *text)
{
    s->bad++;
    stream_putf(s->client, "-ERR %s\r\n", text);
}

static bool is_deleted(const struct pop3 *s, uint32_t number)
{
    return (s->marks[number - 1] & POP3_DELETED) != 0;
}

/* Nothing but blanks is left; false: the client was told. "DELE 1 2" must not delete 1. */
static bool is_end(struct pop3 *s, struct str args)
{
    if (str_trim(args).n == 0)
        return true;
    bad(s, "Too many arguments.");
    return false;
}

/* A message number that is there; false: the client was told. */
static bool take_number(struct pop3 *s, struct str *args, uint32_t *number)
{
    struct str word;
    uint32_t n;

    if (!str_word(args, " ", &word) || !num_parse_u32(word, 0, UINT32_MAX, &n)) {
        bad(s, "Invalid message number.");
        return false;
    }
    if (n == 0 || n > s->count) {
        stream_putf(s->client, "-ERR There's no message %u.\r\n", n);
        return false;
    }
    if (is_deleted(s, n)) {
        stream_putz(s->client, "-ERR Message is deleted.\r\n");
        return false;
    }
    *number = n;
    return true;
}

static void cmd_stat(struct pop3 *s, struct str args)
{
    (void)args;
    stream_putf(s->client, "+OK %u %llu\r\n", s->count - s->deleted,
                (unsigned long long)(s->total - s->deleted_total));
}

/* (waits) now and then, in long lists. */
static void next_line(uint32_t n)
{
    if (n % LINES_A_TURN == 0)
        task_yield();
}

static void put_size(struct pop3 *s, uint32_t n)
{
    stream_putf(s->client, "%u %llu\r\n", n, (unsigned long long)s->sizes[n - 1]);
    next_line(n);
}

static void cmd_list(struct pop3 *s, struct str args)
{
    uint32_t n;

    if (str_trim(args).n > 0) {
        if (take_number(s, &args, &n) && is_end(s, args))
            stream_putf(s->client, "+OK %u %llu\r\n", n, (unsigned long long)s->sizes[n - 1]);
        return;
    }
    stream_putf(s->client, "+OK %u messages:\r\n", s->count - s->deleted);
    for (n = 1; n <= s->count; n++)
        if (!is_deleted(s, n))
            put_size(s, n);
    stream_putz(s->client, ".\r\n");
}

/* False: a unique id cannot be made. Then it is left out: a wrong one would make the client take
 * the message for another. */
static bool put_uidl(struct pop3 *s, const char *before, uint32_t n)
{
    /* asked: by pop3_uidl_put */
    struct buf text = BUF(UIDL_MAX);
    uint32_t number = s->numbers[n - 1];
    const struct pop3_uidl m = {mailbox_msg(s->box, number)->uid, mailbox_uidvalidity(s->box),
                                mailbox_guid(s->box, number)};
    bool good = pop3_uidl_put(conf.pop3_uidl_format, &m, &text);

    if (good) {
        stream_putf(s->client, "%s%u ", before, n);
        stream_put(s->client, buf_str(&text));
        stream_putz(s->client, "\r\n");
    }
    buf_free(&text);
    return good;
}

static void cmd_uidl(struct pop3 *s, struct str args)
{
    uint32_t n;

    if (str_trim(args).n > 0) {
        if (take_number(s, &args, &n) && is_end(s, args) && !put_uidl(s, "+OK ", n))
            stream_putz(s->client, "-ERR [SYS/PERM] This message has no unique id.\r\n");
        return;
    }
    stream_putz(s->client, "+OK\r\n");
    for (n = 1; n <= s->count; n++) {
        if (!is_deleted(s, n))
            put_uidl(s, "", n);
        next_line(n);
    }
    stream_putz(s->client, ".\r\n");
}

/* The message, or why not: nothing has been sent yet when opening it fails. */
static bool send_message(struct pop3 *s, uint32_t n, int64_t lines, uint64_t *bytes)
{
    struct why why = WHY;
    bool sent = pop3_send(s, n, lines, bytes, &why);

    if (!sent)
        stream_putf(s->client, "-ERR [SYS/TEMP] %s\r\n", why_text(&why));
    why_free(&why);
    return sent;
}

static void cmd_retr(struct pop3 *s, struct str args)
{
    uint32_t n;

    if (!take_number(s, &args, &n) || !is_end(s, args) || !send_message(s, n, -1, &s->retr_bytes))
        return;
    s->retr++;
    s->marks[n - 1] |= POP3_SEEN;
}

static void cmd_top(struct pop3 *s, struct str args)
{
    struct str word;
    uint64_t lines;
    uint32_t n;

    if (!take_number(s, &args, &n))
        return;
    if (!str_word(&args, " ", &word) || !num_parse_u64(word, 0, INT64_MAX, &lines))
        bad(s, "Invalid line count.");
    else if (is_end(s, args) && send_message(s, n, (int64_t)lines, &s->top_bytes))
        s->top++;
}

static void cmd_dele(struct pop3 *s, struct str args)
{
    uint32_t n;

    if (!take_number(s, &args, &n) || !is_end(s, args))
        return;
    s->marks[n - 1] |= POP3_DELETED;
    s->deleted++;
    s->deleted_total += s->sizes[n - 1];
    stream_putz(s->client, "+OK Marked to be deleted.\r\n");
}

static void cmd_rset(struct pop3 *s, struct str args)
{
    (void)args;
    for (uint32_t n = 1; n <= s->count; n++)
        s->marks[n - 1] = 0;
    s->deleted = 0;
    s->deleted_total = 0;
    stream_putz(s->client, "+OK\r\n");
}

static void cmd_noop(struct pop3 *s, struct str args)
{
    (void)args;
    stream_putz(s->client, "+OK\r\n");
}

/* RFC 2449 5: what is told may differ between the states. */
static void cmd_capa(struct pop3 *s, struct str args)
{
    (void)args;
    stream_putz(s->client, "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\n"
                           "AUTH-RESP-CODE\r\n.\r\n");
}

static void cmd_quit(struct pop3 *s, struct str args)
{
    (void)args;
    s->quit = true;
    if (!pop3_update(s))
        stream_putz(s->client, "-ERR [SYS/TEMP] Some messages could not be removed.\r\n");
    else if (s->deleted > 0)
        stream_putz(s->client, "+OK Logging out, messages deleted.\r\n");
    else
        stream_putz(s->client, "+OK Logging out.\r\n");
}

static const struct {
    const char *name;
    void (*run)(struct pop3 *s, struct str args);
} commands[] = {
    {"RETR", cmd_retr}, {"DELE", cmd_dele}, {"TOP", cmd_top},   {"LIST", cmd_list},
    {"UIDL", cmd_uidl}, {"STAT", cmd_stat}, {"NOOP", cmd_noop}, {"RSET", cmd_rset},
    {"QUIT", cmd_quit}, {"CAPA", cmd_capa},
};

void pop3_command(struct pop3 *s, struct str line)
{
    ptrdiff_t blank = str_find(line, ' ');
    struct str name = blank < 0 ? line : str_upto(line, (size_t)blank);
    struct str args = blank < 0 ? STR("") : str_from(line, (size_t)blank + 1);

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (str_ieqz(name, commands[i].name)) {
            unsigned before = s->bad;
            commands[i].run(s, args);
            if (s->bad == before)
                s->bad = 0;
            return;
        }
    bad(s, "Unknown command.");
}
