/*
 * NAME
 *   flush - knows which messages wait for a site
 *
 * DESCRIPTION
 *   For each domain of fast_flush_domains it keeps a list of the messages that were put off, so
 *   that a site which was not reachable can have its mail by ETRN without a look at the whole
 *   queue. A list is a file of queue ids below flush, as Postfix has it. When it is asked for, the
 *   list is emptied, and qmgr told to try these messages now.
 *
 *   When master wakes it, lists that nobody has asked for during fast_flush_refresh_time are made
 *   anew by trying their messages, and those that have been empty for fast_flush_purge_time are
 *   removed.
 *
 * SECURITY
 *   It writes its directory and tells qmgr ids, no more. Only qmgr adds to a list.
 *
 * STANDARDS
 *   RFC 1985 (ETRN)
 *
 * FILES
 *   flush: the lists
 *
 * SEE ALSO
 *   smtpd(8), qmgr(8)
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/proto.h"
#include "queue/flush_client.h"
#include "queue/qdir.h"
#include "queue/qid.h"
#include "service/jail.h"
#include "service/service.h"
#include "task/task.h"

enum { LIST_MOST = 4 << 20, NAME_MOST = 300, RECENT_MOST = 10000 };

static struct {
    struct hash *recent; /* "name id" that has been added: a message is put off again and again */
    struct hash *busy; /* lists that are being sent */
    struct channel *qmgr;
} state;

/* The name of a site's list: no site can name another file. Two that have one list are tried
 * together. */
static bool list_name(const char *site, struct buf *name)
{
    buf_clear(name);
    buf_addf(name, "%s/", queue_name(Q_FLUSH));
    for (const char *p = site; *p != 0; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        buf_addc(name, plain ? c : '_');
    }
    return *site != 0 && buf_ok(name);
}

/* ---- adding ---- */

static void forget_recent(void)
{
    hash_free(&state.recent, NULL);
    state.recent = hash_new();
}

static bool is_recent(const char *name, const char *id)
{
    struct buf key = BUF(NAME_MOST + 100); /* fits: a name and an id */

    buf_addf(&key, "%s %s", name, id);
    bool recent = hash_find(state.recent, buf_str(&key)) != NULL;
    if (!recent && hash_count(state.recent) >= RECENT_MOST)
        forget_recent();
    hash_put(state.recent, buf_str(&key), &state);
    buf_free(&key);
    return recent;
}

static int append(const char *name, const char *id, struct why *why)
{
    struct buf line = BUF(100); /* fits: an id */
    struct stat st;
    int result = 0, fd = file_open_plain(AT_FDCWD, name, O_WRONLY | O_APPEND | O_CREAT, 0600);

    buf_addf(&line, "%s\n", id);
    if (fd < 0 || fstat(fd, &st) < 0)
        result = why_errno(why, "4.3.0", "%s", name);
    else if (st.st_size > LIST_MOST)
        result =
            why_set(why, "4.3.0", "%s is full: further messages are tried at their own time", name);
    else if (file_write_all(fd, line.p, line.n) < 0)
        result = why_errno(why, "4.3.0", "write %s", name);
    if (fd >= 0)
        close(fd);
    buf_free(&line);
    return result;
}

static int add(struct attrs *ask, const char *name, struct why *why)
{
    const char *id = attrs_get(ask, A_QUEUE_ID);

    if (!qid_valid(strz(id)))
        return why_set(why, "5.3.0", "malformed request: bad queue id");
    if (is_recent(name, id))
        return 0;
    int result = append(name, id, why);
    if (result < 0)
        msg_warn("%s", why_text(why));
    return result;
}

/* ---- sending ---- */

/* All of it, and it is empty. -1: it cannot be. */
static int take_list(const char *name, struct buf *ids)
{
    int fd = file_open_plain(AT_FDCWD, name, O_RDWR, 0);

    if (fd < 0 && errno == ENOENT)
        return 0;
    int result = fd < 0 || file_read_fd(fd, ids) < 0 || ftruncate(fd, 0) < 0 ? -1 : 0;
    if (result < 0)
        msg_warn("%s: %m", name);
    if (fd >= 0)
        close(fd);
    return result;
}

