#include "net/stream.h"

#include <errno.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "net/stream_fd.h"

enum {
    IN_FIRST = 4096, /* room for reading, at first and at most */
    IN_MOST = 64 * 1024,
    OUT_FIRST = 2048, /* the same for writing: this much is sent at once */
    OUT_MOST = 32 * 1024,
    IDLE_MS = 1000, /* a read that waits longer gives its memory back */
    FILLS_PER_TURN = 32, /* a fast sender must not keep the process for itself */
    FORMAT_MOST = 1024 * 1024,
};

struct stream {
    struct stream_io top; /* the layer that the buffers talk to */
    struct stream_fd fd;
    enum stream_state state;
    bool out_failed;
    bool drained; /* the last read got less than it had room for: the socket is empty */
    unsigned fills; /* reads since the last wait */
    const char *error;
    int error_number; /* the same as errno has it; 0: it was not a call that failed */
    int64_t idle_ms, deadline;
    void (*on_wake)(void *arg); /* may change these two. May be null */
    void *on_wake_arg;
    char *in, *out;
    size_t in_at, in_end, in_room, out_n, out_room;
    struct layers {
        struct stream_io io[3];
        unsigned n;
    } layers;
};

struct stream *stream_new(int fd)
{
    struct stream *s = mem_new(sizeof *s);

    stream_fd_init(&s->fd, fd);
    s->top = (struct stream_io){&stream_fd_layer, &s->fd};
    s->drained = true; /* the first wait tells if something is there already */
    return s;
}

static void drop_buffers(struct stream *s)
{
    if (s->in_at == s->in_end) {
        free(s->in);
        s->in = NULL;
        s->in_at = s->in_end = s->in_room = 0;
    }
    if (s->out_n == 0) {
        free(s->out);
        s->out = NULL;
        s->out_room = 0;
    }
}

static void close_layers(struct stream *s, bool politely)
{
    for (unsigned i = s->layers.n; i-- > 0;) {
        const struct stream_io *io = &s->layers.io[i];
        if (politely && io->layer->close != NULL)
            io->layer->close(io->self);
        io->layer->free(io->self);
    }
    s->layers.n = 0;
}

static int dismantle(struct stream **s, bool politely)
{
    struct stream *dead = *s;
    int fd = dead->fd.fd;

    *s = NULL;
    close_layers(dead, politely && !dead->out_failed);
    stream_fd_drop_fds(&dead->fd);
    free(dead->in);
    free(dead->out);
    free(dead);
    return fd;
}

void stream_free(struct stream **s)
{
    if (*s == NULL)
        return;
    stream_flush(*s);
    task_close(dismantle(s, true));
}

void stream_abort(struct stream **s)
{
    if (*s != NULL)
        task_close(dismantle(s, false));
}

int stream_release(struct stream **s)
{
    stream_flush(*s);
    return dismantle(s, true);
}

int stream_fd(const struct stream *s)
{
    return s->fd.fd;
}

enum stream_state stream_state(const struct stream *s)
{
    return s->state;
}

const char *stream_error(const struct stream *s)
{
    static const char *const texts[] = {"no error", "lost connection", "timed out", "cancelled",
                                        "failed"};
    return s->error != NULL ? s->error : texts[s->state];
}

static const char *error_text(int error)
{
    const char *text = strerrordesc_np(error);

    return text != NULL ? text : "unknown error";
}

int stream_errno(const struct stream *s)
{
    return s->error_number;
}

static void set_state(struct stream *s, enum stream_state state, const char *error)
{
    if (s->state == STREAM_OK || (s->state != STREAM_ERROR && state == STREAM_ERROR)) {
        s->state = state;
        s->error = error;
        s->error_number = 0;
    }
}

/* By a call that has failed with this errno. */
static void set_failed(struct stream *s, enum stream_state state, int number)
{
    const char *text = error_text(number);

    set_state(s, state, text);
    if (s->error == text && s->state == state)
        s->error_number = number;
}

void stream_fail(struct stream *s, const char *error)
{
    set_state(s, STREAM_ERROR, error);
    s->out_failed = true;
    s->out_n = 0;
}

void stream_set_idle(struct stream *s, int64_t ms)
{
    s->idle_ms = ms;
}

void stream_set_deadline(struct stream *s, int64_t at)
{
    s->deadline = at;
}

void stream_on_wake(struct stream *s, void (*fn)(void *arg), void *arg)
{
    s->on_wake = fn;
    s->on_wake_arg = arg;
}

