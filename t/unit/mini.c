#include "mini.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/msg.h"
#include "base/str.h"

#include "test.h"

__attribute__((constructor)) static void abort_on_failure(void)
{
    setenv("CMOCKA_TEST_ABORT", "1", 1);
}

enum { OUTPUT_MOST = 64 * 1024 * 1024, PATIENCE_MS = 5000 };

struct side {
    mini_fn *fn;
    void *arg;
    struct stream *stream, *other;
    struct str input;
    struct buf *output;
    const char *script;
    char fault[300];
};

void mini_run(task_fn *fn, void *arg)
{
    task_start("test", fn, arg);
    task_loop();
}

static void pair(struct side *side)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    side->stream = stream_new(fds[0]);
    side->other = stream_new(fds[1]);
    stream_set_idle(side->other, PATIENCE_MS);
}

static void run_side(void *arg)
{
    struct side *side = arg;

    side->fn(side->stream, side->arg);
    stream_free(&side->stream);
}

static void send_input(void *arg)
{
    struct side *side = arg;

    stream_put(side->other, side->input);
    stream_flush(side->other);
    shutdown(stream_fd(side->other), SHUT_WR);
}

static void collect(void *arg)
{
    struct side *side = arg;
    struct str got;

    while ((got = stream_peek(side->other)).n > 0) {
        buf_add(side->output, got);
        stream_skip(side->other, got.n);
    }
}

void mini_talk(mini_fn *fn, void *arg, struct str input, struct buf *output)
{
    struct side side = {.fn = fn, .arg = arg, .input = input, .output = output};

    buf_clear(output);
    pair(&side);
    task_start("fn", run_side, &side);
    task_start("input", send_input, &side);
    task_start("output", collect, &side);
    task_loop();
    stream_free(&side.other);
}

static bool play(struct side *side, struct str line, struct buf *got)
{
    struct str text = str_from(line, line.n > 2 && line.p[2] == ' ' ? 3 : 2);
    char pattern[1000];

    if (str_starts(line, STR("C."))) {
        stream_flush(side->other);
        shutdown(stream_fd(side->other), SHUT_WR);
    } else if (str_starts(line, STR("C"))) {
        stream_put(side->other, text);
        if (line.p[1] == ':')
            stream_put(side->other, STR("\r\n"));
    } else {
        snprintf(pattern, sizeof pattern, "%.*s", (int)text.n, text.p);
        if (stream_line(side->other, got) == LINE_NONE || fnmatch(pattern, got->p, 0) != 0) {
            snprintf(side->fault, sizeof side->fault, "wanted \"%.100s\", got \"%.100s\"", pattern,
                     got->p);
            return false;
        }
    }
    return true;
}

static void run_script(void *arg)
{
    struct side *side = arg;
    struct str rest = strz(side->script), line;
    struct buf got = BUF(100000);

    while (str_split(&rest, '\n', &line))
        if (line.n > 0 && !play(side, line, &got))
            break;
    buf_free(&got);
    stream_free(&side->other);
}

void mini_dialogue(mini_fn *fn, void *arg, const char *script)
{
    struct side side = {.fn = fn, .arg = arg, .script = script};

    pair(&side);
    task_start("fn", run_side, &side);
    task_start("script", run_script, &side);
    task_loop();
    if (side.fault[0] != 0)
        fail_msg("%s", side.fault);
}

static struct buf log_lines = {buf_none, 0, 0, OUTPUT_MOST, false};

static void keep(const char *level, const char *text)
{
    buf_addf(&log_lines, "%s: %s\n", level, text);
}

void mini_log_start(void)
{
    buf_clear(&log_lines);
    msg_capture(keep);
}

const char *mini_log(void)
{
    return log_lines.p;
}

void mini_log_end(void)
{
    msg_capture(NULL);
    buf_free(&log_lines);
}
