/*
 * The BDAT command: content in chunks of announced sizes, in which no line means anything. RFC 3030
 * 2. Behind the command it is as with DATA: lists, filters and cleanup see no difference. What a
 * refused chunk has is thrown away, so that the bytes behind it are commands again.
 */
#include <inttypes.h>

#include "base/msg.h"
#include "base/num.h"
#include "conf/conf.h"
#include "mail/esmtp_ehlo.h"

#include "smtpd_transfer.h"

struct chunk {
    int64_t size; /* bytes */
    bool last;
};

bool smtpd_is_after_bdat(struct smtpd *s, const char *command)
{
    if (s->bdat == BDAT_NONE)
        return false;
    smtpd_reply(s, 503, "5.5.1", "Error: %s after BDAT", command);
    return true;
}

static bool parse_chunk(struct str args, struct chunk *c)
{
    struct str size, word;

    if (!str_word(&args, " \t", &size) || !num_parse(size, 0, INT64_MAX, &c->size))
        return false;
    c->last = str_word(&args, " \t", &word);
    return !c->last || (str_ieqz(word, "LAST") && args.n == 0);
}

/* False: the client must go, because of a line that ends in a bare LF. */
static bool take_bytes(struct transfer *t, struct str bytes)
{
    enum esmtp_data what;
    struct str piece;
    size_t used;

    do {
        what = esmtp_bdat_in(&t->chunks, bytes, &piece, &used);
        bytes = str_from(bytes, used);
        if (what != DATA_MORE)
            smtpd_transfer_take(t, what, piece);
    } while (what != DATA_MORE);
    t->broken = t->chunks.lines.bare_lf > 0 && !smtpd_may_send_bare_lf(t->s);
    return !t->broken;
}

/* (waits) A chunk's bytes go to t, or away if it is null. False: the client has gone, or must go.
 */
static bool receive(struct smtpd *s, int64_t size, struct transfer *t)
{
    struct stream *stream = s->stream;

    smtpd_content_begins(s);
    while (size > 0) {
        size_t before = stream_ahead(stream);
        struct str window = stream_peek(stream);
        if (window.n == 0)
            return false;
        smtpd_content_came(s, window.n - before);
        window = str_upto(window, (uint64_t)size < window.n ? (size_t)size : window.n);
        if (t != NULL && !take_bytes(t, window))
            return false;
        size -= (int64_t)window.n;
        stream_skip(stream, window.n);
    }
    return true;
}

/* (waits) The chunk was refused, as the client has been told: its bytes are read, if they are not
 * too many, and those of the following ones will be. */
static void throw_away(struct smtpd *s, const struct chunk *c)
{
    if (s->closing)
        return;
    if (conf.smtpd_bdat_discard_limit > 0 && c->size > conf.smtpd_bdat_discard_limit) {
        msg_info("%s: a refused chunk of %" PRId64 " bytes is not read", s->namaddr, c->size);
        s->closing = true;
        return;
    }
    receive(s, c->size, NULL);
    s->bdat = BDAT_REFUSED;
}

static bool too_big(struct smtpd *s, const struct chunk *c)
{
    if (conf.message_size_limit == 0 || c->size <= conf.message_size_limit - s->mail->bytes)
        return false;
    msg_warn_each("NOQUEUE: BDAT request from %s exceeds message size limit", s->namaddr);
    smtpd_reply(s, 552, "5.3.4", "Chunk exceeds message size limit");
    return true;
}

/* (waits) May it come? The first one stands for DATA. False: the client has been told no. */
static bool is_welcome(struct smtpd *s, const struct chunk *c)
{
    if (s->bdat == BDAT_REFUSED) {
        smtpd_reply(s, 551, "5.0.0", "Discarded %" PRId64 " bytes after earlier error", c->size);
        return false;
    }
    if (c->size == 0 && !c->last) {
        msg_warn_each("NOQUEUE: null BDAT request from %s", s->namaddr);
        smtpd_reply(s, 551, "5.7.1", "Null BDAT request");
        return false;
    }
    if (s->bdat == BDAT_NONE) {
        if (!smtpd_has_rcpts(s) || smtpd_transfer_begin(s) == NULL)
            return false;
        s->bdat = BDAT_BEGUN;
    }
    return !too_big(s, c);
}

/* (waits) The last line may have no end. */
static void finish_content(struct transfer *t)
{
    struct str rest;

    if (esmtp_bdat_end(&t->chunks, &rest))
        smtpd_transfer_take(t, DATA_LINE, rest);
    smtpd_transfer_end(t);
}

static void take_chunk(struct smtpd *s, const struct chunk *c)
{
    struct transfer *t = s->mail->transfer;

    if (!receive(s, c->size, t)) {
        t->m->bytes += (int64_t)esmtp_bdat_held(&t->chunks);
        smtpd_transfer_cut_off(t, "BDAT");
    } else if (c->last) {
        finish_content(t);
    } else if (smtpd_transfer_failed(t)) {
        s->bdat = BDAT_REFUSED;
    } else {
        smtpd_reply(s, 250, "2.0.0", "Ok: %" PRId64 " bytes", c->size);
    }
}

void smtpd_bdat(struct smtpd *s, struct str args)
{
    struct chunk c;

    if ((s->hidden & ESMTP_CHUNKING) != 0) { /* what follows is not told from commands */
        smtpd_reply(s, 521, "5.5.1", "Error: command not implemented");
        s->closing = true;
        return;
    }
    if (!parse_chunk(args, &c)) {
        msg_warn_each("NOQUEUE: malformed BDAT command syntax from %s: %.100s", s->namaddr,
                      s->line.p);
        smtpd_reply(s, 521, "5.5.4", "Syntax: BDAT count [LAST]");
        s->closing = true;
        return;
    }
    if (is_welcome(s, &c))
        take_chunk(s, &c);
    else
        throw_away(s, &c);
    if (c.last)
        smtpd_end_mail(s);
}
