/*
 * c-ares carries the questions (retries, several servers, TCP when an answer is long); the messages
 * themselves are made and parsed by dns_wire.c. Its sockets are watched by the loop; a task that
 * lives while questions are under way gives it the time.
 */
#include "net/dns.h"

#include <ares.h>
#include <poll.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/msg.h"
#include "base/random.h"
#include "base/str.h"
#include "mail/idna.h"
#include "net/dns_ask.h"
#include "net/dns_hosts.h"
#include "net/dns_wire.h"
#include "task/task.h"

enum { MESSAGE_MOST = 65535, KEY_MOST = 300 };

struct dns_question {
    struct list lru; /* in dns.kept, when it is answered and kept */
    struct list waiters;
    char *key; /* in dns.questions; null: not to be found any more */
    char *name;
    enum dns_type type;
    struct buf message; /* the answer; empty: none came */
    bool done, edns;
    unsigned users; /* tasks between dns_begin and dns_await */
    int ares_status;
    int64_t expires;
};

struct waiter {
    struct list list;
    struct task *task;
};

static struct {
    ares_channel channel;
    bool ready;
    struct hash *questions;
    struct list kept; /* least recently used first */
    int nkept;
    unsigned under_way;
    struct task *timer;
    struct dns_settings settings;
} dns;

/*
 * c-ares on the loop.
 */
static void readable(void *arg, int fd, short events)
{
    (void)arg;
    ares_process_fd(dns.channel, events & POLLIN ? fd : ARES_SOCKET_BAD,
                    events & POLLOUT ? fd : ARES_SOCKET_BAD);
}

static void socket_changed(void *arg, ares_socket_t fd, int in, int out)
{
    (void)arg;
    task_watch(fd, (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0)), readable, NULL);
}

