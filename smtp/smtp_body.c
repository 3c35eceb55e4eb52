/*
 * The content: queue file records to lines of SMTP. RFC 5321 4.5.2 (dots), 4.5.3.1.6 (line length),
 * 2.3.8 (CR and LF only as the end of a line).
 */
#include <string.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "mail/mime_7bit.h"
#include "net/stream.h"
#include "queue/qrec.h"

#include "smtp.h"

enum { PIECE = 4096, TEXT_MAX = 8 * PIECE }; /* of a record to the converter; what comes of it */

struct body {
    struct stream *out;
    size_t column; /* bytes of the present line so far */
    size_t limit; /* 0: none */
    const char *queue_id; /* null: it has been logged that a line was broken */
    struct mime_7bit *to_7bit; /* null: the server takes it as it is */
    struct buf text; /* of that, ready to be sent */
};

static void put_clean(struct body *b, struct str text)
{
    if (b->column == 0 && text.n > 0 && text.p[0] == '.')
        stream_putc(b->out, '.');
    stream_put(b->out, text);
    b->column += text.n;
}

/* Could it end a line, or the message, for a careless server? Some leave NUL out before they look
 * at the dot. */
static bool is_stray(char c)
{
    return c == '\r' || c == '\n' || c == 0;
}

static void put_dirty(struct body *b, struct str text)
{
    while (text.n > 0) {
        size_t n = 0;
        while (n < text.n && !is_stray(text.p[n]))
            n++;
        put_clean(b, str_upto(text, n));
        if (n == text.n)
            break;
        put_clean(b, STR(" "));
        text = str_from(text, n + 1);
    }
}

static void put_part(struct body *b, struct str text)
{
    if (memchr(text.p, '\r', text.n) != NULL || memchr(text.p, '\n', text.n) != NULL ||
        memchr(text.p, 0, text.n) != NULL)
        put_dirty(b, text);
    else
        put_clean(b, text);
}

static void log_breaking(struct body *b)
{
    if (b->queue_id != NULL)
        msg_info("%s: breaking line > %zu bytes with <CR><LF>SPACE", b->queue_id, b->limit);
    b->queue_id = NULL;
}

static void put_piece(struct body *b, struct str text)
{
    while (b->limit > 0 && text.n > b->limit - b->column) {
        size_t part = b->limit - b->column;
        log_breaking(b);
        if (part > 0)
            put_part(b, str_upto(text, part));
        stream_put(b->out, STR("\r\n "));
        b->column = 1;
        text = str_from(text, part);
    }
    if (text.n > 0)
        put_part(b, text);
}

static void end_line(struct body *b)
{
    stream_put(b->out, STR("\r\n"));
    b->column = 0;
}

static int put_converted(struct body *b, struct why *why)
{
    struct str rest = buf_str(&b->text), line;

    if (mime_7bit_failed(b->to_7bit))
        return why_set(why, "5.6.0", "MIME nesting exceeds safety limit");
    if (!buf_ok(&b->text))
        return why_set(why, "5.6.0", "a header field is too long to be made 7-bit text");
    while (rest.n > 0) {
        const char *lf = memchr(rest.p, '\n', rest.n);
        line = lf != NULL ? str_upto(rest, (size_t)(lf - rest.p)) : rest;
        put_piece(b, line);
        if (lf != NULL)
            end_line(b);
        rest = str_from(rest, line.n + (lf != NULL));
    }
    buf_clear(&b->text);
    return 0;
}

/* A record of the content; RFC 6152 3: no 8-bit text for a server that does not take it. */
static int put_record(struct body *b, struct str text, bool line_end, struct why *why)
{
    if (b->to_7bit == NULL) {
        put_piece(b, text);
        if (line_end)
            end_line(b);
        return 0;
    }
    while (text.n > 0) {
        struct str piece = str_upto(text, PIECE);
        const char *lf = memchr(piece.p, '\n', piece.n);
        if (lf != NULL) /* inside a line: see put_dirty */
            piece.n = (size_t)(lf - piece.p);
        mime_7bit_put(b->to_7bit, piece, &b->text);
        if (lf != NULL)
            mime_7bit_put(b->to_7bit, STR(" "), &b->text);
        text = str_from(text, piece.n + (lf != NULL));
        if (put_converted(b, why) < 0)
            return -1;
    }
    if (line_end)
        mime_7bit_put(b->to_7bit, STR("\n"), &b->text);
    return put_converted(b, why);
}

static int put_end(struct body *b, struct why *why)
{
    if (b->to_7bit != NULL) {
        mime_7bit_end(b->to_7bit, &b->text);
        if (put_converted(b, why) < 0)
            return -1;
    }
    if (b->column > 0)
        end_line(b);
    return 0;
}

static int put_content(struct body *b, struct qfile *file, struct why *why)
{
    struct str text;

    for (;;) {
        enum rec type = qfile_next(file, &text);
        switch (type) {
        case REC_NORM:
        case REC_CONT:
            if (put_record(b, text, type == REC_NORM, why) < 0)
                return -1;
            break;
        case REC_XTRA:
        case REC_END:
            return put_end(b, why);
        case REC_DTXT: /* room that an edit left */
        case REC_KILL:
            break;
        default:
            return why_set(why, "4.3.0", "unreadable queue file");
        }
        if (stream_state(b->out) != STREAM_OK)
            return 0; /* the reader of the reply finds out why */
    }
}

static struct mime_7bit *converter(const struct smtp_job *job, const struct smtp_session *s)
{
    struct mime_7bit_limits limits = {.nesting = (size_t)conf.mime_nesting_limit,
                                      .boundary = (size_t)conf.mime_boundary_length_limit,
                                      .header = (size_t)conf.header_size_limit};

    if ((s->ehlo.ext & ESMTP_8BITMIME) != 0 || strcmp(job->d->encoding, "8bit") != 0 ||
        conf.disable_mime_output_conversion)
        return NULL;
    return mime_7bit_new(&limits);
}

int smtp_send_body(struct smtp_job *job, struct smtp_session *s, struct why *why)
{
    struct body b = {.out = s->stream,
                     .limit =
                         conf.smtp_line_length_limit > 1 ? (size_t)conf.smtp_line_length_limit : 0,
                     .queue_id = job->d->queue_id,
                     .to_7bit = converter(job, s),
                     /* asked: by put_converted */
                     .text = BUF(TEXT_MAX + (size_t)conf.header_size_limit +
                                 (size_t)conf.mime_boundary_length_limit)};
    int failed;

    s->doing = "sending message body";
    stream_set_deadline(s->stream, 0);
    stream_set_idle(s->stream, conf.smtp_data_xfer_timeout * 1000);
    failed =
        qfile_seek(job->file, job->d->data_offset, why) < 0 || put_content(&b, job->file, why) < 0;
    mime_7bit_free(&b.to_7bit);
    buf_free(&b.text);
    if (failed)
        return -1;
    if (stream_state(s->stream) == STREAM_OK)
        s->doing = "sending end of data -- message may be sent more than once";
    stream_put(s->stream, STR(".\r\n"));
    stream_flush(s->stream);
    stream_set_idle(s->stream, 0);
    return 0;
}
