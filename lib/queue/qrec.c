/*
 * Records of queue files: names, encoding, decoding.
 */
#include "queue/qrec.h"

#include <assert.h>

#include "base/num.h"
#include "base/str.h"

static const struct {
    char type;
    const char *name;
} names[] = {
    {REC_SIZE, "message_size"},
    {REC_TIME, "message_arrival_time"},
    {REC_CTIME, "queue_file_create_time"},
    {REC_FULL, "sender_fullname"},
    {REC_INSP, "content_inspector"},
    {REC_FILT, "content_filter"},
    {REC_FROM, "sender"},
    {REC_DONE, "done_recipient"},
    {REC_DRCP, "canceled_recipient"},
    {REC_RCPT, "recipient"},
    {REC_ORCP, "original_recipient"},
    {REC_WARN, "warning_message_time"},
    {REC_ATTR, "named_attribute"},
    {REC_PTR, "pointer_record"},
    {REC_KILL, "killed_record"},
    {REC_RDIR, "redirect_to"},
    {REC_FLGS, "flags"},
    {REC_VERP, "verp_delimiters"},
    {REC_MESG, "message_content"},
    {REC_NORM, "regular_text"},
    {REC_DTXT, "padding"},
    {REC_XTRA, "extracted_info"},
    {REC_RRTO, "return_receipt"},
    {REC_ERTO, "errors_to"},
    {REC_PRIO, "priority"},
    {REC_DSN_RET, "dsn_return_flags"},
    {REC_DSN_ENVID, "dsn_envelope_id"},
    {REC_DSN_ORCPT, "dsn_original_recipient"},
    {REC_DSN_NOTIFY, "dsn_notify_flags"},
    {REC_END, "message_end"},
};

const char *qrec_name(int type)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].type == type)
            return names[i].name;
    return "unknown_record_type";
}

size_t qrec_head(char head[8], int type, size_t n)
{
    size_t at = 0;

    assert(n <= REC_MAX);
    head[at++] = (char)type;
    do {
        unsigned group = n & 0x7f;
        n >>= 7;
        head[at++] = (char)(n > 0 ? group | 0x80 : group);
    } while (n > 0);
    return at;
}

void qrec_put(struct buf *out, int type, struct str body)
{
    char head[8];
    size_t n = qrec_head(head, type, body.n);

    if (buf_room(out, n + body.n) == NULL)
        return;
    buf_add(out, (struct str){head, n});
    buf_add(out, body);
}

void qrec_putf(struct buf *out, int type, const char *fmt, ...)
{
    struct buf body = BUF(REC_MAX);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&body, fmt, ap);
    va_end(ap);
    if (buf_ok(&body))
        qrec_put(out, type, buf_str(&body));
    else
        buf_spoil(out);
    buf_free(&body);
}

void qrec_put_line(struct buf *out, struct str line, size_t max)
{
    while (line.n > max) {
        qrec_put(out, REC_CONT, str_upto(line, max));
        line = str_from(line, max);
    }
    qrec_put(out, REC_NORM, line);
}

int qrec_take(struct str bytes, struct str *body, size_t *size)
{
    size_t at = 1, n = 0;
    unsigned shift = 0, group;

    *size = bytes.n + 1;
    if (bytes.n == 0)
        return REC_EOF;
    do {
        if (at >= bytes.n)
            return QREC_MORE;
        group = (unsigned char)bytes.p[at++];
        if (shift > 21)
            return REC_BAD;
        n |= (size_t)(group & 0x7f) << shift;
        shift += 7;
    } while (group & 0x80);
    if (n > REC_MAX)
        return REC_BAD;
    *size = at + n;
    if (bytes.n < *size)
        return QREC_MORE;
    *body = (struct str){bytes.p + at, n};
    return (unsigned char)bytes.p[0];
}

void qsize_format(const struct qsize *q, struct buf *out)
{
    buf_clear(out);
    buf_addf(out, "%15lld %15lld %15lld %15lld %15lld %15lld", (long long)q->size,
             (long long)q->data_offset, (long long)q->rcpts, (long long)q->flags,
             (long long)q->content, (long long)q->sendopts);
}

bool qsize_parse(struct str body, struct qsize *q)
{
    int64_t *const field[] = {&q->size,  &q->data_offset, &q->rcpts,
                              &q->flags, &q->content,     &q->sendopts};
    struct str word;
    size_t n = 0;

    *q = (struct qsize){0};
    while (n < 6 && str_word(&body, " ", &word))
        if (!num_parse(word, 0, INT64_MAX, field[n++]))
            return false;
    if (n < 5)
        q->content = q->size;
    return n >= 1;
}

bool qrec_parse_time(struct str body, int64_t *wall_us)
{
    struct str word;
    int64_t seconds, us = 0;

    if (!str_word(&body, " ", &word) || !num_parse(word, 0, INT64_MAX / 1000000 - 1, &seconds))
        return false;
    if (str_word(&body, " ", &word) && !num_parse(word, 0, 999999, &us))
        return false;
    *wall_us = seconds * 1000000 + us;
    return true;
}

bool qrec_parse_attr(struct str body, struct str *name, struct str *value)
{
    ptrdiff_t at = str_find(body, '=');

    if (at <= 0)
        return false;
    *name = str_trim(str_upto(body, (size_t)at));
    *value = str_from(body, (size_t)at + 1);
    return name->n > 0;
}
