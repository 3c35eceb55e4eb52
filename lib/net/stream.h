/* stream.h - one buffered two-way connection with time limits */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "task/task.h"

/*
 * The first failure in either direction sticks: stream_state() tells it, reads
 * find nothing from then on, and after a failed write no more is written. After
 * the end of input, a time-out or a cancellation while reading the output still works, so
 * that a session can say good-bye. A session runs straight down, and its loop
 * looks at stream_state() once a command. A read that has to wait flushes the
 * output first: pipelined commands are answered in one packet.
 *
 * Buffers are made when needed and given back, with the unused part of the
 * task's stack, when a read has waited for a second: an idle connection holds
 * neither. Any descriptor will do: socket, pipe, terminal, file.
 */
struct stream;

enum stream_state { STREAM_OK, STREAM_EOF, STREAM_TIMEOUT, STREAM_CANCELLED, STREAM_ERROR };

struct stream *stream_new(int fd); /* owns fd */
void stream_free(struct stream **s); /* (waits) flushes, closes, *s = null; null is accepted */
void stream_abort(struct stream **s); /* closes without flushing */
int stream_release(struct stream **s); /* (waits) flushes; the descriptor is the caller's again */
int stream_fd(const struct stream *s); /* still owned by the stream */
enum stream_state stream_state(const struct stream *s);
const char *stream_error(const struct stream *s); /* "timed out", "connection reset by peer" */
/* The errno of the failure that ended it; 0: none, or it ended in another way. */
int stream_errno(const struct stream *s);
void stream_fail(struct stream *s, const char *error); /* as if a read and a write had failed */

void stream_set_idle(struct stream *s, int64_t ms); /* limit of each wait; 0: none */
void stream_set_deadline(struct stream *s, int64_t at); /* limit of all waits; 0: none */

/*
 * Reading (waits). A bare LF is told apart, since it must not end DATA. line->max is the longest
 * line that is taken; of a longer one (without its end) the start is kept, the rest is skipped up
 * to its LF. LINE_NONE: the end; line has what came without an end.
 */
enum line { LINE_CRLF, LINE_LF, LINE_TOO_LONG, LINE_NONE };
enum line stream_line(struct stream *s, struct buf *line); /* without its end */
/* As stream_line, but what is too long is said at once and not skipped: for who hangs up then. */
enum line stream_line_within(struct stream *s, struct buf *line);
size_t stream_read(struct stream *s, void *p, size_t n); /* short only at the end */
/* Borrow what is there, at least one byte, or nothing at the end; valid until the next read.
 * stream_skip takes n bytes of it (n up to stream_ahead()). */
struct str stream_peek(struct stream *s);
/* As stream_peek but at least n bytes, n up to 65,536; fewer only at the end. */
struct str stream_peek_n(struct stream *s, size_t n);
void stream_skip(struct stream *s, size_t n);
size_t stream_ahead(const struct stream *s); /* bytes read but not asked for yet */
struct str stream_ahead_str(const struct stream *s); /* those; does not wait */
size_t stream_discard(struct stream *s); /* forget them (before STARTTLS); how many */
void stream_unread(struct stream *s, struct str bytes); /* the next read finds these first */
/* Flushes, then waits until a read would find something (or the end, or a failure): WAIT_READY, or
 * until task_wake: WAIT_WOKEN. The idle limit does not apply, and a time-out does not stick. */
enum wait stream_wait(struct stream *s, int64_t deadline);

/* As stream_wait, without reading ahead: what came stays in the socket, so that who closes it now
 * has not read it. Not for streams with a layer. */
enum wait stream_wait_unread(struct stream *s, int64_t deadline);

/* Writing: buffered; (waits) when the buffer is full, and in flush. */
void stream_put(struct stream *s, struct str bytes);
void stream_putz(struct stream *s, const char *text);
void stream_putc(struct stream *s, char c);
void stream_putf(struct stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool stream_put_file(struct stream *s, int fd, off_t at, size_t n); /* false: the file is shorter */
bool stream_flush(struct stream *s); /* false: some write has failed, now or earlier */
size_t stream_pending(const struct stream *s); /* bytes not flushed yet */
/* (waits) What is pending, then bytes, from where they are. On a stream without a layer one task
 * may write so, and in no other way, while another one reads. */
bool stream_write(struct stream *s, struct str bytes);

/*
 * Without waiting, for one task that serves two connections (login/relay.h). When nothing can be
 * done now, *events is what the next try has to wait for: inside TLS a read may wait for POLLOUT
 * and a write for POLLIN.
 * try_fill: 1 more is there (stream_ahead_str), 0 nothing now, -1 the end or a failure.
 * try_write: how many of the bytes were taken; 0: none now, or output has failed (stream_writable
 * is false). What is pending must have been flushed before. Input that has ended can be written to.
 */
int stream_try_fill(struct stream *s, short *events);
size_t stream_try_write(struct stream *s, struct str bytes, short *events);
bool stream_writable(const struct stream *s); /* no write has failed so far */
void stream_trim(struct stream *s); /* gives empty buffers back: the connection is idle */

/*
 * Descriptors over UNIX sockets. A put descriptor (taken over) rides with the next byte that is
 * put; what is pending is flushed first. The receiver must allow them; at most 8 wait to be taken,
 * more are closed. They have arrived when the first byte put after them has been read.
 */
void stream_put_fd(struct stream *s, int fd);
/* The same, but the descriptor stays the caller's, who keeps it open until the next stream_flush
 * has returned. */
void stream_lend_fd(struct stream *s, int fd);
void stream_allow_fds(struct stream *s); /* before the first read */
int stream_take_fd(struct stream *s); /* the caller's; -1: none */

/*
 * Slide a layer (TLS, DEFLATE) under the buffers. False if input was already
 * read ahead: what came before the layer is never taken as inside it. A layer
 * reaches what is below it through the stream_io that stream_top gave before
 * the push. The layer's free is called with the stream's.
 */
struct stream_layer {
    ssize_t (*read)(void *self, void *p, size_t n); /* as read(2): 0 end, -1 and errno */
    ssize_t (*write)(void *self, const void *p, size_t n);
    short (*waits_for)(void *self); /* POLLIN or POLLOUT, after EAGAIN */
    void (*close)(void *self); /* says good-bye if it can without waiting; may be null */
    void (*free)(void *self);
};
struct stream_io {
    const struct stream_layer *layer;
    void *self;
};
bool stream_push(struct stream *s, const struct stream_layer *layer, void *self);
/* The self that was pushed with that layer, or null. */
void *stream_layer_self(const struct stream *s, const struct stream_layer *layer);
struct stream_io stream_top(const struct stream *s);
/* (waits) for what the top layer waits for, within the stream's limits; for handshakes. */
enum wait stream_wait_layer(struct stream *s);

#endif
