/*
 * How many sessions one client address has at a time, over all processes of the service: they have
 * the counts in common memory, in buckets chosen by address. A slot is one process's count of one
 * address and changed by that process only; what the client has is the sum. Where a bucket is full
 * nobody is refused: so many addresses at a time are beyond a limit per address.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/msg.h"
#include "conf/conf.h"
#include "dict/match.h"
#include "service/service.h"

#include "smtpd.h"

enum { BUCKETS = 64, SLOTS = 64 };

struct smtpd_count {
    atomic_int pid; /* 0: free */
    atomic_int sessions; /* 0: not in use yet */
    sa_family_t family;
    unsigned char ip[16];
};

static struct {
    struct smtpd_count (*buckets)[SLOTS];
    struct match *exceptions;
} limits;

/* Counts of processes that were killed. */
static void sweep(void)
{
    int dead = 0;

    for (size_t i = 0; i < BUCKETS * (size_t)SLOTS; i++) {
        struct smtpd_count *c = &limits.buckets[i / SLOTS][i % SLOTS];
        int pid = atomic_load(&c->pid);
        if (pid == 0 || (pid != dead && (kill(pid, 0) == 0 || errno != ESRCH)))
            continue;
        dead = pid;
        atomic_store(&c->sessions, 0);
        atomic_compare_exchange_strong(&c->pid, &pid, 0);
    }
}

void smtpd_open_limits(void)
{
    limits.buckets = service_shared(BUCKETS * sizeof *limits.buckets);
    sweep();
    limits.exceptions =
        match_open("smtpd_client_event_limit_exceptions", conf.smtpd_client_event_limit_exceptions);
}

static bool excepted(struct smtpd *s)
{
    struct why why = WHY;
    enum dict_answer answer = match_host(limits.exceptions, s->peer.name, s->peer.addr_text, &why);

    if (answer == DICT_FAILED)
        msg_warn("%s", why_text(&why));
    why_free(&why);
    return answer == DICT_FOUND;
}

static struct smtpd_count *bucket_of(const struct addr *a)
{
    uint32_t hash = 2166136261; /* FNV-1a: who fills a bucket on purpose gains nothing */

    for (size_t i = 0; i < sizeof a->ip; i++)
        hash = (hash ^ a->ip[i]) * 16777619;
    return limits.buckets[(hash ^ hash >> 16) % BUCKETS];
}

static bool is_of(const struct smtpd_count *c, const struct addr *a)
{
    return c->family == a->family && memcmp(c->ip, a->ip, sizeof c->ip) == 0;
}

/* Our count of that address, maybe a new one; null when there is no room. */
static struct smtpd_count *count_of(struct smtpd_count *bucket, const struct addr *a)
{
    int me = getpid();

    for (struct smtpd_count *c = bucket; c < bucket + SLOTS; c++)
        if (atomic_load(&c->pid) == me && is_of(c, a))
            return c;
    for (struct smtpd_count *c = bucket; c < bucket + SLOTS; c++) {
        int nobody = 0;
        if (!atomic_compare_exchange_strong(&c->pid, &nobody, me))
            continue;
        c->family = a->family;
        memcpy(c->ip, a->ip, sizeof c->ip);
        return c;
    }
    return NULL;
}

static int64_t sum(struct smtpd_count *bucket, const struct addr *a)
{
    int64_t n = 0;

    for (struct smtpd_count *c = bucket; c < bucket + SLOTS; c++) {
        int sessions = atomic_load(&c->sessions);
        if (sessions > 0 && is_of(c, a))
            n += sessions;
    }
    return n;
}

bool smtpd_limit_enter(struct smtpd *s)
{
    struct smtpd_count *bucket = bucket_of(&s->peer.addr);

    s->count = count_of(bucket, &s->peer.addr);
    if (s->count == NULL)
        return true;
    atomic_fetch_add(&s->count->sessions, 1);
    return conf.smtpd_client_connection_count_limit <= 0 ||
           sum(bucket, &s->peer.addr) <= conf.smtpd_client_connection_count_limit || excepted(s);
}

void smtpd_limit_leave(struct smtpd *s)
{
    if (s->count != NULL && atomic_fetch_sub(&s->count->sessions, 1) == 1)
        atomic_store(&s->count->pid, 0);
}