/* Until when one wait may last that began then; 0: for ever. */
static int64_t limit(const struct stream *s, int64_t since)
{
    int64_t at = s->idle_ms > 0 ? since + s->idle_ms : 0;

    return s->deadline != 0 && (at == 0 || s->deadline < at) ? s->deadline : at;
}

/* For the descriptor, as long as the limits say, but not longer than until most (0: no such end).
 */
static enum wait wait_within(struct stream *s, short events, int64_t since, int64_t most)
{
    for (;;) {
        int64_t until = limit(s, since);
        if (most != 0 && (until == 0 || most < until))
            until = most;
        if (s->on_wake == NULL)
            return task_wait_again(s->fd.fd, events, until);
        enum wait w = task_wait_again_either(s->fd.fd, events, until);
        if (w != WAIT_WOKEN)
            return w;
        s->on_wake(s->on_wake_arg);
    }
}

static enum stream_state state_after(enum wait w)
{
    return w == WAIT_TIMEOUT ? STREAM_TIMEOUT : STREAM_CANCELLED;
}

/* The end of a failed or finished read. */
static void read_ended(struct stream *s, ssize_t n)
{
    if (n == 0)
        set_state(s, STREAM_EOF, NULL);
    else if (errno == ECONNRESET || errno == EPIPE || errno == ETIMEDOUT)
        set_failed(s, STREAM_EOF, errno);
    else
        set_failed(s, STREAM_ERROR, errno);
}

/* A layer may have to write in order to read, and the other way round. */
static short waits_for(const struct stream *s, short direction)
{
    return s->layers.n == 0 ? direction : s->top.layer->waits_for(s->top.self);
}

/* Whoever has been idle for a second holds no memory from then on. */
static enum wait wait_input(struct stream *s)
{
    int64_t since = task_now(), soon = since + IDLE_MS, until = limit(s, since);
    short events = waits_for(s, POLLIN);
    enum wait w;

    s->fills = 0;
    if (until != 0 && until <= soon)
        return wait_within(s, events, since, 0);
    w = wait_within(s, events, since, soon);
    if (w != WAIT_TIMEOUT)
        return w;
    drop_buffers(s);
    task_trim();
    return wait_within(s, events, since, 0);
}

/* Makes room behind what is there. */
static void make_room(struct stream *s)
{
    size_t have = s->in_end - s->in_at;

    if (s->in_at > 0) {
        if (have > 0)
            memmove(s->in, s->in + s->in_at, have);
        s->in_at = 0;
        s->in_end = have;
    }
    if (s->in == NULL) {
        s->in_room = IN_FIRST;
        s->in = mem_resize(NULL, IN_FIRST);
    } else if (have == s->in_room) {
        s->in_room *= 2;
        s->in = mem_resize(s->in, s->in_room);
    }
}

/* One read that does not wait: 1 got something, 0 nothing there, -1 the end. */
static int try_fill(struct stream *s)
{
    ssize_t n;

    make_room(s);
    do
        n = s->top.layer->read(s->top.self, s->in + s->in_end, s->in_room - s->in_end);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        s->drained = s->fd.short_reads_drain && (size_t)n < s->in_room - s->in_end;
        if (s->drained && s->layers.n == 0)
            task_emptied(s->fd.fd);
        s->in_end += (size_t)n;
        if (s->in_end == s->in_room && s->in_room < IN_MOST) { /* a large transfer */
            s->in_room *= 2;
            s->in = mem_resize(s->in, s->in_room);
        }
        return 1;
    }
    if (n < 0 && errno == EAGAIN)
        return 0;
    read_ended(s, n);
    return -1;
}

/* A slice of the input that somebody still holds is gone after this; the address sanitizer tells.
 */
static void move_input(struct stream *s)
{
    if (!task_hostile() || s->in == NULL)
        return;
    char *moved = mem_resize(NULL, s->in_room);
    memcpy(moved, s->in, s->in_end);
    free(s->in);
    s->in = moved;
}

/* At least one byte more, or false at the end. (waits) When the last read emptied the socket the
 * next one would only say so: wait at once. */
static bool stream_fill(struct stream *s)
{
    if (s->state != STREAM_OK)
        return false;
    if (++s->fills > FILLS_PER_TURN) {
        s->fills = 0;
        task_yield();
    }
    if (s->drained && s->layers.n == 0 && s->out_n > 0)
        stream_flush(s);
    for (bool look = !s->drained || s->layers.n > 0;; look = true) {
        int got = look ? try_fill(s) : 0;
        if (got != 0)
            return got > 0;
        if (s->out_n > 0)
            stream_flush(s);
        if (s->state != STREAM_OK)
            return false;
        enum wait w = wait_input(s);
        if (w != WAIT_READY) {
            set_state(s, state_after(w), NULL);
            return false;
        }
    }
}

