/*
 * The score of a client in DNS lists: postscreen_dnsbl_sites. RFC 5782
 */
#include "base/mem.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "dict/maps.h"
#include "net/dns_ask.h"
#include "net/dnsbl.h"
#include "task/task.h"

#include "postscreen.h"

struct site {
    struct dnsbl list;
    int64_t weight;
    bool is_again; /* an entry before it is of the same list: what that says is logged once */
    const char *shown; /* to clients: postscreen_dnsbl_reply_map */
};

static struct {
    VEC(struct site) sites;
} lists;

/* Of one client. A task of its own waits for the answers. */
struct screen_dnsbl {
    struct arena *mem;
    const char *addr;
    struct task *client, *asker; /* asker null: it has ended */
    struct dns_question **questions;
    bool *hit, *logged; /* of each site */
    int64_t ttl; /* the shortest, -1: none */
    bool done;
};

enum { WEIGHT_MOST = 1000000 };

/* "zen.example=127.0.0.[2..11]*3" */
static int read_site(struct str text, struct site *out, struct why *why)
{
    ptrdiff_t star = str_rfind(text, '*');
    struct str weight = star < 0 ? STR("1") : str_from(text, (size_t)star + 1);

    if (star >= 0)
        text = str_upto(text, (size_t)star);
    if (!num_parse(weight, -WEIGHT_MOST, WEIGHT_MOST, &out->weight))
        return why_set(why, "4.3.5", "\"%.*s\": behind \"*\" a number is wanted", (int)weight.n,
                       weight.p);
    return dnsbl_parse(text, &out->list, why);
}

/* One that holds a password, for example, is not told as it is. */
static void find_shown(struct site *site, struct maps *names)
{
    struct buf value = BUF(1000);
    struct why why = WHY;

    site->shown = site->list.domain;
    switch (maps_find(names, site->list.domain, &value, &why)) {
    case DICT_FOUND:
        if (buf_ok(&value))
            site->shown = buf_take(&value);
        else
            conf_fault("postscreen_dnsbl_reply_map", "the value of %s is too long",
                       site->list.domain);
        break;
    case DICT_FAILED:
        conf_fault("postscreen_dnsbl_reply_map", "it cannot be asked for %s", site->list.domain);
        break;
    case DICT_NONE:
        break;
    }
    buf_free(&value);
    why_free(&why);
}

static bool is_known(const char *domain)
{
    VEC_EACH (&lists.sites, site)
        if (str_ieqz(strz(domain), site->list.domain))
            return true;
    return false;
}

void screen_open_dnsbl(void)
{
    struct str rest = strz(conf.postscreen_dnsbl_sites), text;
    struct maps *names = maps_open("postscreen_dnsbl_reply_map", conf.postscreen_dnsbl_reply_map,
                                   DICT_FOLD | DICT_MAY_FAIL);
    struct why why = WHY;

    while (str_word(&rest, ", \t\r\n", &text)) {
        struct site site = {0};
        if (read_site(text, &site, &why) < 0) {
            conf_fault("postscreen_dnsbl_sites", "%s", why_text(&why));
            why_clear(&why);
            continue;
        }
        find_shown(&site, names);
        site.is_again = is_known(site.list.domain);
        *VEC_ADD(&lists.sites) = site;
    }
    maps_close(&names);
    why_free(&why);
}

bool screen_dnsbl_used(void)
{
    return lists.sites.n > 0;
}

/* ---- a client ---- */

/* As Postfix's dnsblog: log watchers count by these lines which list is of use. */
static void log_listed(const struct screen_dnsbl *d, const struct site *site, const struct addr *a)
{
    char text[ADDR_TEXT];

    addr_text(a, text);
    msg_info("addr %s listed by domain %s as %s", d->addr, site->list.domain, text);
}

