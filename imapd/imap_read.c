/*
 * Reading a command: its lines and literals, under imap_max_line_length. RFC 3501 2.2.1, 7.5;
 * RFC 7888 (LITERAL+).
 */
#include "base/str.h"
#include "conf/conf.h"
#include "net/sock.h"

#include "imap.h"

enum line imap_read_line(struct imap *c, struct buf *line, enum imap_literal_kind *kind,
                         struct imap_literal *l)
{
    enum { LITERAL_MOST = 64 }; /* "{9223372036854775807+}", and zeros in front */
    struct buf end = BUF(LITERAL_MOST); /* fits: the stream keeps no more */
    enum line read = stream_line_end(c->client, line, &end);

    *kind = read == LINE_NONE
                ? LITERAL_NONE
                : imap_literal_at_end(buf_str(read == LINE_TOO_LONG ? &end : line), l);
    buf_free(&end);
    return read;
}

static void skip_literal(struct imap *c, const struct imap_literal *l)
{
    uint64_t left = l->size;

    while (left > 0 && stream_state(c->client) == STREAM_OK) {
        struct str there = stream_peek(c->client);
        size_t n = there.n < left ? there.n : (size_t)left;
        stream_skip(c->client, n);
        left -= n;
    }
}

void imap_skip_command(struct imap *c, const struct imap_literal *l)
{
    struct imap_literal next = *l;
    enum imap_literal_kind found = LITERAL_FOUND;

    while (found == LITERAL_FOUND && !next.synchronising && stream_state(c->client) == STREAM_OK) {
        struct buf line = BUF((size_t)conf.imap_max_line_length); /* fits: only its end counts */
        skip_literal(c, &next);
        imap_read_line(c, &line, &found, &next);
        buf_free(&line);
    }
}

/* "tag APPEND {": this literal is the folder's name; any other one of APPEND is the message. */
static bool is_message_of_append(struct str text, const struct imap_literal *l)
{
    struct str rest = text, word;

    if (!str_word(&rest, " ", &word) || !str_word(&rest, " ", &word) || !str_ieqz(word, "APPEND"))
        return false;
    return str_word(&rest, " ", &word) && word.p != text.p + l->at;
}

static void imap_read_refuse(struct imap *c, struct str text, const struct imap_literal *l,
                             const char *what)
{
    struct str rest = text, tag = STR("*");

    str_word(&rest, " ", &tag);
    if (!str_is_printable(tag) || tag.n > 100)
        tag = STR("*");
    stream_put(c->client, tag);
    stream_putf(c->client, " BAD [TOOBIG] %s\r\n", what);
    if (l != NULL)
        imap_skip_command(c, l);
}

void imap_rest_of_line_comes(struct imap *c)
{
    if (stream_ahead(c->client) == 0)
        sock_ack_now(stream_fd(c->client));
}

static bool read_literal(struct imap *c, struct buf *text, const struct imap_literal *l)
{
    if (l->synchronising)
        stream_putz(c->client, "+ OK\r\n");
    buf_addz(text, "\r\n");
    char *to = buf_room(text, (size_t)l->size);
    if (to == NULL || stream_read(c->client, to, (size_t)l->size) != l->size)
        return false;
    buf_grown(text, (size_t)l->size);
    imap_rest_of_line_comes(c);
    return true;
}

static enum imap_read read_into(struct imap *c, struct buf *text)
{
    enum imap_literal_kind found;
    struct imap_literal l;

    for (;;) {
        struct buf line = BUF(text->max - text->n); /* fits: or kind says that it is too long */
        enum line kind = imap_read_line(c, &line, &found, &l);
        size_t start = text->n;
        buf_add(text, buf_str(&line));
        buf_free(&line);
        if (kind == LINE_NONE)
            return IMAP_READ_END;
        if (kind == LINE_TOO_LONG) {
            imap_read_refuse(c, buf_str(text), found == LITERAL_FOUND ? &l : NULL,
                             "Command line too long.");
            return IMAP_READ_REFUSED;
        }
        l.at += start;
        if (found == LITERAL_NONE ||
            (found == LITERAL_FOUND && is_message_of_append(buf_str(text), &l)))
            return IMAP_READ_OK;
        if (found == LITERAL_MALFORMED || l.size + 2 > text->max - text->n) {
            imap_read_refuse(c, buf_str(text), found == LITERAL_FOUND ? &l : NULL,
                             "Literal too large.");
            return IMAP_READ_REFUSED;
        }
        if (!read_literal(c, text, &l))
            return IMAP_READ_END;
    }
}

enum imap_read imap_read_command(struct imap *c, struct str *out)
{
    struct buf text = BUF((size_t)conf.imap_max_line_length);
    enum imap_read result = read_into(c, &text);

    if (!buf_ok(&text)) { /* never: the lines and literals were counted */
        stream_fail(c->client, "command too long");
        result = IMAP_READ_END;
    }
    *out = arena_str(c->mem, buf_str(&text));
    buf_free(&text);
    return result;
}
