/*
 * master.cf to services, and what changes on reload.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "service/check_missing.h"
#include "service/spawned.h"

#include "master.h"

static void free_texts(struct svc *s)
{
    for (size_t i = 0; i < s->conf.argc; i++)
        free((char *)(uintptr_t)s->conf.argv[i]);
    free((void *)(uintptr_t)s->conf.argv);
    free((char *)(uintptr_t)s->conf.command);
}

/* Of the parameters sessions_per_process, PROGRAM_ and SERVICE_sessions_per_process and -o of the
 * service, the last in this order that is set. */
static int64_t sessions_of(const struct conf_service *c)
{
    static const char name[] = "sessions_per_process";
    int64_t n = conf.sessions_per_process;

    n = conf_int_of(c->command, "_sessions_per_process", n);
    n = conf_int_of(c->name, "_sessions_per_process", n);
    for (size_t i = 0; i < c->noptions; i++)
        if (strcmp(c->options[i].name, name) == 0 &&
            !num_parse(strz(c->options[i].value), 1, INT32_MAX, &n))
            msg_warn("master.cf: service %s: -o %s=%s: a number is wanted", c->name, name,
                     c->options[i].value);
    return n;
}

/* The columns and arguments as they are now. The texts of master.cf go with its parse. */
static void set_conf(struct svc *s, const struct conf_service *from)
{
    const char **argv = mem_array(from->argc + 1, sizeof *argv);
    const char *name = s->conf.name;

    free_texts(s);
    s->conf = *from;
    s->sessions = sessions_of(from);
    s->conf.name = name;
    for (size_t i = 0; i < from->argc; i++)
        argv[i] = mem_dupz(from->argv[i]);
    s->conf.argv = argv;
    s->conf.command = mem_dupz(from->command);
    s->conf.options = NULL;
    s->conf.noptions = 0;
    memset(s->conf.column, 0, sizeof s->conf.column);
}

static struct svc *svc_new(const struct conf_service *from)
{
    struct svc *s = mem_new(sizeof *s);
    struct buf path = BUF(1000);

    list_init(&s->children);
    s->conf.name = mem_dupz(from->name);
    if (from->type == SERVICE_INET)
        buf_addz(&path, from->name);
    else
        buf_addf(&path, "%s/%s", from->is_private ? "private" : "public", from->name);
    if (!buf_ok(&path))
        msg_fatal("master.cf: service %.100s...: the name is too long", from->name);
    s->path = buf_take(&path);
    s->shared_fd = memfd_create("pombal", MFD_CLOEXEC);
    s->clients_fd = memfd_create("clients", MFD_CLOEXEC);
    if (s->shared_fd < 0 || s->clients_fd < 0 || ftruncate(s->clients_fd, SPAWN_CLIENTS_SIZE) < 0)
        msg_fatal("memfd_create: %m");
    set_conf(s, from);
    list_add(&master.services, &s->link);
    return s;
}

static void svc_free(struct svc *s)
{
    list_drop(&s->link);
    free_texts(s);
    VEC_FREE(&s->endpoints);
    close(s->shared_fd);
    close(s->clients_fd);
    free(s->path);
    free((char *)(uintptr_t)s->conf.name);
    free(s);
}

static bool is_same(const struct svc *s, const struct conf_service *c)
{
    return s->conf.type == c->type && strcmp(s->conf.name, c->name) == 0 &&
           (c->type == SERVICE_INET || s->conf.is_private == c->is_private);
}

static struct svc *master_services_find(const struct conf_service *c)
{
    LIST_EACH (&master.services, l) {
        struct svc *s = LIST_OF(l, struct svc, link);
        if (is_same(s, c) && !s->retired)
            return s;
    }
    return NULL;
}

static int master_services_take(const struct conf_service *c, struct why *why)
{
    struct svc *s = master_services_find(c);

    if (s == NULL)
        s = svc_new(c);
    else
        set_conf(s, c);
    s->found = true;
    s->throttled_until = s->backoff_ms = 0; /* the cause may have been mended */
    return listen_keep(s, why);
}

