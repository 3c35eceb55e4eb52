/* stream.h - one buffered two-way connection with time limits */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "task/task.h"

/*
 * The first failure in either direction is kept and returned by stream_state(). From then on reads
 * return nothing, and after a failed write nothing more is written. After the end of input, a
 * time-out or a cancellation while reading, output still works, so that a session can send a last
 * reply. So a session need not check each call: its loop asks stream_state() once per command. A
 * read that must wait flushes the output first; replies to pipelined commands go out in one packet.
 *
 * Buffers are allocated when needed. If a read has waited for a second, they are freed together
 * with the unused part of the task's stack, so an idle connection holds neither. The descriptor may
 * be a socket, pipe, terminal or file.
 */
struct stream;

enum stream_state { STREAM_OK, STREAM_EOF, STREAM_TIMEOUT, STREAM_CANCELLED, STREAM_ERROR };

struct stream *stream_new(int fd); /* the stream owns fd and closes it */
void stream_free(struct stream **s); /* (waits) flushes, closes, *s = null; null is accepted */
void stream_abort(struct stream **s); /* closes without flushing */
int stream_release(
    struct stream **s); /* (waits) flushes and frees; the caller owns the descriptor */
int stream_fd(const struct stream *s); /* still owned by the stream */
enum stream_state
stream_state(const struct stream *s); /* STREAM_OK until reading or writing has failed */
const char *stream_error(const struct stream *s); /* "timed out", "connection reset by peer" */
/* The errno of the failure that ended it; 0: none, or it ended in another way. */
int stream_errno(const struct stream *s);
void stream_fail(struct stream *s, const char *error); /* as if a read and a write had failed */

/* The longest time of each wait; 0: no limit. */
void stream_set_idle(struct stream *s, int64_t idle_ms);
/* The end of all waits, by task_now(); 0: none. */
void stream_set_deadline(struct stream *s, int64_t deadline_ms);
/* What a task_wake of the task that reads or writes does: fn may set both limits, and the wait that
 * is under way obeys them, as if it had begun with them. Without it that wait lets a task_wake
 * pass. */
void stream_on_wake(struct stream *s, void (*fn)(void *arg), void *arg);

/*
 * Reading (waits). A line that ends in LF alone is reported as LINE_LF, since it must not end DATA.
 * line->max is the length of the longest line. Of a longer one (LINE_TOO_LONG) line gets the
 * beginning, and the rest is skipped up to its LF. LINE_NONE: end of input; line gets what came
 * after the last line end.
 */
enum line { LINE_CRLF, LINE_LF, LINE_TOO_LONG, LINE_NONE };
enum line stream_line(struct stream *s, struct buf *line); /* without its end */
/* As stream_line; end gets the last end->max bytes of the line, also of one that is too long. */
enum line stream_line_end(struct stream *s, struct buf *line, struct buf *end);
/* As stream_line, but returns LINE_TOO_LONG at once, without skipping the rest. For callers that
 * then close the connection. */
enum line stream_line_within(struct stream *s, struct buf *line);
size_t stream_read(struct stream *s, void *p,
                   size_t n); /* returns fewer than n bytes only at the end of input */
/* Returns the bytes that have been read ahead without taking them: at least one, or none at the end
 * of input. Valid until the next read. stream_skip takes n of them (n <= stream_ahead()). */
struct str stream_peek(struct stream *s);
/* As stream_peek but at least n bytes, n up to 65,536; fewer only at the end. */
struct str stream_peek_n(struct stream *s, size_t n);
void stream_skip(struct stream *s, size_t n);
size_t stream_ahead(const struct stream *s); /* number of bytes that have been read ahead */
struct str stream_ahead_str(const struct stream *s); /* these bytes; does not wait */
size_t stream_discard(struct stream *s); /* drops them (before STARTTLS); returns how many */
void stream_unread(struct stream *s, struct str bytes); /* the next read returns these first */
/* (waits) Flushes, and then waits until a read would return at once (bytes, end or failure:
 * WAIT_READY) or until task_wake (WAIT_WOKEN). stream_set_idle does not apply, and a time-out is
 * not kept as a failure. */