static void give_time(void *arg)
{
    (void)arg;
    while (dns.under_way > 0) {
        struct timeval tv = {1, 0};
        ares_timeout(dns.channel, NULL, &tv);
        int64_t ms = (int64_t)tv.tv_sec * 1000 + (tv.tv_usec + 999) / 1000;
        task_park(task_now() + (ms > 0 ? ms : 1));
        ares_process_fd(dns.channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        if (task_is_cancelled()) /* shutdown: those that wait are cancelled as well */
            ares_cancel(dns.channel);
    }
    dns.timer = NULL;
}

static int set_servers(const char *servers, struct why *why)
{
    struct buf csv = BUF(strlen(servers) + 1); /* fits: a comma for a blank */
    struct str rest = strz(servers), word;
    int r;

    while (str_word(&rest, " ,\t", &word))
        buf_addf(&csv, "%s%.*s", csv.n > 0 ? "," : "", (int)word.n, word.p);
    r = ares_set_servers_ports_csv(dns.channel, csv.p);
    buf_free(&csv);
    if (r != ARES_SUCCESS)
        return why_set(why, "4.3.5", "DNS servers \"%s\": %s", servers, ares_strerror(r));
    return 0;
}

int dns_setup(const struct dns_settings *settings, struct why *why)
{
    static const struct dns_settings none;
    const struct dns_settings *s = settings != NULL ? settings : &none;
    struct ares_options options = {.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
                                   .timeout = s->timeout_ms > 0 ? s->timeout_ms : 5000,
                                   .tries = s->tries > 0 ? s->tries : 2,
                                   .sock_state_cb = socket_changed};
    int r;

    dns_shutdown();
    dns.settings = *s;
    dns.settings.servers = dns.settings.hosts_file = NULL; /* the caller's */
    if (s->cache_size == 0)
        dns.settings.cache_size = 1000;
    if (s->cache_ttl == 0)
        dns.settings.cache_ttl = 3600;
    hosts_read(s->hosts_file != NULL ? s->hosts_file : "/etc/hosts");
    r = ares_library_init(ARES_LIB_INIT_ALL);
    if (r == ARES_SUCCESS)
        r = ares_init_options(&dns.channel, &options,
                              ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                  ARES_OPT_SOCK_STATE_CB);
    if (r != ARES_SUCCESS)
        return why_set(why, "4.3.0", "cannot start the resolver: %s", ares_strerror(r));
    dns.ready = true;
    dns.questions = hash_new();
    list_init(&dns.kept);
    return s->servers != NULL && s->servers[0] != 0 ? set_servers(s->servers, why) : 0;
}

/*
 * Questions and the cache of answered ones.
 */
static void free_question(struct dns_question *q)
{
    buf_free(&q->message);
    free(q->key);
    free(q->name);
    free(q);
}

static void dns_forget(struct dns_question *q)
{
    if (q->key == NULL)
        return;
    if (q->done && q->expires > 0)
        dns.nkept--;
    list_drop(&q->lru);
    hash_drop(dns.questions, strz(q->key));
    free(q->key);
    q->key = NULL;
    if (q->users == 0 && q->done)
        free_question(q);
}

/* Takes the answer; how long may it be kept? */
static int64_t seconds_to_keep(struct dns_question *q)
{
    struct arena *mem = arena_new(NULL);
    struct dns_answer answer;
    uint32_t ttl;
    enum dns_status s = dns_wire_parse(buf_str(&q->message), q->name, q->type, mem, &answer, &ttl);
    int64_t keep = s == DNS_FAILED ? 0 : ttl;

    arena_free(&mem);
    return keep < dns.settings.cache_ttl ? keep : dns.settings.cache_ttl;
}

static void finish(struct dns_question *q)
{
    enum { KEPT_MOST = 2048 }; /* bytes; nobody shall fill the cache with what he makes long */
    int64_t keep = q->message.n <= KEPT_MOST ? seconds_to_keep(q) : 0;

    q->done = true;
    dns.under_way--;
    if (dns.under_way == 0 && dns.timer != NULL)
        task_wake(dns.timer);
    LIST_EACH (&q->waiters, l) {
        task_wake(LIST_OF(l, struct waiter, list)->task);
    }
    if (keep == 0 || dns.settings.cache_size < 0) {
        dns_forget(q);
        return;
    }
    q->expires = task_now() + keep * 1000;
    list_add(&dns.kept, &q->lru);
    if (++dns.nkept > dns.settings.cache_size)
        dns_forget(LIST_OF(dns.kept.next, struct dns_question, lru));
}

static void ask_servers(struct dns_question *q);

static void answered(void *arg, int status, int timeouts, unsigned char *p, int n)
{
    enum { FORMERR = 1 };
    struct dns_question *q = arg;

    (void)timeouts;
    q->ares_status = status;
    if (status == ARES_EDESTRUCTION)
        q->edns = false;
    /* RFC 6891 7: a server from before EDNS. */
    if (q->edns && p != NULL && n >= 12 && (p[3] & 15) == FORMERR) {
        q->edns = false;
        ask_servers(q);
        return;
    }
    if (p != NULL && n > 0)
        buf_set(&q->message, (struct str){(const char *)p, (size_t)n});
    finish(q);
}

static void ask_servers(struct dns_question *q)
{
    /* fits: a name of 255 bytes (dns_begin has looked), and some 30 */
    struct buf query = BUF(600);

    dns_wire_query(&query, random_below(65536), q->name, q->type, q->edns);
    ares_send(dns.channel, (unsigned char *)query.p, (int)query.n, answered, q);
    buf_free(&query);
}

static struct dns_question *begin_ascii(const char *name, enum dns_type type)
{
    /* fits: a name of 255 bytes and a number */
    struct buf key = BUF(KEY_MOST);
    struct dns_question *q;

    if (!dns.ready)
        msg_panic("a question to the DNS before dns_setup");
    if (!dns_wire_name_ok(name))
        return NULL;
    buf_addf(&key, "%d %s", type, name);
    str_lower(key.p, key.n);
    if (key.p[key.n - 1] == '.')
        buf_cut(&key, key.n - 1);
    q = hash_find(dns.questions, buf_str(&key));
    if (q != NULL && q->done && q->expires <= task_now()) {
        dns_forget(q);
        q = NULL;
    }
    if (q == NULL) {
        q = mem_new(sizeof *q);
        /* fits: a message of the DNS is not longer: RFC 1035 4.2.2 */
        q->message = BUF(MESSAGE_MOST);
        q->name = mem_dupz(name);
        q->type = type;
        q->edns = true;
        list_init(&q->lru);
        list_init(&q->waiters);
        q->key = mem_dup(key.p, key.n);
        q->users = 1; /* while it may be answered at once */
        hash_put(dns.questions, buf_str(&key), q);
        dns.under_way++;
        ask_servers(q);
        if (dns.timer == NULL && !q->done)
            dns.timer = task_start("dns", give_time, NULL);
        else if (!q->done)
            task_wake(dns.timer); /* its time-out may be nearer */
        q->users = 0;
    } else if (q->done) {
        list_drop(&q->lru);
        list_add(&dns.kept, &q->lru);
    }
    q->users++;
    buf_free(&key);
    return q;
}

struct dns_question *dns_begin(const char *name, enum dns_type type)
{
    struct buf ascii = BUF(255); /* asked: by idna_to_ascii */

    struct dns_question *q = idna_to_ascii(strz(name), &ascii) ? begin_ascii(ascii.p, type) : NULL;
    buf_free(&ascii);
    return q;
}

const char *dns_type_name(enum dns_type type)
{
    static const struct {
        enum dns_type type;
        const char *name;
    } names[] = {{DNS_A, "A"},     {DNS_NS, "NS"},     {DNS_CNAME, "CNAME"},
                 {DNS_PTR, "PTR"}, {DNS_MX, "MX"},     {DNS_TXT, "TXT"},
                 {DNS_SRV, "SRV"}, {DNS_AAAA, "AAAA"}, {DNS_TLSA, "TLSA"}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].type == type)
            return names[i].name;
    return "record";
}