/* (waits) Once for each message; qmgr takes it if it is still put off, and has room. */
static bool tell_qmgr(struct str id)
{
    struct attrs ask = ATTRS(4096), answer = ATTRS(4096);
    struct why why = WHY;

    attrs_putz(&ask, A_REQUEST, REQUEST_FLUSH_ID);
    attrs_put(&ask, A_QUEUE_ID, id);
    int result = channel_call(state.qmgr, &ask, &answer, 0, &why);
    if (result < 0)
        msg_warn("%s service failure: %s", conf.queue_service_name, why_text(&why));
    attrs_free(&ask);
    attrs_free(&answer);
    why_free(&why);
    return result == 0;
}

static void send_list(const char *name)
{
    struct buf ids = BUF(LIST_MOST + 100); /* asked: by file_read_fd */
    struct hash *told = hash_new();
    struct str rest, id;
    size_t n = 0;

    if (take_list(name, &ids) == 0) {
        forget_recent(); /* what waits again is to be added again */
        rest = buf_str(&ids);
        while (str_split(&rest, '\n', &id) && !task_is_cancelled()) {
            if (!qid_valid(id) || hash_put(told, id, &state) != NULL)
                continue;
            if (!tell_qmgr(id))
                break;
            n++;
        }
        msg_debug("flush", "%s: %zu messages", name, n);
    }
    hash_free(&told, NULL);
    buf_free(&ids);
}

static void sender(void *arg)
{
    char *name = arg;

    send_list(name);
    hash_drop(state.busy, strz(name));
    free(name);
}

/* A list that is being sent is not sent twice at the same time: whoever asks again has what he
 * wants. */
static void start_sending(const char *name)
{
    if (hash_put(state.busy, strz(name), &state) == NULL)
        task_start("send", sender, mem_dupz(name));
}

/* ---- requests ---- */

static void flush_request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    const char *site = attrs_get(ask, A_SITE_NAME);
    struct buf name = BUF(NAME_MOST); /* asked: by list_name */
    struct why why = WHY;

    (void)mem;
    if (!list_name(site, &name) || !flush_serves(site))
        why_set(&why, "5.7.0", "%.100s is not among fast_flush_domains", site);
    else if (strcmp(attrs_get(ask, A_REQUEST), REQUEST_FLUSH_ADD) == 0)
        add(ask, name.p, &why);
    else
        start_sending(name.p);
    if (why.code[0] != 0)
        attrs_put_why(answer, &why);
    buf_free(&name);
    why_free(&why);
}

/* (waits) */
static void look_at(const char *name, int64_t now)
{
    struct stat st;

    if (lstat(name, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    if (st.st_size == 0 && st.st_mtime + conf.fast_flush_purge_time < now)
        unlink(name);
    else if (st.st_size > 0 && st.st_mtime + conf.fast_flush_refresh_time < now &&
             hash_put(state.busy, strz(name), &state) == NULL)
        sender(mem_dupz(name));
}

static void flush_wake(char reason)
{
    struct buf name = BUF(NAME_MOST);
    struct dirent *e;
    DIR *dir = opendir(queue_name(Q_FLUSH));

    (void)reason;
    while (dir != NULL && !service_draining() && (e = file_next_entry(dir)) != NULL) {
        buf_clear(&name);
        buf_addf(&name, "%s/%s", queue_name(Q_FLUSH), e->d_name);
        if (e->d_name[0] != '.' && buf_ok(&name))
            look_at(name.p, clock_wall());
        task_yield();
    }
    if (dir == NULL)
        msg_warn("%s: %m", queue_name(Q_FLUSH));
    else
        closedir(dir);
    buf_free(&name);
}

static void flush_open_all(void)
{
    flush_open();
    state.recent = hash_new();
    state.busy = hash_new();
    state.qmgr = channel_to("public", conf.queue_service_name, 1);
}

static void flush_paths(void)
{
    jail_write_queue(queue_name(Q_FLUSH));
    jail_read_tables(conf.fast_flush_domains);
}

int main(int argc, char **argv)
{
    static const struct service flush = {
        .name = "flush",
        .alone = true,
        .in_queue = true,
        .rights = RIGHT_READ | RIGHT_WRITE,
        .open = flush_open_all,
        .paths = flush_paths,
        .request = flush_request,
        .wake = flush_wake,
    };
    return service_main(&flush, argc, argv);
}
