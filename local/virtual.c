/*
 * NAME
 *
 * virtual - mail for the mailboxes of domains whose users have no account
 *
 * DESCRIPTION
 *
 * virtual_mailbox_maps tells the mailbox of an address (below virtual_mailbox_base), and
 * virtual_uid_maps and virtual_gid_maps whose it is. A name that ends in "/" is a Maildir, kept by
 * the mail store; any other an mbox file. Addresses are looked up as everywhere: whole, without
 * extension, "@domain". There are no aliases, commands or files: cleanup has replaced what
 * virtual_alias_maps knows.
 *
 * SECURITY
 *
 * Acts as each mailbox's owner, and only below virtual_mailbox_base; a uid under
 * virtual_minimum_uid is refused, and root always. Where all mailboxes share one owner
 * (virtual_uid_maps and virtual_gid_maps are both static:number), the process is the mail owner
 * with that user as its second id, and has no capability; else it is he with those to become a
 * user. No network, no commands.
 *
 * SEE ALSO
 *
 * qmgr(8), local(8), postconf(5)
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/conf.h"
#include "route/classes.h"
#include "service/become.h"
#include "service/jail.h"
#include "service/service.h"

#include "deliver_mailbox.h"

enum { PATH_LIMIT = 8192 };

static struct {
    struct maps *mailboxes, *uids, *gids;
} state;

static int wrong(struct why *why)
{
    return why_set(why, "4.3.5", "mail system configuration error");
}

/* The number that a table has for the recipient. */
static int find_id(struct maps *m, const char *rcpt, int64_t low, const char *what, uint32_t *id,
                   struct why *why)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    enum dict_answer answer = route_find(m, rcpt, &value, NULL, why);
    int status = answer == DICT_FOUND ? 0 : -1;

    if (answer == DICT_NONE) {
        msg_warn("recipient %s: not found in %s", rcpt, maps_parameter(m));
        status = wrong(why);
    } else if (answer == DICT_FOUND &&
               !num_parse_u32(buf_str(&value), (uint32_t)low, UINT32_MAX - 1, id)) {
        msg_warn("recipient %s: bad %s %s in %s", rcpt, what, value.p, maps_parameter(m));
        status = wrong(why);
    }
    buf_free(&value);
    return status;
}

/* The mailbox and its owner. A path that climbs out of the base is a mistake of the table. */
static int find_target(const char *rcpt, struct buf *path, struct mailbox_target *t,
                       struct why *why)
{
    struct buf value = BUF(DICT_VALUE_LIMIT);
    enum dict_answer answer = route_find(state.mailboxes, rcpt, &value, NULL, why);
    uint32_t uid = 0, gid = 0;
    int status = -1;

    if (answer == DICT_NONE)
        why_set(why, "5.1.1", "unknown user: \"%s\"", rcpt);
    if (answer != DICT_FOUND) {
        buf_free(&value);
        return -1;
    }
    buf_addf(path, "%s%s%s", conf.virtual_mailbox_base, *conf.virtual_mailbox_base ? "/" : "",
             value.p);
    buf_free(&value);
    if (!buf_ok(path) || path->p[0] != '/' || str_search(buf_str(path), STR("/../")) >= 0) {
        msg_warn("recipient %s: bad mailbox path in %s: %s", rcpt, maps_parameter(state.mailboxes),
                 path->p);
        return wrong(why);
    }
    if (find_id(state.uids, rcpt, conf.virtual_minimum_uid, "uid", &uid, why) == 0 &&
        find_id(state.gids, rcpt, 1, "gid", &gid, why) == 0)
        status = 0;
    t->path = path->p;
    t->uid = uid;
    t->gid = gid;
    return status;
}

/* What is wrong with a mailbox is the provider's to mend, not the sender's: the mail waits. */
static int into_mailbox(struct job *job, const struct mailbox_target *t, bool maildir,
                        struct why *why)
{
    if (maildir)
        return deliver_maildir(job, t, why);
    int status = deliver_mbox(job, t, why);
    if (status < 0)
        why_in(why, "delivery failed to mailbox %s", t->path);
    return status;
}

static bool is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == 0 || strcmp(dir, "/") == 0);
}

