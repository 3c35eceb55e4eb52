/*
 * NAME
 *   postqueue - looks at the queue, and has it delivered; also mailq
 *
 * SYNOPSIS
 *   postqueue [-c config_dir] -f | -i queue_id | -j | -p | -s site
 *
 * DESCRIPTION
 *   What any user may do with the queue. -p prints it as mailq does, -j as one JSON object per
 *   message and line; -f tries to deliver all deferred mail now, -i one message, -s all that is for
 *   a domain: it is an error when none is, unless fast_flush_domains has the domain.
 *   authorized_mailq_users and authorized_flush_users say who may. postsuper is for what only the
 *   administrator may do.
 *
 *   Exit status 0: done; 69: not, and a line says why.
 *
 * SECURITY
 *   It is set-gid to the group that may use the sockets in public/. It reads no queue file, except
 *   for the administrator when the mail system is down.
 *
 * SEE ALSO
 *   showq(8), qmgr(8), postsuper(1), mailq(1)
 */
#include <errno.h>
#include <pwd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/match.h"
#include "ipc/channel.h"
#include "ipc/proto.h"
#include "ipc/trigger.h"
#include "mail/domain.h"
#include "net/sock.h"
#include "net/stream.h"
#include "queue/listing.h"
#include "queue/qid.h"
#include "task/task.h"

#include "tool_conf.h"

enum { LIST_MAX = 256 << 20, ASK_MS = 10000 };

enum mode { MODE_NONE, MODE_LIST, MODE_JSON, MODE_FLUSH, MODE_FLUSH_ID, MODE_FLUSH_SITE };

static struct {
    enum mode mode;
    const char *argument;
    struct buf failure; /* what was not possible */
    /* of a listing */
    bool begun;
    int64_t messages, bytes;
} tool = {.failure = BUF_TEXT(1000)};

static void usage(void)
{
    msg_fatal("usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | "
              "postqueue -s site");
}

/* Said at the end, when all else is put away. */
static void postqueue_fail(int status, const char *text)
{
    msg_fatal_status(status);
    buf_setz(&tool.failure, text);
}

/* Prints one list of the stream; false at its end. */
static bool take_list(void *arg, struct str list)
{
    struct arena *mem = arena_new(NULL);
    struct buf out = BUF(LIST_MAX);
    struct listed m;

    (void)arg;
    if (list.n > 1 && listing_parse(list, mem, &m)) {
        if (tool.mode == MODE_JSON) {
            listing_print_json(&m, &out);
        } else {
            if (!tool.begun)
                listing_print_begin(conf.enable_long_queue_ids, &out);
            listing_print(&m, conf.enable_long_queue_ids, &out);
        }
        tool.begun = true;
        tool.messages++;
        tool.bytes += m.size;
        if (!buf_ok(&out))
            msg_fatal("the list of %s is too long", m.id);
        fwrite(out.p, 1, out.n, stdout);
    }
    buf_free(&out);
    arena_free(&mem);
    return list.n > 1;
}

static void print_end(void)
{
    if (tool.mode == MODE_JSON)
        return;
    if (tool.messages == 0)
        puts("Mail queue is empty");
    else
        printf("-- %lld Kbytes in %lld Request%s.\n", (long long)(tool.bytes / 1024),
               (long long)tool.messages, tool.messages == 1 ? "" : "s");
}

/* One list: names and values up to an empty name. False when the stream has ended before. */
static bool read_list(struct stream *s, struct buf *list)
{
    bool is_name = true;
    char c;
    size_t start = 0;

    buf_clear(list);
    while (stream_read(s, &c, 1) == 1) {
        buf_addc(list, c);
        if (!buf_ok(list))
            return false;
        if (c != 0)
            continue;
        if (is_name && list->n == start + 1)
            return true;
        is_name = !is_name;
        start = list->n;
    }
    return false;
}

static bool is_protocol(struct str list)
{
    return str_starts(list, (struct str){"protocol", 9});
}

static bool list_from_showq(void)
{
    /* fits: or is left out whole, and "" names no socket */
    struct buf path = BUF(200);
    struct buf list = BUF(LIST_MAX); /* asked: by read_list */
    bool ended = false;

    buf_addf(&path, "public/%s", conf.showq_service_name);
    int fd = sock_connect_unix(path.p, task_now() + ASK_MS, NULL);
    buf_free(&path);
    if (fd < 0)
        return false;
    struct stream *s = stream_new(fd);
    while (!ended && read_list(s, &list))
        ended = !is_protocol(buf_str(&list)) && !take_list(NULL, buf_str(&list));
    stream_abort(&s);
    buf_free(&list);
    if (ended)
        print_end();
    else
        postqueue_fail(EX_SOFTWARE, "malformed or no answer from the showq service");
    return true;
}

static bool take_direct(void *arg, struct str list)
{
    return is_protocol(list) || take_list(arg, list);
}

static void list_queue(void)
{
    if (list_from_showq())
        return;
    if (!tool_is_administrator()) {
        postqueue_fail(EX_UNAVAILABLE, "Queue report unavailable - mail system is down");
        return;
    }
    msg_warn("Mail system is down -- accessing queue directly");
    listing_walk(take_direct, NULL);
    print_end();
}