static enum dns_status explain(enum dns_status status, const char *name, enum dns_type type,
                               struct why *why)
{
    static const char *const texts[] = {[DNS_NO_NAME] = "Host not found",
                                        [DNS_NO_DATA] =
                                            "Host found but no data record of requested type",
                                        [DNS_FAILED] = "Host not found, try again"};

    if (status != DNS_OK)
        why_set(why, status == DNS_FAILED ? "4.4.3" : "5.4.4",
                "Host or domain name not found. Name service error for name=%s type=%s: %s", name,
                dns_type_name(type), texts[status]);
    return status;
}

static bool wait_done(struct dns_question *q, int64_t deadline)
{
    struct waiter w = {.task = task_self()};
    enum wait r = WAIT_READY;

    list_add(&q->waiters, &w.list);
    while (!q->done && r == WAIT_READY)
        r = task_park(deadline);
    list_drop(&w.list);
    return q->done;
}

void dns_drop(struct dns_question **question)
{
    struct dns_question *q = *question;

    *question = NULL;
    if (q != NULL && --q->users == 0 && q->done && q->key == NULL)
        free_question(q);
}

enum dns_status dns_await(struct dns_question **question, struct arena *mem, int64_t deadline,
                          struct dns_answer *answer, struct why *why)
{
    struct dns_question *q = *question;
    const char *name;
    enum dns_type type;
    uint32_t ttl = 0;

    *answer = (struct dns_answer){.status = DNS_FAILED, .canonical = ""};
    *question = NULL;
    if (q == NULL) { /* not a name */
        why_set(why, "5.4.4", "Host or domain name not found. Bad name syntax");
        return answer->status = DNS_NO_NAME;
    }
    name = arena_strz(mem, strz(q->name));
    type = q->type;
    if (wait_done(q, deadline))
        dns_wire_parse(buf_str(&q->message), name, type, mem, answer, &ttl);
    answer->ttl = ttl;
    dns_drop(&q);
    return explain(answer->status, name, type, why);
}

enum dns_status dns_ask(const char *name, enum dns_type type, struct arena *mem, int64_t deadline,
                        struct dns_answer *answer, struct why *why)
{
    struct dns_question *q = dns_begin(name, type);

    dns_await(&q, mem, deadline, answer, why);
    return type == DNS_PTR ? answer->status : dns_filter(answer, name, why);
}

void dns_shutdown(void)
{
    if (!dns.ready)
        return;
    ares_destroy(dns.channel); /* answers all that is under way */
    ares_library_cleanup();
    while (!list_empty(&dns.kept))
        dns_forget(LIST_OF(dns.kept.next, struct dns_question, lru));
    hash_free(&dns.questions, NULL);
    hosts_free();
    dns.ready = false;
    dns.channel = NULL;
}
