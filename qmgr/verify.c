/*
 * NAME
 *   verify - finds out whether mail for an address could be delivered
 *
 * DESCRIPTION
 *   smtpd asks for reject_unverified_sender and reject_unverified_recipient. verify answers at once
 *   with what it knows. If that is nothing, or old, it sends a probe: a message from
 *   address_verify_sender that takes the way of all mail but is never delivered; the agent that
 *   gets it asks the server (or looks at its tables) and tells verify what would have become of it.
 *
 *   What is known is kept in memory and, over restarts, in a file: see address_verify_map.
 *
 * SECURITY
 *   It writes one file below data_directory, and submits mail through cleanup. An agent can tell it
 *   only about the addresses of a probe that it was given to deliver, whose queue file it must
 *   show.
 *
 * FILES
 *   data_directory/verify_cache.txt
 *
 * SEE ALSO
 *   smtpd(8), cleanup(8), qmgr(8)
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict.h"
#include "ipc/proto.h"
#include "ipc/trust.h"
#include "mail/date.h"
#include "mail/path.h"
#include "queue/delivery.h"
#include "queue/qdir.h"
#include "queue/qid.h"
#include "queue/submit.h"
#include "queue/verify_cache.h"
#include "queue/verify_client.h"
#include "route/verify_sender.h"
#include "service/jail.h"
#include "service/service.h"
#include "task/task.h"

enum { ADDRESS_MOST = 1000, LINE_MOST = 5000, PROBE_RCPTS = 100 };

static struct {
    struct verify_cache *cache;
    int dir; /* where the file is, which the jail may hide; -1: there is none */
    struct buf file; /* its name there */
} state;

/* ---- the file ---- */

/* "btree:/var/lib/postfix/verify_cache": the name of the table. Empty: none. */
static struct str table_path(void)
{
    struct str path = strz(conf.address_verify_map);
    ptrdiff_t colon = str_rfind(path, ':');

    return str_from(path, (size_t)(colon + 1));
}

static void read_file(int fd)
{
    struct buf text = BUF((size_t)conf.address_verify_cache_limit * LINE_MOST);
    struct str rest, line;
    int64_t bad = 0;

    if (file_read_fd(fd, &text) < 0) {
        msg_warn("%s: %m: addresses are probed anew", state.file.p);
    } else {
        rest = buf_str(&text);
        while (str_split(&rest, '\n', &line))
            bad += line.n > 0 && !verify_cache_take_line(state.cache, line);
        if (bad > 0)
            msg_warn("%s: %lld lines are malformed", state.file.p, (long long)bad);
    }
    buf_free(&text);
}

/* What Postfix has found out, once. */
static void read_table(void)
{
    struct buf key = BUF(LINE_MOST), value = BUF(DICT_VALUE_LIMIT);
    struct why why = WHY;
    struct dict *d = dict_open(conf.address_verify_map, DICT_READ, 0, &why);

    while (d != NULL && dict_next(d, &key, &value, &why) == DICT_FOUND)
        verify_cache_take(state.cache, key.p, buf_str(&value));
    if (d != NULL)
        msg_info("%s: took over %zu addresses", conf.address_verify_map,
                 verify_cache_count(state.cache));
    dict_close(&d);
    why_free(&why);
    buf_free(&key);
    buf_free(&value);
}

static void open_cache_file(void)
{
    struct str path = table_path(), dir = strz(conf.data_directory);

    state.dir = -1;
    state.file = BUF(1000); /* asked: below */
    if (path.n == 0)
        return;
    if (!str_starts(path, dir) || path.n <= dir.n + 1 || path.p[dir.n] != '/' ||
        str_find(str_from(path, dir.n + 1), '/') >= 0) {
        conf_fault("address_verify_map",
                   "the file must be in %s (data_directory): set it to "
                   "btree:$data_directory/verify_cache",
                   conf.data_directory);
        return;
    }
    buf_set(&state.file, str_from(path, dir.n + 1));
    buf_addz(&state.file, ".txt");
    state.dir = buf_ok(&state.file) ? open(conf.data_directory, O_DIRECTORY | O_CLOEXEC) : -1;
    int fd = state.dir < 0 ? -1 : file_open_plain(state.dir, state.file.p, O_RDONLY, 0);
    if (state.dir < 0)
        msg_warn("%s: %m: what is found out is lost at the next restart", conf.data_directory);
    else if (fd >= 0)
        read_file(fd);
    else if (errno == ENOENT)
        read_table();
    else
        msg_warn("%s/%s: %m", conf.data_directory, state.file.p);
    if (fd >= 0)
        close(fd);
}

