#include "service/service.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_snapshot.h"
#include "ipc/trust.h"
#include "net/addr.h"
#include "net/sock.h"
#include "net/stream.h"
#include "service/jail.h"
#include "service/openlog.h"
#include "service/runner.h"
#include "service/service_process.h"
#include "service/spawned.h"

enum { SHARED_OWN = MAP_PRIVATE | MAP_ANONYMOUS };

static struct process process = {.clients = {&process.clients, &process.clients}};

const char *service_name(void)
{
    return process.name;
}

int service_args(char ***argv)
{
    if (argv != NULL)
        *argv = process.argv;
    return process.argc;
}

int service_limit(void)
{
    return process.limit;
}

void service_may_evict(bool evictable)
{
    clients_may_evict(&process, evictable);
}

bool service_trying(void)
{
    return process.only_try;
}

bool service_draining(void)
{
    return process.draining;
}

void *service_shared(size_t size)
{
    struct stat st = {0};
    int fd = process.spawned ? SPAWN_SHARED_FD : -1;

    /* Another size is of another version of the program: its contents mean nothing here. */
    if (fd >= 0 && (fstat(fd, &st) < 0 || (st.st_size != 0 && st.st_size != (off_t)size) ||
                    ftruncate(fd, (off_t)size) < 0))
        fd = -1;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, fd >= 0 ? MAP_SHARED : SHARED_OWN, fd, 0);
    if (p == MAP_FAILED)
        msg_fatal("shared memory: %m");
    return p;
}

int service_clients_memory(int *part)
{
    *part = process.clients_part;
    return process.spawned && *part >= 0 ? SPAWN_CLIENTS_FD : -1;
}

void service_refresh(const char *what_changed)
{
    struct buf text = BUF_TEXT(300);

    buf_addf(&text, "%s has changed -- restarting", what_changed);
    drain_begin(&process, text.p);
    buf_free(&text);
}

static bool refresh_if(const char *replaced)
{
    if (replaced != NULL)
        service_refresh(replaced);
    return replaced != NULL;
}

bool service_look_at_dirs(void)
{
    return refresh_if(jail_replaced());
}

bool service_glance_at_dirs(void)
{
    return refresh_if(jail_glance());
}

static void load_conf(struct process *p)
{
    struct why why = WHY;

    if (p->snapshot)
        conf_snapshot_use((struct conf_snapshot){SPAWN_MAIN_FD, SPAWN_MASTER_FD});
    if (conf_load(p->conf_dir, p->name, p->overrides.at, &why) < 0)
        msg_fatal("%s", why_text(&why));
    why_free(&why);
}

/* maxproc, shared out by master, or what the parameters say. A lone process takes whatever comes:
 * its clients are other processes of the suite, whose number has a limit. */
static void set_limits(struct process *p)
{
    enum { CLIENTS_OF_ALONE = 10000 };
    bool lone = p->service->alone || p->service->sole;

    if (lone)
        p->limit = p->service->lone_clients > 0 ? p->service->lone_clients : CLIENTS_OF_ALONE;
    else if (p->limit == 0)
        p->limit = (int)conf_int_of(p->name, "_sessions_per_process", conf.sessions_per_process);
    if (!lone)
        p->max_uses = conf.max_use * p->limit;
}

static void add_listener(struct process *p, int fd)
{
    *VEC_ADD(&p->listeners) = (struct listener){.fd = fd, .active = -1, .process = p};
}

static void listen_by_hand(struct process *p, const char *at)
{
    struct why why = WHY;
    struct hostport hp;
    struct addr addr;
    int fd = -1;

    if (strchr(at, '/') != NULL) {
        fd = sock_listen_unix(at, SOMAXCONN, 0666, &why);
    } else {
        p->type = SERVICE_INET;
        if (!hostport_parse(strz(at), &hp) || !addr_parse(hp.host, &addr) ||
            !port_parse(hp.port, &addr.port))
            msg_fatal("-l %s: ADDRESS:PORT or a path is wanted", at);
        fd = sock_listen(&addr, SOMAXCONN, &why);
    }
    if (fd < 0)
        msg_fatal("listen on %s: %s", at, why_text(&why));
    why_free(&why);
    add_listener(p, fd);
}

static void open_listeners(struct process *p)
{
    for (int i = 0; i < p->inherited; i++) {
        int fd = SPAWN_LISTEN_FD + i;
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            msg_fatal("listening socket %d: %m", fd);
        add_listener(p, fd);
    }
    VEC_EACH (&p->listen_at, at)
        listen_by_hand(p, *at);
}

static void open_metrics(struct process *p)
{
    bool shared = p->spawned && p->metrics_page >= 0;

    metrics_open(shared ? SPAWN_METRICS_FD : -1, p->metrics_page, p->name, p->program);
    if (p->spawned)
        close(SPAWN_METRICS_FD);
    p->page = metrics_mine();
    p->page->limit = (uint32_t)p->limit;
    p->page->stack_size = (uint32_t)task_stack_size();
}

/* Long answers come over TCP, also from resolvers that are not on port 53. */
static void allow_resolvers(void)
{
    struct str rest = strz(conf.dns_servers), word;
    struct hostport hp;
    in_port_t port;

    while (str_word(&rest, ", \t\r\n", &word))
        if (hostport_parse(word, &hp) && port_parse(hp.port, &port))
            jail_port(port);
}