/* The last end->max bytes of what was there and what comes. end may be null. */
static void keep_end(struct buf *end, struct str more)
{
    if (end == NULL)
        return;
    more = str_from(more, more.n > end->max ? more.n - end->max : 0);
    if (more.n > end->max - end->n)
        buf_skip(end, more.n - (end->max - end->n));
    buf_add(end, more);
}

/* Of what a client sends at once not all is done before others get their turn. */
static enum line read_line(struct stream *s, struct buf *line, struct buf *end, bool skip)
{
    bool too_long = false, cr = false;

    if (s->in_at < s->in_end)
        task_yield_if_long();
    move_input(s);
    buf_clear(line);
    for (;;) {
        if (s->in_at == s->in_end && !stream_fill(s))
            return LINE_NONE;
        const char *p = s->in + s->in_at;
        size_t n = s->in_end - s->in_at;
        const char *lf = memchr(p, '\n', n);
        size_t take = lf != NULL ? (size_t)(lf - p) : n;
        /* A CR at the end of what is there may belong to the line's end. */
        size_t text = take;
        bool last_cr = take > 0 && p[take - 1] == '\r';
        if (last_cr)
            text--;
        if (cr && take > 0)
            too_long = too_long || line->n == line->max;
        if (cr && take > 0 && !too_long)
            buf_addc(line, '\r');
        if (cr && take > 0)
            keep_end(end, STR("\r"));
        keep_end(end, (struct str){p, text});
        if (text > line->max - line->n) {
            too_long = true;
            text = line->max - line->n;
        }
        if (!too_long || text > 0)
            buf_add(line, (struct str){p, text});
        cr = last_cr || (cr && take == 0);
        s->in_at += take + (lf != NULL);
        if (lf != NULL || (too_long && !skip))
            return too_long ? LINE_TOO_LONG : cr ? LINE_CRLF : LINE_LF;
    }
}

enum line stream_line(struct stream *s, struct buf *line)
{
    return read_line(s, line, NULL, true);
}

enum line stream_line_end(struct stream *s, struct buf *line, struct buf *end)
{
    buf_clear(end);
    return read_line(s, line, end, true);
}

enum line stream_line_within(struct stream *s, struct buf *line)
{
    return read_line(s, line, NULL, false);
}

size_t stream_read(struct stream *s, void *p, size_t n)
{
    size_t got = 0;

    move_input(s);
    while (got < n) {
        if (s->in_at == s->in_end && !stream_fill(s))
            break;
        size_t have = s->in_end - s->in_at;
        size_t part = n - got < have ? n - got : have;
        memcpy((char *)p + got, s->in + s->in_at, part);
        s->in_at += part;
        got += part;
    }
    return got;
}

struct str stream_ahead_str(const struct stream *s)
{
    return (struct str){s->in != NULL ? s->in + s->in_at : "", s->in_end - s->in_at};
}

struct str stream_peek(struct stream *s)
{
    move_input(s);
    if (s->in_at == s->in_end)
        stream_fill(s);
    return stream_ahead_str(s);
}

struct str stream_peek_n(struct stream *s, size_t n)
{
    move_input(s);
    while (s->in_end - s->in_at < n && n <= IN_MOST && stream_fill(s))
        ;
    return stream_ahead_str(s);
}

void stream_skip(struct stream *s, size_t n)
{
    if (n > s->in_end - s->in_at)
        msg_panic("stream_skip beyond what was read");
    s->in_at += n;
}

size_t stream_ahead(const struct stream *s)
{
    return s->in_end - s->in_at;
}

size_t stream_discard(struct stream *s)
{
    size_t n = stream_ahead(s);

    s->in_at = s->in_end;
    return n;
}

void stream_unread(struct stream *s, struct str bytes)
{
    size_t have = stream_ahead(s), want = have + bytes.n;
    size_t room = want < IN_FIRST ? IN_FIRST : want;

    if (bytes.n == 0)
        return;
    char *in = mem_resize(NULL, room);
    memcpy(in, bytes.p, bytes.n);
    if (have > 0)
        memcpy(in + bytes.n, s->in + s->in_at, have);
    free(s->in);
    s->in = in;
    s->in_at = 0;
    s->in_end = want;
    s->in_room = room;
}

/* As wait_input, but the caller may be woken. */
static enum wait wait_either(struct stream *s, int64_t deadline)
{
    int64_t soon = task_now() + IDLE_MS;
    short events = waits_for(s, POLLIN);
    enum wait w;