/* (waits) So many at a time: whoever asks does not wait for the whole file. Into fd, -1: only what
 * has expired goes. */
static bool save_all(int fd)
{
    enum { AT_ONCE = 200 };
    struct buf text = BUF(AT_ONCE * LINE_MOST); /* asked: below */
    bool more = true, good = true;

    verify_cache_save_anew(state.cache); /* the last time may have ended in the middle */
    while (more && good) {
        buf_clear(&text);
        more = verify_cache_save(state.cache, clock_wall(), AT_ONCE, fd >= 0 ? &text : NULL);
        good = fd < 0 || (buf_ok(&text) && file_write_all(fd, text.p, text.n) == 0);
        task_yield();
    }
    buf_free(&text);
    return good;
}

/* (waits) A crash loses what was found out since the last time: those addresses are probed again.
 */
static void write_file(void)
{
    struct buf name = BUF(1100); /* fits: the name and four bytes */

    buf_addf(&name, "%s.new", state.file.p);
    int fd = file_open_plain(state.dir, name.p, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    bool done =
        fd >= 0 && save_all(fd) && renameat(state.dir, name.p, state.dir, state.file.p) == 0;
    if (!done)
        msg_warn("%s/%s: %m", conf.data_directory, name.p);
    if (fd >= 0)
        close(fd);
    buf_free(&name);
}

/* Until the process ends, which cancels it. */
static void keep_file(void *unused)
{
    int64_t never = (int64_t)365 * 86400, pause = conf.address_verify_cache_cleanup_interval;
    enum wait wait = WAIT_TIMEOUT;

    (void)unused;
    while (wait != WAIT_CANCELLED) {
        wait = task_sleep(task_now() + (pause > 0 ? pause : never) * 1000);
        if (state.dir >= 0)
            write_file();
        else
            save_all(-1);
    }
}

/* ---- probes ---- */

static void put_probe(struct submit *s, const char *address)
{
    /* fits: a date, an address that was asked for; asked: by submit_put */
    struct buf date = BUF(100), from = BUF(2 * REC_MAX), to = BUF(2 * REC_MAX);
    struct buf sender = BUF(REC_MAX); /* fits: address_verify_sender */
    int64_t now = clock_wall_us();

    verify_sender(&sender);
    path_quote(buf_str(&sender), &from);
    path_quote(strz(address), &to);
    date_format_local(now / 1000000, &date);
    submit_putf(s, REC_TIME, "%lld %lld", (long long)(now / 1000000), (long long)(now % 1000000));
    submit_putf(s, REC_ATTR, "log_message_origin=local");
    submit_putf(s, REC_ATTR, "rewrite_context=local");
    submit_putf(s, REC_ATTR, "trace_flags=%d", TRACE_MTA_VERIFY);
    submit_putf(s, REC_ATTR, "received_before=by %s (%s)\n\t", conf.myhostname, conf.mail_name);
    submit_putf(s, REC_ATTR, "received_after=; %s", date.p);
    submit_put(s, REC_FROM, buf_str(&from));
    submit_put(s, REC_RCPT, buf_str(&to));
    submit_put(s, REC_MESG, STR(""));
    submit_line(s, STR("Subject: is this address deliverable?"));
    submit_line(s, STR(""));
    submit_line(s, STR("This message is never delivered."));
    submit_put(s, REC_XTRA, STR(""));
    submit_put(s, REC_END, STR(""));
    buf_free(&sender);
    buf_free(&date);
    buf_free(&from);
    buf_free(&to);
}

/* A probe that cannot be sent counts as under way for a while: so nobody asks in a circle. */
static void send_probe(void *arg)
{
    char *address = arg;
    struct buf id = BUF(100);
    struct why why = WHY;
    struct submit *s = submit_begin(SUBMIT_MAP_OK | submit_class("verify"), &why);

    if (s != NULL)
        put_probe(s, address);
    if (s == NULL || submit_commit(&s, &id, &why) < 0)
        msg_warn("no probe of <%s>: %s", address, why_text(&why));
    submit_abort(&s);
    buf_free(&id);
    why_free(&why);
    free(address);
}

static bool may_probe(void)
{
    if (verify_cache_in_flight(state.cache) < (size_t)conf.address_verify_pending_request_limit)
        return true;
    msg_warn("address_verify_pending_request_limit is reached: no probes until some come back");
    return false;
}

/* ---- requests ---- */

static int take_address(struct attrs *ask, const char **address, struct why *why)
{
    *address = attrs_get(ask, A_ADDRESS);
    if (!attrs_ok(ask) || **address == 0 || strlen(*address) > ADDRESS_MOST)
        return why_set(why, "5.3.0", "malformed request: no address, or too long");
    return 0;
}

static int verify_query(struct attrs *ask, struct attrs *answer, struct arena *mem, struct why *why)
{
    const char *address;
    int64_t now = clock_wall();

    (void)mem;
    if (take_address(ask, &address, why) < 0)
        return -1;
    struct verify_entry *e = verify_cache_find(state.cache, address, now);
    bool known = e != NULL && e->updated != 0;
    attrs_putz(answer, A_VERDICT, verify_verdict_name(known ? e->verdict : VERIFY_PENDING));
    attrs_putz(answer, A_TEXT, known ? e->text : "Address verification in progress");
    if (verify_cache_wants_probe(state.cache, e, now) && may_probe()) {
        verify_cache_probed(state.cache, address, now);
        task_start("probe", send_probe, mem_dupz(address));
    }
    return 0;
}

/* The file that the queue has under the id, open, is a probe of this address: whoever shows it was
 * given it to deliver. A queue manager that starts may have moved it meanwhile. */
static int check_probe(struct attrs *ask, const char *id, const char *address, struct arena *mem,
                       struct why *why)
{
    static const enum queue places[] = {Q_ACTIVE, Q_INCOMING, Q_DEFERRED, Q_HOLD, Q_ACTIVE};
    struct envelope e = {0};
    struct stat st;
    int fd = attrs_take_fd(ask);
    bool ours = false, meant = false;

    for (size_t i = 0; i < sizeof places / sizeof *places && !ours; i++)
        ours = fd >= 0 && queue_is_file(places[i], id, fd, &st);
    struct qfile *f = qfile_passed(fd, id, trust_ids()->owner, why);
    if (f != NULL && ours && envelope_read(f, 0, PROBE_RCPTS, mem, &e, why) == 0 &&
        (e.d.flags & DELIVERY_PROBE) != 0)
        for (size_t i = 0; i < e.d.nrcpts; i++)
            meant |= strcmp(e.d.rcpts[i].address, address) == 0 ||
                     strcmp(e.d.rcpts[i].original, address) == 0;
    qfile_close(&f);
    if (meant)
        return 0;
    msg_warn("%s: refused: %s has no probe of <%s>", id, trust_role_name(ask->from), address);
    return why_set(why, "5.7.0", "not your probe");
}

static bool is_trusted(enum role role)
{
    return role == ROLE_QMGR || role == ROLE_ROOT || role == ROLE_SELF;
}

static int verify_verified(struct attrs *ask, struct attrs *answer, struct arena *mem,
                           struct why *why)
{
    const char *id = attrs_get(ask, A_QUEUE_ID), *address;
    enum verify_verdict verdict;

    (void)answer;
    if (take_address(ask, &address, why) < 0)
        return -1;
    if (!qid_valid(strz(id)) || !verify_verdict_parse(attrs_get(ask, A_VERDICT), &verdict) ||
        verdict == VERIFY_PENDING)
        return why_set(why, "5.3.0", "malformed request: bad queue id or verdict");
    if (!is_trusted(ask->from) && check_probe(ask, id, address, mem, why) < 0)
        return -1;
    verify_cache_learn(state.cache, address, verdict, attrs_opt(ask, A_TEXT, ""), clock_wall());
    return 0;
}

static void verify_request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    bool query = strcmp(attrs_get(ask, A_REQUEST), REQUEST_VERIFY) == 0;
    struct why why = WHY;

    if ((query ? verify_query : verify_verified)(ask, answer, mem, &why) < 0)
        attrs_put_why(answer, &why);
    why_free(&why);
}

static void verify_open(void)
{
    struct verify_limits limits = {
        .most = (size_t)conf.address_verify_cache_limit,
        .good_expire = conf.address_verify_positive_expire_time,
        .good_refresh = conf.address_verify_positive_refresh_time,
        .bad_expire = conf.address_verify_negative_expire_time,
        .bad_refresh = conf.address_verify_negative_refresh_time,
        .keep_bad = conf.address_verify_negative_cache,
    };

    state.cache = verify_cache_new(&limits);
    open_cache_file();
}

static void verify_paths(void)
{
    if (state.dir >= 0)
        jail_write(conf.data_directory);
}

static void verify_start(void)
{
    task_start("cache", keep_file, NULL);
}

int main(int argc, char **argv)
{
    static const struct service verify = {
        .name = "verify",
        .alone = true,
        .in_queue = true,
        .rights = RIGHT_READ | RIGHT_WRITE,
        .open = verify_open,
        .paths = verify_paths,
        .start = verify_start,
        .request = verify_request,
    };
    return service_main(&verify, argc, argv);
}
