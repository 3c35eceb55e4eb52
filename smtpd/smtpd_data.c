/*
 * The DATA command: content up to a line with a dot. RFC 5321 4.1.1.4
 */
#include "smtpd_transfer.h"

/* (waits) Up to the end of the content. False: the client has gone, or must go. */
static bool receive(struct transfer *t)
{
    struct esmtp_data_in in = ESMTP_DATA_IN;
    struct stream *stream = t->s->stream;
    size_t want = 1;
    size_t limit = smtpd_piece_limit();

    smtpd_content_begins(t->s);
    for (;;) {
        size_t before = stream_ahead(stream);
        struct str window = stream_peek_n(stream, want), piece;
        size_t taken = 0, used;
        enum esmtp_data what;
        if (window.n < want)
            return false;
        smtpd_content_came(t->s, window.n - before);
        do {
            what = esmtp_data_in(&in, str_from(window, taken), limit, &piece, &used);
            taken += used;
            if (what == DATA_LINE || what == DATA_PIECE)
                smtpd_transfer_take(t, what, piece);
        } while (what == DATA_LINE || what == DATA_PIECE);
        want = window.n - taken + 1;
        stream_skip(stream, taken);
        if (in.bare_lf > 0 && !smtpd_may_send_bare_lf(t->s)) {
            t->broken = true;
            return false;
        }
        if (what == DATA_END)
            return true;
    }
}

void smtpd_data(struct smtpd *s, struct str args)
{
    if (smtpd_is_after_bdat(s, "DATA") || !smtpd_has_rcpts(s))
        return;
    if (args.n > 0) {
        smtpd_reply(s, 501, "5.5.4", "Syntax: DATA");
        return;
    }
    struct transfer *t = smtpd_transfer_begin(s);
    if (t == NULL)
        return;
    smtpd_reply(s, 354, "", "End data with <CR><LF>.<CR><LF>");
    if (receive(t))
        smtpd_transfer_end(t);
    else
        smtpd_transfer_cut_off(t, "DATA");
    smtpd_end_mail(s);
}
