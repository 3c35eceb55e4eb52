/* stream.h - one buffered two-way connection with time limits */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * The first failure in either direction sticks: from then on reads find
 * nothing and writes go nowhere. So a session runs straight down, and its
 * loop looks at stream_state() once a command. A read that has to wait
 * flushes the output first: pipelined commands are answered in one packet.
 */
struct stream;

enum stream_state { STREAM_OK, STREAM_EOF, STREAM_TIMEOUT, STREAM_CANCELLED, STREAM_ERROR };

struct stream *stream_new(int fd); /* owns fd */
void stream_free(struct stream **s); /* flushes, closes, *s = null */
enum stream_state stream_state(const struct stream *s);
const char *stream_error(const struct stream *s); /* "timed out", "connection reset" */
int stream_fd(const struct stream *s); /* to ask the kernel about; never to read or write */

void stream_set_idle(struct stream *s, int64_t ms); /* limit of each wait */
void stream_set_deadline(struct stream *s, int64_t at); /* limit of all waits; 0: none */

/* Reading (waits). A bare LF is told apart, since it must not end DATA. */
enum line { LINE_CRLF, LINE_LF, LINE_TOO_LONG, LINE_NONE };
enum line stream_line(struct stream *s, struct buf *line); /* without its end */
size_t stream_read(struct stream *s, void *p, size_t n); /* short only at the end */
size_t stream_ahead(const struct stream *s); /* bytes read but not asked for yet */
/* What has been read ahead, waiting for a first byte if nothing has; empty at the end. Valid until
 * the next read; stream_skip drops the first n bytes of it. */
struct str stream_peek(struct stream *s);
void stream_skip(struct stream *s, size_t n);

/* Writing: buffered; (waits) when the buffer is full, and in flush. */
void stream_put(struct stream *s, struct str bytes);
void stream_putf(struct stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool stream_flush(struct stream *s);

/*
 * Slide a layer (TLS, DEFLATE) under the buffers. False if input was already
 * read ahead: what came before the layer is never taken as inside it.
 */
struct stream_layer {
    ssize_t (*read)(void *self, void *p, size_t n); /* as read(2) */
    ssize_t (*write)(void *self, const void *p, size_t n);
    short (*waits_for)(void *self); /* POLLIN or POLLOUT, after EAGAIN */
    void (*free)(void *self);
};
bool stream_push(struct stream *s, const struct stream_layer *layer, void *self);
/* The self that was pushed with that layer, or null. */
void *stream_layer_self(const struct stream *s, const struct stream_layer *layer);

#endif