/* Does a link lead out of virtual_mailbox_base? No mail is delivered there: whoever may make links
 * in a mailbox would else choose where. False also for what cannot be seen. */
static bool leads_out(const char *path)
{
    char *base = realpath(*conf.virtual_mailbox_base != 0 ? conf.virtual_mailbox_base : "/", NULL);
    char *real = realpath(path, NULL);
    bool out = base != NULL && real != NULL && !is_below(real, base);

    free(base);
    free(real);
    return out;
}

/* "Permission denied" alone would send the administrator to the wrong place. */
static void tell_of_links(const char *rcpt, const struct mailbox_target *t, bool maildir)
{
    static const char *const parts[] = {"", "cur", "new", "tmp"};
    size_t nparts = maildir ? sizeof parts / sizeof *parts : 1;
    struct buf path = BUF(PATH_LIMIT + 10);

    if (become_begin(t->uid, t->gid, NULL) < 0)
        return;
    for (size_t i = 0; i < nparts; i++) {
        buf_clear(&path);
        buf_addf(&path, "%s%s", t->path, parts[i]);
        if (buf_ok(&path) && leads_out(path.p)) {
            msg_warn("recipient %s: a link leads from %s out of virtual_mailbox_base: no mail is "
                     "delivered there",
                     rcpt, path.p);
            break;
        }
    }
    buf_free(&path);
    become_end();
}

static void deliver_to(struct job *job, size_t i)
{
    const struct rcpt *rcpt = &job->d.rcpts[i];
    /* asked: by find_target */
    struct buf path = BUF(PATH_LIMIT);
    struct why why = WHY;
    struct mailbox_target t = {
        .original = rcpt->original,
        .delivered = rcpt->address,
        .size_limit = conf.virtual_mailbox_limit,
        .locks = conf.virtual_mailbox_lock,
        .check_owner = conf.strict_mailbox_ownership,
    };
    int status = find_target(rcpt->address, &path, &t, &why);
    bool maildir = path.n > 0 && path.p[path.n - 1] == '/';

    if (status == 0 && (job->d.flags & DELIVERY_TRACE_ONLY) == 0)
        status = into_mailbox(job, &t, maildir, &why);
    if (status < 0 && t.uid != 0)
        tell_of_links(rcpt->address, &t, maildir);
    if (status < 0)
        outcome_failed(&job->outcome, i, &why);
    else if ((job->d.flags & DELIVERY_TRACE_ONLY) != 0)
        outcome_sent(&job->outcome, i, "2.0.0",
                     maildir ? "delivers to maildir" : "delivers to mailbox");
    else
        outcome_sent(&job->outcome, i, "2.0.0",
                     maildir ? "delivered to maildir" : "delivered to mailbox");
    buf_free(&path);
    why_free(&why);
}

static void virtual_deliver(struct job *job)
{
    for (size_t i = 0; i < job->d.nrcpts; i++)
        deliver_to(job, i);
}

static void virtual_request(struct attrs *ask, struct attrs *answer, struct arena *mem)
{
    agent_serve(ask, answer, mem, service_name(), virtual_deliver);
}

/* For check: a mailbox whose owner is no number, or one that is refused, gets no mail. */
static void check_owner(void *arg, const char *table, const char *where, const char *value)
{
    bool is_uid = arg == state.uids;
    int64_t low = is_uid ? conf.virtual_minimum_uid : 1;
    uint32_t id;

    if (strchr(value, '$') == NULL &&
        !num_parse_u32(strz(value), (uint32_t)(low > 1 ? low : 1), UINT32_MAX - 1, &id))
        conf_fault(maps_parameter(arg), "%s: %s: \"%s\" is not a number from %lld on%s", table,
                   where, value, (long long)(low > 1 ? low : 1),
                   is_uid ? " (virtual_minimum_uid)" : "");
}

struct links {
    char *first; /* null: none */
    size_t n;
};

