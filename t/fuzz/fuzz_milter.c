/* What a filter says, in bytes, to a message that is shown to it: the first two choose its habits.
 * Whatever it is, it comes to an answer; and if it does not end as it must, then no changed message
 * is accepted. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "milter/milter_content.h"
#include "milter/milter_wire.h"
#include "net/sock.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct {
    int headers, bodies, edits;
} seen;

static int rewind_all(void *arg, struct why *why)
{
    (void)arg;
    (void)why;
    seen.headers = seen.bodies = 0;
    return 0;
}

static int next_header(void *arg, struct str *name, struct str *value, struct why *why)
{
    (void)arg;
    (void)why;
    *name = STR("Subject");
    *value = STR(" a\n b");
    return seen.headers++ < 2;
}

static int next_body(void *arg, struct buf *piece, struct why *why)
{
    (void)arg;
    (void)why;
    buf_addz(piece, seen.bodies == 0 ? "body\r\n" : "");
    return seen.bodies++ == 0;
}

/* A filter's text has no zero byte inside, and an address or name fails as the queue's may. */
static int edited(struct str text, struct why *why)
{
    seen.edits++;
    if (text.n > 0 && memchr(text.p, 0, text.n) != NULL)
        abort();
    return text.n == 3 ? why_set(why, "4.3.0", "cannot") : 0;
}

static int add_header(void *arg, struct str name, struct str value, struct why *why)
{
    (void)arg;
    (void)value;
    return edited(name, why);
}

static int index_header(void *arg, size_t index, struct str name, struct str value, struct why *why)
{
    (void)arg;
    (void)index;
    (void)name;
    return edited(value, why);
}

static int with_args(void *arg, struct str address, struct str esmtp, struct why *why)
{
    (void)arg;
    (void)esmtp;
    return edited(address, why);
}

static int with_text(void *arg, struct str text, struct why *why)
{
    (void)arg;
    return edited(text, why);
}

static int replace_body(void *arg, struct str piece, bool whole, struct why *why)
{
    (void)arg;
    (void)piece;
    (void)whole;
    return edited(STR(""), why);
}

static void ignore(const char *level, const char *text)
{
    (void)level;
    (void)text;
}

static const struct milter_content content = {.rewind = rewind_all,
                                              .next_header = next_header,
                                              .next_body = next_body,
                                              .add_header = add_header,
                                              .insert_header = index_header,
                                              .change_header = index_header,
                                              .change_sender = with_args,
                                              .add_rcpt = with_args,
                                              .drop_rcpt = with_text,
                                              .replace_body = replace_body,
                                              .quarantine = with_text};

/* The last thing that it said: an answer to the end of the message. */
static bool ends_well(const uint8_t *p, size_t n)
{
    return n >= 5 && memchr("acrdty4s", p[n - 1], 8) != NULL;
}

static void check(const struct milter_answer *a, const uint8_t *p, size_t n)
{
    bool accepted = a->does == MILTER_GOES_ON || a->does == MILTER_HOLDS;
    struct buf text = BUF_TEXT(MILTER_REPLY_MOST);
    char dsn[10];

    if (accepted != (a->reply.n == 0) && a->does != MILTER_DISCARDS)
        abort();
    if (a->reply.n > 0 && milter_answer_parts(a, dsn, &text) / 100 < 4)
        abort();
    if (accepted && seen.edits > 0 && n > 0 && p[n - 1] == 'Z' && !ends_well(p, n))
        abort();
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct buf state = BUF_TEXT(200);
    struct milter_answer a = MILTER_ANSWER;
    struct why why = WHY;
    int fds[2];

    if (n < 2 || n > 30000 || sock_pair(fds) < 0)
        return 0;
    msg_capture(ignore);
    conf.milter_message_time_limit = conf.milter_reply_count_limit = 100;
    conf.milter_end_of_header_macros = conf.milter_end_of_data_macros = "i";
    conf.milter_macro_defaults = "i=1";
    buf_addf(&state, "x\t1000\t1000\t%u\t6\t0\t%u\t=j\t\n", p[0] % 5u,
             (unsigned)(p[1] << 16 | p[1] << 4 | p[0]));
    if (write(fds[1], p + 2, n - 2) < 0 || shutdown(fds[1], SHUT_WR) < 0)
        abort();
    struct milters *m = milters_import(buf_str(&state), fds, 1, NULL, NULL, &why);
    if (m == NULL)
        abort();
    seen.edits = 0;
    milters_message(m, &content, &a);
    check(&a, p, n);
    milters_free(&m);
    close(fds[1]);
    milter_answer_free(&a);
    buf_free(&state);
    why_free(&why);
    return 0;
}