    if (deadline != 0 && deadline <= soon)
        return task_wait_again_either(s->fd.fd, events, deadline);
    w = task_wait_again_either(s->fd.fd, events, soon);
    if (w != WAIT_TIMEOUT)
        return w;
    drop_buffers(s);
    task_trim();
    return task_wait_again_either(s->fd.fd, events, deadline);
}

enum wait stream_wait(struct stream *s, int64_t deadline)
{
    stream_flush(s);
    for (bool look = !s->drained || s->layers.n > 0;; look = true) {
        if (s->in_at != s->in_end || s->state != STREAM_OK || (look && try_fill(s) != 0))
            return WAIT_READY;
        enum wait w = wait_either(s, deadline);
        if (w != WAIT_READY)
            return w;
    }
}

static enum wait wait_unread(struct stream *s, int64_t deadline)
{
    if (!s->drained)
        return task_wait_either(s->fd.fd, POLLIN, deadline);
    enum wait w = task_wait_again_either(s->fd.fd, POLLIN, deadline);
    s->drained = w != WAIT_READY; /* the next read must not wait for what has come now */
    return w;
}

enum wait stream_wait_unread(struct stream *s, int64_t deadline)
{
    int64_t soon = task_now() + IDLE_MS;
    bool first = deadline == 0 || deadline > soon;

    stream_flush(s);
    if (s->in_at != s->in_end || s->state != STREAM_OK)
        return WAIT_READY;
    enum wait w = wait_unread(s, first ? soon : deadline);
    if (w == WAIT_TIMEOUT && first) {
        drop_buffers(s);
        task_trim();
        w = wait_unread(s, deadline);
    }
    return w;
}

enum wait stream_wait_layer(struct stream *s)
{
    enum wait w = wait_within(s, s->top.layer->waits_for(s->top.self), task_now(), 0);

    if (w != WAIT_READY)
        set_state(s, state_after(w), NULL);
    return w;
}

static void wait_output(struct stream *s)
{
    enum wait w = wait_within(s, waits_for(s, POLLOUT), task_now(), 0);

    if (w == WAIT_READY)
        return;
    set_state(s, state_after(w), NULL);
    s->out_failed = true;
}

static void write_failed(struct stream *s)
{
    bool gone = errno == EPIPE || errno == ECONNRESET;

    set_failed(s, gone ? STREAM_EOF : STREAM_ERROR, errno);
    s->out_failed = true;
}

/* Writes it all, or fails. (waits) */
static bool write_out(struct stream *s, const char *p, size_t n)
{
    while (n > 0 && !s->out_failed) {
        ssize_t done = s->top.layer->write(s->top.self, p, n);
        if (done >= 0) {
            p += done;
            n -= (size_t)done;
        } else if (errno == EAGAIN) {
            wait_output(s);
        } else if (errno != EINTR) {
            write_failed(s);
        }
    }
    return !s->out_failed;
}

int stream_try_fill(struct stream *s, short *events)
{
    int got = s->state != STREAM_OK ? -1 : try_fill(s);

    if (got == 0)
        *events = waits_for(s, POLLIN);
    return got;
}

size_t stream_try_write(struct stream *s, struct str bytes, short *events)
{
    ssize_t done;

    if (s->out_failed)
        return 0;
    do
        done = s->top.layer->write(s->top.self, bytes.p, bytes.n);
    while (done < 0 && errno == EINTR);
    if (done > 0)
        return (size_t)done;
    if (done < 0 && errno != EAGAIN)
        write_failed(s);
    *events = waits_for(s, POLLOUT);
    return 0;
}

bool stream_writable(const struct stream *s)
{
    return !s->out_failed;
}

void stream_trim(struct stream *s)
{
    drop_buffers(s);
}

bool stream_flush(struct stream *s)
{
    size_t n = s->out_n;

    s->out_n = 0;
    if (n > 0)
        write_out(s, s->out, n);
    if (n == OUT_MOST)
        s->fills++;
    return !s->out_failed;
}

/* Room for n more bytes, n up to OUT_MOST; null when output has failed. */
static char *out_space(struct stream *s, size_t n)
{
    if (s->out_failed)
        return NULL;
    if (s->out_n + n > OUT_MOST && !stream_flush(s))
        return NULL;
    if (s->out_n + n > s->out_room) {
        size_t room = s->out_room == 0 ? OUT_FIRST : s->out_room;
        while (room < s->out_n + n)
            room *= 2;
        s->out = mem_resize(s->out, room);
        s->out_room = room;
    }
    return s->out + s->out_n;
}