static void check_link(void *arg, const char *table __attribute__((unused)),
                       const char *where __attribute__((unused)), const char *value)
{
    struct links *links = arg;
    struct buf path = BUF(PATH_LIMIT);

    buf_addf(&path, "%s/%s", conf.virtual_mailbox_base, value);
    if (buf_ok(&path) && leads_out(path.p) && links->n++ == 0)
        links->first = buf_take(&path);
    buf_free(&path);
}

/* Moved to another disk, for example. */
static void check_links(void)
{
    struct links links = {0};

    maps_values(state.mailboxes, check_link, &links);
    if (links.n > 0)
        msg_warn("virtual_mailbox_base = %s: a link leads from %s out of it (%zu such mailboxes): "
                 "mail for them waits. Mount the other directory there instead (mount --bind)",
                 conf.virtual_mailbox_base, links.first, links.n);
    free(links.first);
}

static void check_tables(void)
{
    check_links();
    maps_values(state.uids, check_owner, state.uids);
    maps_values(state.gids, check_owner, state.gids);
    if (!maps_empty(state.mailboxes) && *conf.virtual_mailbox_base != 0 &&
        access(conf.virtual_mailbox_base, F_OK) < 0)
        msg_warn("virtual_mailbox_base = %s: %m: mail for the mailboxes in it waits",
                 conf.virtual_mailbox_base);
}

static void open_tables(void)
{
    if (*conf.virtual_mailbox_base != 0 && *conf.virtual_mailbox_base != '/')
        msg_fatal("virtual_mailbox_base = %s: do not specify a relative pathname",
                  conf.virtual_mailbox_base);
    classes_open();
    /* What is from the network must not choose a path or a uid by $1. */
    unsigned flags = DICT_FOLD | DICT_NO_GROUPS;
    state.mailboxes = maps_open("virtual_mailbox_maps", conf.virtual_mailbox_maps, flags);
    state.uids = maps_open("virtual_uid_maps", conf.virtual_uid_maps, flags);
    state.gids = maps_open("virtual_gid_maps", conf.virtual_gid_maps, flags);
    deliver_mailbox_open();
    if (service_trying())
        check_tables();
}

/* The number that a "static:" table has for everybody; 0: it is another kind of table, or wrong. */
static uint32_t static_id(const char *specs, int64_t low)
{
    struct str spec = str_trim(strz(specs));
    uint32_t id;

    if (!str_starts(spec, STR("static:")) ||
        !num_parse_u32(str_from(spec, 7), (uint32_t)low, UINT32_MAX - 1, &id))
        return 0;
    return id;
}

/* All mailboxes are of one user: no need of the right to act as others. */
static void act_as_one_user(void)
{
    uint32_t uid = static_id(conf.virtual_uid_maps, conf.virtual_minimum_uid);
    uint32_t gid = static_id(conf.virtual_gid_maps, 1);

    if (uid != 0 && gid != 0)
        jail_other_user(uid, gid);
}

/* The base, or as much of it as exists: the rest is made with the first mailbox, or a disk is
 * mounted there. */
static void virtual_paths(void)
{
    struct buf base = BUF(PATH_LIMIT);

    act_as_one_user();
    if (*conf.virtual_mailbox_base != 0)
        jail_note(conf.virtual_mailbox_base);
    buf_addz(&base, *conf.virtual_mailbox_base != 0 ? conf.virtual_mailbox_base : "/");
    if (!buf_ok(&base))
        msg_fatal("virtual_mailbox_base: the name is too long");
    while (access(base.p, F_OK) < 0 && str_rfind(buf_str(&base), '/') > 0)
        buf_cut(&base, (size_t)str_rfind(buf_str(&base), '/'));
    jail_write(access(base.p, F_OK) < 0 ? "/" : base.p);
    jail_read_tables(conf.virtual_mailbox_maps);
    jail_read_tables(conf.virtual_uid_maps);
    jail_read_tables(conf.virtual_gid_maps);
    buf_free(&base);
}

int main(int argc, char **argv)
{
    static const struct service virtual = {
        .name = "virtual",
        .rights = RIGHT_READ | RIGHT_WRITE | RIGHT_SETUID,
        .open = open_tables,
        .paths = virtual_paths,
        .request = virtual_request,
        .request_limit = DELIVERY_MAX,
    };
    return service_main(&virtual, argc, argv);
}