enum wait stream_wait(struct stream *s, int64_t deadline_ms);

/* (waits) As stream_wait, but leaves the bytes in the socket. If the caller then closes it, the
 * kernel tells the peer that they were not read. Not for streams with a layer. */
enum wait stream_wait_unread(struct stream *s, int64_t deadline_ms);

/* Writing to a buffer. (waits) if the buffer is full, and in stream_flush. */
bool stream_fits(const struct stream *s, size_t n); /* putting so many bytes does not wait */
void stream_put(struct stream *s, struct str bytes);
void stream_putz(struct stream *s, const char *text);
void stream_putc(struct stream *s, char c);
void stream_putf(struct stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool stream_put_file(struct stream *s, int fd, off_t at, size_t n); /* false: the file is shorter */
bool stream_flush(struct stream *s); /* false: this write or an earlier one has failed */
size_t stream_pending(const struct stream *s); /* number of bytes in the buffer */
/* (waits) What is pending, then bytes, from where they are. On a stream without a layer one task
 * may write so, and in no other way, while another one reads. */
bool stream_write(struct stream *s, struct str bytes);

/*
 * Without waiting, for a task that serves two connections (login/relay.h). If nothing can be done
 * now, *events is set to what to wait for before the next call: with TLS, a read may have to wait
 * for POLLOUT and a write for POLLIN. stream_try_fill: 1: more bytes are there (stream_ahead_str),
 * 0: none now, -1: the end or a failure. stream_try_write: how many bytes were written; 0: none
 * now, or output has failed (stream_writable is false). The output buffer must be empty
 * (stream_flush). Writing still works after the end of input.
 */
int stream_try_fill(struct stream *s, short *events);
size_t stream_try_write(struct stream *s, struct str bytes, short *events);
bool stream_writable(const struct stream *s); /* no write has failed so far */
void stream_trim(struct stream *s); /* frees empty buffers, for an idle connection */

/*
 * Passing descriptors over UNIX sockets. stream_put_fd takes over the descriptor and sends it with
 * the next byte; output before it is flushed first. The receiver must call stream_allow_fds. It
 * keeps at most 8 that have not been taken, and closes further ones. A descriptor has arrived when
 * the first byte that was put after it has been read.
 */
void stream_put_fd(struct stream *s, int fd);
/* The same, but the caller still owns the descriptor and must keep it open until the next
 * stream_flush has returned. */
void stream_lend_fd(struct stream *s, int fd);
void stream_allow_fds(struct stream *s); /* before the first read */
int stream_take_fd(struct stream *s); /* the caller closes it; -1: none */

/*
 * Puts a layer (TLS, DEFLATE) between the buffers and the descriptor. False if input has already
 * been read ahead: bytes from before the layer must not count as inside it. The layer reads and
 * writes below itself through the stream_io that stream_top has returned before the push. Freeing
 * the stream calls the layer's free.
 */
struct stream_layer {
    ssize_t (*read)(void *self, void *p, size_t n); /* as read(2): 0 end, -1 and errno */
    ssize_t (*write)(void *self, const void *p, size_t n);
    short (*waits_for)(void *self); /* POLLIN or POLLOUT, after EAGAIN */
    void (*close)(void *self); /* sends its end if that is possible without waiting; may be null */
    void (*free)(void *self);
};
struct stream_io {
    const struct stream_layer *layer;
    void *self;
};
bool stream_push(struct stream *s, const struct stream_layer *layer, void *self);
/* The self with which this layer was pushed; null: there is no such layer. */
void *stream_layer_self(const struct stream *s, const struct stream_layer *layer);
struct stream_io stream_top(const struct stream *s);
/* (waits) until the top layer can go on, within the stream's time limits; for handshakes. */
enum wait stream_wait_layer(struct stream *s);

#endif