static void take_answer(struct screen_dnsbl *d, size_t i, const struct dns_answer *a)
{
    const struct site *site = &lists.sites.at[i];

    for (size_t n = 0; a->status == DNS_OK && n < a->n; n++) {
        if (a->records[n].type != DNS_A)
            continue;
        if (!site->is_again && !d->logged[i])
            log_listed(d, site, &a->records[n].addr);
        d->hit[i] = d->hit[i] || dnsbl_counts(&site->list, &a->records[n].addr);
    }
    d->logged[i] = d->logged[i] || a->status == DNS_OK;
    if (a->status != DNS_FAILED && (d->ttl < 0 || a->ttl < d->ttl))
        d->ttl = a->ttl;
}

static void ask_lists(void *arg)
{
    struct screen_dnsbl *d = arg;
    int64_t deadline = task_now() + conf.postscreen_dnsbl_timeout * 1000;
    struct why why = WHY;

    for (size_t i = 0; i < lists.sites.n; i++) {
        struct dns_answer answer;
        if (d->questions[i] == NULL)
            continue;
        dns_await(&d->questions[i], d->mem, deadline, &answer, &why);
        if (answer.status == DNS_FAILED && !task_is_cancelled())
            msg_warn("%s: DNSBL lookup error: %s", lists.sites.at[i].list.domain, why_text(&why));
        take_answer(d, i, &answer);
        why_clear(&why);
    }
    why_free(&why);
    d->done = true;
    d->asker = NULL;
    task_wake(d->client);
}

void screen_dnsbl_begin(struct screen *s)
{
    struct screen_dnsbl *d = arena_alloc(s->mem, sizeof *d);
    size_t n = lists.sites.n;

    *d = (struct screen_dnsbl){
        .mem = s->mem, .addr = s->peer.addr_text, .client = task_self(), .ttl = -1};
    d->questions = arena_array(s->mem, n, sizeof *d->questions);
    d->hit = arena_array(s->mem, n, sizeof *d->hit);
    d->logged = arena_array(s->mem, n, sizeof *d->logged);
    for (size_t i = 0; i < n; i++) {
        struct buf name = BUF(600); /* fits: a domain has at most 255 bytes */
        d->hit[i] = d->logged[i] = false;
        d->questions[i] = dnsbl_name_of_addr(&lists.sites.at[i].list, &s->peer.addr, &name)
                              ? dns_begin(name.p, DNS_A)
                              : NULL;
        buf_free(&name);
    }
    d->asker = task_start("dnsbl", ask_lists, d);
    s->dnsbl = d;
}

void screen_dnsbl_collect(struct screen *s)
{
    struct screen_dnsbl *d = s->dnsbl;
    struct dns_answer answer;

    for (size_t i = 0; i < lists.sites.n; i++)
        if (d->questions[i] != NULL) {
            dns_await(&d->questions[i], d->mem, task_now(), &answer, NULL);
            take_answer(d, i, &answer);
        }
}

bool screen_dnsbl_done(const struct screen *s)
{
    return s->dnsbl->done;
}

int64_t screen_dnsbl_score(const struct screen *s, const char **name, int64_t *ttl)
{
    int64_t score = 0, most = 0;
    const char *worst = NULL;

    for (size_t i = 0; i < lists.sites.n; i++) {
        const struct site *site = &lists.sites.at[i];
        if (!s->dnsbl->hit[i])
            continue;
        score += site->weight;
        if (site->weight > most) {
            most = site->weight;
            worst = site->shown;
        }
    }
    if (name != NULL)
        *name = worst;
    *ttl = s->dnsbl->done ? s->dnsbl->ttl : -1;
    return score;
}

void screen_dnsbl_end(struct screen *s)
{
    struct screen_dnsbl *d = s->dnsbl;

    s->dnsbl = NULL;
    if (d == NULL)
        return;
    if (d->asker != NULL)
        task_cancel(d->asker);
    while (d->asker != NULL)
        task_park_anyway(0);
}