static int open_one(struct svc *s, struct why *why)
{
    if (!s->found)
        return 0;
    if (listen_open(s, why) < 0)
        return -1;
    wakeup_plan(s);
    return 0;
}

/* The first of several errors is told: the other services still get their sockets. */
static int first_error(int so_far, int result, struct why *one, struct why *why)
{
    if (result < 0 && so_far == 0)
        why_copy(why, one);
    why_clear(one);
    return result < 0 ? -1 : so_far;
}

/* Those that master.cf no longer names end when their clients have gone. */
static void retire_lost(void)
{
    LIST_EACH (&master.services, l) {
        struct svc *s = LIST_OF(l, struct svc, link);
        if (!s->found && !s->retired) {
            s->retired = true;
            s->next_wakeup = 0;
            listen_remove(s);
        }
        if (s->retired && s->nchildren == 0)
            svc_free(s);
    }
}

/* A socket, the memory of two kinds and a process of each; what a new process needs until it is
 * made; the rest is for what a process opens itself. */
static int check_descriptors(size_t services, struct why *why)
{
    struct rlimit allowed;
    size_t needed = 4 * services + 64;

    if (getrlimit(RLIMIT_NOFILE, &allowed) < 0 || allowed.rlim_cur >= needed)
        return 0;
    return why_set(why, "4.3.0",
                   "the %zu services of master.cf need %zu descriptors at least, but \"ulimit -n\" "
                   "(LimitNOFILE= of systemd) allows %llu",
                   services, needed, (unsigned long long)allowed.rlim_cur);
}

/* Old master.cf have fifos for these two. Here they need a socket: qmgr also takes requests by it,
 * and whoever wakes them tries a socket first. */
static void use_sockets(struct conf_master *cf)
{
    for (size_t i = 0; i < cf->n; i++)
        if (cf->at[i].type == SERVICE_FIFO && str_listed("pickup qmgr", cf->at[i].command))
            cf->at[i].type = SERVICE_UNIX;
}

bool services_is_log(const struct svc *s)
{
    return s->conf.type == SERVICE_UNIX_DGRAM && !s->conf.is_private &&
           strcmp(s->conf.name, conf.postlog_service_name) == 0;
}

int services_load(struct why *why)
{
    struct conf_master cf = {0};
    struct why one = WHY;
    int result = 0;

    if (conf_master_load(&cf, why) < 0)
        return -1;
    use_sockets(&cf);
    if (check_descriptors(cf.n, why) < 0) {
        conf_master_free(&cf);
        return -1;
    }
    LIST_EACH (&master.services, l)
        LIST_OF(l, struct svc, link)->found = false;
    ids_open_dirs();
    listen_mark();
    for (size_t i = 0; i < cf.n; i++)
        if (!conf_master_disabled(&cf.at[i]) && !conf_master_again(&cf, &cf.at[i]) &&
            !service_left_out(&cf.at[i]))
            result = first_error(result, master_services_take(&cf.at[i], &one), &one, why);
    conf_master_free(&cf);
    LIST_EACH (&master.services, l)
        result = first_error(result, open_one(LIST_OF(l, struct svc, link), &one), &one, why);
    LIST_EACH (&master.services, l)
        if (LIST_OF(l, struct svc, link)->found)
            listen_drop(LIST_OF(l, struct svc, link));
    retire_lost();
    LIST_EACH (&master.services, l)
        status_balance(LIST_OF(l, struct svc, link));
    why_free(&one);
    return result;
}

void services_close(void)
{
    LIST_EACH (&master.services, l)
        listen_close(LIST_OF(l, struct svc, link));
}

void services_free(void)
{
    LIST_EACH (&master.services, l)
        svc_free(LIST_OF(l, struct svc, link));
}