/* Postfix's words. Here any destination can be flushed that mail waits for. */
static void check_site_is_served(void)
{
    struct match *served = match_open("fast_flush_domains", conf.fast_flush_domains);
    struct why why = WHY;

    if (match_domain(served, tool.argument, &why) != DICT_FOUND) {
        buf_addf(&tool.failure, "Flush service is not configured for destination \"%s\"",
                 tool.argument);
    }
    match_close(&served);
    why_free(&why);
}

static void ask_qmgr(const char *request, const char *name)
{
    struct attrs ask = ATTRS(4096), answer = ATTRS(4096);
    struct why why = WHY;
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(200);

    buf_addf(&path, "public/%s", conf.queue_service_name);
    struct channel *qmgr = channel_new(path.p, 1);
    attrs_putz(&ask, A_REQUEST, request);
    attrs_putz(&ask, name, tool.argument);
    if (channel_call(qmgr, &ask, &answer, task_now() + ASK_MS, &why) < 0) {
        msg_warn("%s", why_text(&why));
        postqueue_fail(EX_UNAVAILABLE, "Cannot flush mail queue - mail system is down");
    } else if (attrs_getn(&answer, A_COUNT, 0, INT64_MAX) == 0 && tool.mode == MODE_FLUSH_SITE) {
        check_site_is_served();
    }
    channel_free(&qmgr);
    attrs_free(&ask);
    attrs_free(&answer);
    buf_free(&path);
    why_free(&why);
}

static void flush_all(void)
{
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(200);
    struct why why = WHY;

    buf_addf(&path, "public/%s", conf.queue_service_name);
    if (trigger_send(path.p, 'F', &why) < 0)
        postqueue_fail(EX_UNAVAILABLE, "Cannot flush mail queue - mail system is down");
    buf_free(&path);
    why_free(&why);
}

static void postqueue_run(void *arg)
{
    (void)arg;
    switch (tool.mode) {
    case MODE_LIST:
    case MODE_JSON:
        list_queue();
        break;
    case MODE_FLUSH:
        flush_all();
        break;
    case MODE_FLUSH_ID:
        ask_qmgr(REQUEST_FLUSH_ID, A_QUEUE_ID);
        break;
    case MODE_FLUSH_SITE:
        ask_qmgr(REQUEST_FLUSH_SITE, A_SITE_NAME);
        break;
    case MODE_NONE:
        break;
    }
    fflush(stdout);
}

/* The administrator always may. */
static void check_user(const char *parameter, const char *list, const char *what)
{
    const struct passwd *pw = getpwuid(getuid());
    struct match *users;
    struct why why = WHY;
    const char *name = pw != NULL ? pw->pw_name : "unknown";

    if (tool_is_administrator())
        return;
    users = match_open(parameter, list);
    if (match_string(users, name, &why) != DICT_FOUND)
        msg_fatal("User %s(%ld) is not allowed to %s", name, (long)getuid(), what);
    match_close(&users);
    why_free(&why);
}

static void check_arguments(void)
{
    if (tool.mode == MODE_LIST || tool.mode == MODE_JSON)
        check_user("authorized_mailq_users", conf.authorized_mailq_users, "view the mail queue");
    else
        check_user("authorized_flush_users", conf.authorized_flush_users, "flush the mail queue");
    if (tool.mode == MODE_FLUSH_ID && !qid_valid(strz(tool.argument)))
        msg_fatal("Cannot flush queue ID - invalid name: \"%s\"", tool.argument);
    if (tool.mode == MODE_FLUSH_SITE && !domain_valid(strz(tool.argument)) &&
        !domain_is_literal(strz(tool.argument), NULL))
        msg_fatal("Cannot flush mail queue - invalid destination: \"%s\"", tool.argument);
}

static void choose(enum mode mode, const char *argument)
{
    if (tool.mode != MODE_NONE)
        usage();
    tool.mode = mode;
    tool.argument = argument;
}

static const char *options(int argc, char **argv)
{
    const char *dir = NULL;
    int option;

    while ((option = getopt(argc, argv, "c:fi:jps:v")) != -1)
        switch (option) {
        case 'c':
            dir = optarg;
            break;
        case 'f':
            choose(MODE_FLUSH, NULL);
            break;
        case 'i':
            choose(MODE_FLUSH_ID, optarg);
            break;
        case 'j':
            choose(MODE_JSON, NULL);
            break;
        case 'p':
            choose(MODE_LIST, NULL);
            break;
        case 's':
            choose(MODE_FLUSH_SITE, optarg);
            break;
        case 'v':
            msg_debug_topics("all");
            break;
        default:
            usage();
        }
    return dir;
}

int main(int argc, char **argv)
{
    char *slash = strrchr(argv[0], '/');
    const char *dir;
    struct why why = WHY;

    if (slash != NULL)
        argv[0] = slash + 1; /* as getopt is to name it */
    msg_open("postqueue");
    msg_fatal_status(EX_UNAVAILABLE);
    msg_to_stderr(true);
    dir = options(argc, argv);
    if (tool.mode == MODE_NONE && strcmp(argv[0], "mailq") == 0)
        tool.mode = MODE_LIST;
    if (tool.mode == MODE_NONE || optind < argc)
        usage();
    if (tool_conf_load(dir, NULL, &why) < 0)
        msg_fatal("%s", why_text(&why));
    check_arguments();
    if (chdir(conf.queue_directory) < 0)
        msg_fatal("chdir %s: %s", conf.queue_directory, strerror(errno));
    task_start("postqueue", postqueue_run, NULL);
    task_loop();
    if (tool.failure.n > 0)
        msg_fatal("%s", tool.failure.p);
    return 0;
}
