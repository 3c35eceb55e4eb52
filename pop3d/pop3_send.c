/*
 * A message on its way to the client: CR LF line ends, a dot doubled at the start of a line, and
 * the dot that ends it. RFC 1939 3.
 */
#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/stream.h"

#include "pop3.h"

enum { PIECE = 32 * 1024 };

struct sender {
    struct buf out;
    bool at_start; /* of a line */
    bool cr; /* the byte before was CR */
    bool in_body; /* behind the empty line */
    bool line_empty; /* nothing but a CR so far */
    int64_t left; /* lines of the body still wanted; -1: all */
};

/* One line, or a piece of it. */
static void put_line(struct sender *t, struct str line, bool ends)
{
    if (t->at_start) {
        t->line_empty = true;
        if (line.n > 0 && line.p[0] == '.')
            buf_addc(&t->out, '.');
    }
    buf_add(&t->out, line);
    if (line.n > 0) {
        t->cr = line.p[line.n - 1] == '\r';
        t->line_empty = t->line_empty && line.n == 1 && t->cr;
    }
    t->at_start = ends;
    if (!ends)
        return;
    buf_add(&t->out, t->cr ? STR("\n") : STR("\r\n"));
    t->cr = false;
    if (t->in_body && t->left > 0)
        t->left--;
    t->in_body = t->in_body || t->line_empty;
}

/* False when all lines that were asked for are out. */
static bool put_piece(struct sender *t, struct str piece)
{
    while (piece.n > 0) {
        if (t->in_body && t->left == 0)
            return false;
        const char *lf = memchr(piece.p, '\n', piece.n);
        size_t n = lf != NULL ? (size_t)(lf - piece.p) : piece.n;
        put_line(t, str_upto(piece, n), lf != NULL);
        piece = str_from(piece, n + (lf != NULL));
    }
    return true;
}

/* A read error in the middle: the client must not take half a message for a whole one. */
static void send_bytes(struct pop3 *s, struct sender *t, int fd, off_t size, uint64_t *bytes)
{
    char *piece = mem_resize(NULL, PIECE);
    off_t at = 0;

    while (at < size) {
        ssize_t n = pread(fd, piece, PIECE, at);
        if (n <= 0) {
            stream_fail(s->client, n == 0 ? "message became shorter" : "message is not readable");
            break;
        }
        at += n;
        bool more = put_piece(t, (struct str){piece, (size_t)n});
        *bytes += t->out.n;
        stream_put(s->client, buf_str(&t->out));
        buf_clear(&t->out);
        if (!more || stream_state(s->client) != STREAM_OK)
            break;
    }
    if (!t->at_start)
        stream_putz(s->client, "\r\n");
    stream_putz(s->client, ".\r\n");
    free(piece);
}

bool pop3_send(struct pop3 *s, uint32_t number, int64_t lines, uint64_t *bytes, struct why *why)
{
    /* fits: a piece; its line ends and dots become longer */
    struct sender t = {.out = BUF(3 * PIECE + 16), .at_start = true, .left = lines};
    off_t size;
    int fd;

    if (mailbox_bytes(s->box, s->numbers[number - 1], &fd, &size, why) < 0)
        return false;
    if (lines < 0)
        stream_putf(s->client, "+OK %llu octets\r\n", (unsigned long long)s->sizes[number - 1]);
    else
        stream_putz(s->client, "+OK\r\n");
    send_bytes(s, &t, fd, size, bytes);
    buf_free(&t.out);
    return true;
}