/* By hand the ids of roles are not known: whoever has the mail owner's uid is of the suite. */
static void learn_ids(const struct process *p)
{
    struct trust_ids ids = {.base = p->group_base, .owner = geteuid(), .network = p->network_uid};

    if (ids.owner == 0) {
        const struct passwd *pw = getpwnam(conf.mail_owner);
        if (pw == NULL)
            msg_fatal("mail_owner: no such user: %s", conf.mail_owner);
        ids.owner = pw->pw_uid;
    }
    if (ids.network == 0)
        ids.network = ids.owner;
    trust_set_ids(&ids);
}

enum role service_peer_role(const struct stream *client)
{
    return trust_role_of_peer(stream_fd(client));
}

bool service_may_ask(const struct stream *client, const char *request)
{
    return clients_may_ask(&process, service_peer_role(client), request);
}

void service_add_rights(unsigned rights)
{
    process.more_rights |= rights;
}

void service_leave_queue(void)
{
    process.leaves_queue = true;
}

static void enter_jail(struct process *p)
{
    bool network = trust_uid_of_program(p->program) == TRUST_NETWORK;
    bool in_queue = p->spawned && p->service->in_queue && !p->leaves_queue;
    struct jail jail = {
        .name = p->program,
        .rights =
            p->service->rights | p->more_rights | (p->service->wake != NULL ? RIGHT_SHUT : 0u),
        .user = conf.mail_owner,
        .uid = network ? p->network_uid : 0,
        .gid = p->group_base != 0 ? p->group_base + trust_role_of_program(p->program) : 0,
        .root = p->chroot || in_queue ? conf.queue_directory : NULL,
        .ends_with_parent = p->spawned,
        .any_socket = !p->spawned,
        .on_new_socket = service_refresh,
    };

    if (p->unprivileged && (jail.rights & RIGHT_SETUID) != 0) {
        msg_warn("master.cf: service %s: the unprivileged column says y, so this process cannot "
                 "become its recipients",
                 p->name);
        jail.rights &= ~(unsigned)RIGHT_SETUID;
    }
    if ((jail.rights & RIGHT_DNS) != 0)
        allow_resolvers();
    if (p->service->paths != NULL)
        p->service->paths();
    if (!p->free_of_jail)
        jail_enter(&jail);
}

/* All is read. */
static void forget_snapshot(const struct process *p)
{
    struct conf_snapshot s = conf_snapshot_used();

    conf_snapshot_use(CONF_NO_SNAPSHOT);
    if (p->snapshot)
        conf_snapshot_close(&s);
}

/* At the end of each turn of the loop. */
static void end_turn(void)
{
    struct task_turns turns = task_longest_turns();

    metrics_worst((uint64_t)turns.wall_ms * 1000, (uint64_t)turns.cpu_us, task_stack_used());
    msg_flush();
}

static void service_start(void *arg)
{
    struct process *p = arg;

    task_watchdog(conf.watchdog_report_time * 1000, conf.watchdog_timeout * 1000);
    drain_start(p);
    if (p->service->start != NULL)
        p->service->start();
    clients_start(p);
}

/* By hand, without master, there may be no postlogd. */
static void open_log(const struct process *p)
{
    enum log_use use = p->service->writes_log ? LOG_WRITES : p->spawned ? LOG_SENDS : LOG_TOOL;

    service_open_log(p->program, use, !p->spawned);
    if (p->spawned)
        service_take_syslog(SPAWN_LOG_FD);
}

/* What stands there would be lost without a word: the second half of a list of restrictions. */
static void refuse_arguments(const struct process *p)
{
    if (p->argc > 0 && !p->service->has_arguments)
        msg_fatal("unexpected command-line argument: %s. A value with blanks is written as "
                  "-o { name = value }",
                  p->argv[0]);
}

/* What is under way fails and is tried again; the next process has a helper of its own. */
static void command_helper_lost(void)
{
    msg_error("the command helper has died");
    drain_begin(&process, "no command can be run -- restarting");
}

int service_main(const struct service *s, int argc, char **argv)
{
    struct process *p = &process;

    p->service = s;
    service_options(p, argc, argv);
    load_conf(p);
    if (!p->only_try)
        open_log(p);
    refuse_arguments(p);
    if (p->debug)
        msg_debug_topics("all");
    if (chdir(conf.queue_directory) < 0)
        msg_fatal("queue_directory: chdir %s: %m", conf.queue_directory);
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    tzset();
    learn_ids(p);
    set_limits(p);
    open_metrics(p);
    if (s->open != NULL)
        s->open();
    if (p->only_try) {
        msg_flush();
        _exit(conf_faults() > 0); /* nothing is to be cleaned up */
    }
    forget_snapshot(p);
    if (p->spawned) {
        close(SPAWN_SHARED_FD);
        close(SPAWN_CLIENTS_FD);
    }
    open_listeners(p);
    if ((s->rights & RIGHT_EXEC) != 0) {
        runner_on_loss(command_helper_lost);
        runner_start();
    }
    enter_jail(p);
    msg_hold();
    task_on_turn(end_turn);
    task_start("start", service_start, p);
    task_loop();
    msg_flush();
    return 0;
}