bool stream_fits(const struct stream *s, size_t n)
{
    return s->out_n < OUT_MOST && n < OUT_MOST - s->out_n;
}

void stream_put(struct stream *s, struct str bytes)
{
    /* What is large goes out from where it is, with what was pending filled up before. */
    if (bytes.n > OUT_MOST - s->out_n && s->out_n > 0) {
        size_t part = OUT_MOST - s->out_n;
        char *to = out_space(s, part);
        if (to == NULL)
            return;
        memcpy(to, bytes.p, part);
        s->out_n += part;
        stream_flush(s);
        bytes = str_from(bytes, part);
    }
    if (bytes.n >= OUT_MOST) {
        size_t whole = bytes.n / OUT_MOST * OUT_MOST;
        if (!write_out(s, bytes.p, whole))
            return;
        bytes = str_from(bytes, whole);
    }
    char *to = bytes.n > 0 ? out_space(s, bytes.n) : NULL;
    if (to == NULL)
        return;
    memcpy(to, bytes.p, bytes.n);
    s->out_n += bytes.n;
}

void stream_putz(struct stream *s, const char *text)
{
    stream_put(s, strz(text));
}

void stream_putc(struct stream *s, char c)
{
    stream_put(s, (struct str){&c, 1});
}

void stream_putf(struct stream *s, const char *fmt, ...)
{
    enum { SHORT = 512 };
    va_list ap, again;
    char *to = out_space(s, SHORT);

    if (to == NULL)
        return;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(to, SHORT, fmt, ap);
    if (n >= 0 && n < SHORT) {
        s->out_n += (size_t)n;
    } else {
        struct buf text = BUF(FORMAT_MOST);
        buf_addv(&text, fmt, again);
        if (buf_ok(&text))
            stream_put(s, buf_str(&text));
        else
            stream_fail(s, "text too long");
        buf_free(&text);
    }
    va_end(again);
    va_end(ap);
}

static bool copy_file(struct stream *s, int fd, off_t at, size_t n)
{
    enum { PIECE = 32 * 1024 };
    char *piece = mem_new(PIECE);
    ssize_t got = 1;

    while (n > 0 && !s->out_failed) {
        got = pread(fd, piece, n < PIECE ? n : PIECE, at);
        if (got <= 0)
            break;
        stream_put(s, (struct str){piece, (size_t)got});
        at += got;
        n -= (size_t)got;
    }
    free(piece);
    return n == 0 || s->out_failed;
}

bool stream_put_file(struct stream *s, int fd, off_t at, size_t n)
{
    enum { WORTH = 16 * 1024 }; /* below, copying is cheaper than another packet */

    if (n < WORTH || s->layers.n > 0)
        return copy_file(s, fd, at, n);
    stream_flush(s);
    while (n > 0 && !s->out_failed) {
        ssize_t done = sendfile(s->fd.fd, fd, &at, n);
        if (done > 0)
            n -= (size_t)done;
        else if (done == 0)
            return false;
        else if (errno != EAGAIN)
            return copy_file(s, fd, at, n); /* not for this kind of file; or it fails again */
        else
            wait_output(s);
    }
    return true;
}

bool stream_write(struct stream *s, struct str bytes)
{
    return stream_flush(s) && write_out(s, bytes.p, bytes.n);
}

size_t stream_pending(const struct stream *s)
{
    return s->out_n;
}

void stream_put_fd(struct stream *s, int fd)
{
    stream_flush(s);
    stream_fd_put(&s->fd, fd, false);
}

void stream_lend_fd(struct stream *s, int fd)
{
    stream_flush(s);
    stream_fd_put(&s->fd, fd, true);
}

void stream_allow_fds(struct stream *s)
{
    s->fd.takes_fds = true;
}

int stream_take_fd(struct stream *s)
{
    return stream_fd_take(&s->fd);
}

bool stream_push(struct stream *s, const struct stream_layer *layer, void *self)
{
    if (stream_ahead(s) > 0 || s->layers.n == sizeof s->layers.io / sizeof s->layers.io[0])
        return false;
    stream_flush(s);
    s->top = s->layers.io[s->layers.n++] = (struct stream_io){layer, self};
    return true;
}

struct stream_io stream_top(const struct stream *s)
{
    return s->top;
}

void *stream_layer_self(const struct stream *s, const struct stream_layer *layer)
{
    for (unsigned i = s->layers.n; i-- > 0;)
        if (s->layers.io[i].layer == layer)
            return s->layers.io[i].self;
    return NULL;
}
