/*
 * The content: queue file records to lines of SMTP. RFC 5321 4.5.2 (dots), 4.5.3.1.6 (line length),
 * 2.3.8 (CR and LF only as the end of a line).
 */
#include "base/str.h"
#include "conf/conf.h"
#include "net/stream.h"
#include "queue/qrec.h"

#include "smtp.h"

struct body {
    struct stream *out;
    size_t column; /* bytes of the present line so far */
    size_t limit; /* 0: none */
};

static void put_clean(struct body *b, struct str text)
{
    if (b->column == 0 && text.n > 0 && text.p[0] == '.')
        stream_putc(b->out, '.');
    stream_put(b->out, text);
    b->column += text.n;
}

/* A CR or LF inside a line could end it, or the message, for a careless server. */
static void put_dirty(struct body *b, struct str text)
{
    while (text.n > 0) {
        size_t n = 0;
        while (n < text.n && text.p[n] != '\r' && text.p[n] != '\n')
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
    if (memchr(text.p, '\r', text.n) != NULL || memchr(text.p, '\n', text.n) != NULL)
        put_dirty(b, text);
    else
        put_clean(b, text);
}

static void put_piece(struct body *b, struct str text)
{
    while (b->limit > 0 && text.n > b->limit - b->column) {
        size_t part = b->limit - b->column;
        if (part > 0)
            put_part(b, str_upto(text, part));
        stream_put(b->out, STR("\r\n "));
        b->column = 1;
        text = str_from(text, part);
    }
    if (text.n > 0)
        put_part(b, text);
}

static int put_content(struct body *b, struct qfile *file, struct why *why)
{
    struct str text;

    for (;;) {
        switch (qfile_next(file, &text)) {
        case REC_NORM:
            put_piece(b, text);
            stream_put(b->out, STR("\r\n"));
            b->column = 0;
            break;
        case REC_CONT:
            put_piece(b, text);
            break;
        case REC_XTRA:
        case REC_END:
            if (b->column > 0)
                stream_put(b->out, STR("\r\n"));
            return 0;
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

int smtp_send_body(struct smtp_job *job, struct smtp_session *s, struct why *why)
{
    struct body b = {.out = s->stream,
                     .limit =
                         conf.smtp_line_length_limit > 1 ? (size_t)conf.smtp_line_length_limit : 0};

    s->doing = "sending message body";
    stream_set_deadline(s->stream, 0);
    stream_set_idle(s->stream, conf.smtp_data_xfer_timeout * 1000);
    if (qfile_seek(job->file, job->d->data_offset, why) < 0 || put_content(&b, job->file, why) < 0)
        return -1;
    if (stream_state(s->stream) == STREAM_OK)
        s->doing = "sending end of data -- message may be sent more than once";
    stream_put(s->stream, STR(".\r\n"));
    stream_flush(s->stream);
    stream_set_idle(s->stream, 0);
    return 0;
}
